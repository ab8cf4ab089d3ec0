use std::{io, sync::Arc};

use rand::RngExt as _;

use super::{
    Opened, Route,
    hop::{Elsewhere, Hop},
    within,
};
use crate::{
    entropy::with_entropy,
    lifecycle::{DialError, DialPhase, ExitReason},
    policy::is_redirect,
    protocol::{Accepted, HandshakeError, Key, Offer, ResponseHead},
    spec::Headers,
    transport::{
        dialler::BoxedStream,
        http::{ExchangeError, MAX_HEAD, Request, Unwritable, exchange},
        tls::{broken, failure_of},
    },
};

/// What a server answers that is there.
pub(super) enum Answered {
    Accepted(Opened),
    Elsewhere(Elsewhere),
}

/// The opening handshake over `io`, within its time.
pub(super) async fn open(
    route: &Route,
    hop: &Hop,
    credentials: &Headers,
    io: BoxedStream,
) -> Result<Answered, ExitReason> {
    let limit = route.settings.timeouts.handshake;
    within(limit, DialPhase::Handshake, shake_hands(route, hop, credentials, io)).await?
}

async fn shake_hands(
    route: &Route,
    hop: &Hop,
    credentials: &Headers,
    mut io: BoxedStream,
) -> Result<Answered, ExitReason> {
    let wishes = route.asked.wishes();
    let key = Key::from_random(with_entropy(|rng| rng.random()));
    let request = request(route, hop, credentials, &key).map_err(|error| {
        // Everything was checked before the attempt, so this is a difference between two of our own rules.
        let error = io::Error::new(io::ErrorKind::InvalidInput, error);
        DialError::Upgrade(Arc::new(error))
    })?;
    let offer = Offer {
        key: &key,
        subprotocols: &wishes.subprotocols,
        subprotocol_required: wishes.subprotocol_required,
        #[cfg(feature = "deflate")]
        deflate: route.settings.deflate.as_deref(),
    };
    let mut informational = 0;
    let judge = |head: &ResponseHead<'_>| {
        // RFC 9110 §15.2: any number of them may come before the final answer.
        if matches!(head.status, 100 | 102..=199) {
            informational += 1;
            let limit = MAX_INFORMATIONAL;
            let too_many = Err(HandshakeError::TooManyInformational { limit });
            return (informational > limit).then_some(too_many);
        }
        Some(judge(head, &offer))
    };
    let (judged, rest) = exchange(&mut io, request, judge).await.map_err(|error| match error {
        // Of TLS 1.3, some refusals come when our side of its handshake is done.
        ExchangeError::Io(error) if failure_of(&error).is_some() => {
            broken(hop.allowed.url().host(), error).into()
        }
        ExchangeError::Io(error) => DialError::Upgrade(Arc::new(error)).into(),
        ExchangeError::NotHttp(error) => {
            ExitReason::Handshake(HandshakeError::NotHttp(error.to_string()))
        }
        ExchangeError::HeadTooLarge => {
            ExitReason::Handshake(HandshakeError::HeadTooLarge { limit: MAX_HEAD })
        }
    })?;
    Ok(match judged.map_err(ExitReason::Handshake)? {
        Judged::Elsewhere(elsewhere) => Answered::Elsewhere(elsewhere),
        Judged::Accepted(accepted) => Answered::Accepted(Opened {
            io,
            rest,
            subprotocol: accepted.subprotocol,
            #[cfg(feature = "deflate")]
            deflate: accepted.deflate,
        }),
    })
}

/// Interim answers (1xx) that are read past.
const MAX_INFORMATIONAL: usize = 8;

enum Judged {
    Accepted(Accepted),
    Elsewhere(Elsewhere),
}

fn judge(head: &ResponseHead<'_>, offer: &Offer<'_>) -> Result<Judged, HandshakeError> {
    if head.http_11 && is_redirect(head.status) {
        let locations = head.values("Location").map(<[u8]>::to_vec).collect();
        return Ok(Judged::Elsewhere(Elsewhere { status: head.status, locations }));
    }
    offer.check(head).map(Judged::Accepted)
}

/// The upgrade request of RFC 6455 §4.1.
fn request(
    route: &Route,
    hop: &Hop,
    credentials: &Headers,
    key: &Key,
) -> Result<Request, Unwritable> {
    let (url, wishes) = (hop.allowed.url(), route.asked.wishes());
    let mut request = Request::new("GET", url.request_target())?;
    request.header("Host", url.authority())?;
    request.header("Connection", "Upgrade")?;
    request.header("Upgrade", "websocket")?;
    request.header("Sec-WebSocket-Version", "13")?;
    request.header("Sec-WebSocket-Key", key.as_str())?;
    if !wishes.subprotocols.is_empty() {
        request.header("Sec-WebSocket-Protocol", &wishes.subprotocols.join(", "))?;
    }
    #[cfg(feature = "deflate")]
    if let Some(offer) = &route.settings.deflate {
        request.header("Sec-WebSocket-Extensions", &offer.header_value())?;
    }
    let for_strangers = (!hop.is_trusted).then(|| wishes.headers.for_strangers());
    let given = for_strangers.as_ref().unwrap_or(&wishes.headers);
    for (name, value) in given.expose().chain(credentials.expose()) {
        request.header(name, value)?;
    }
    Ok(request)
}
