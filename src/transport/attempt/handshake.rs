use std::{io, sync::Arc};

use actix_http::{ConnectionType, RequestHead};
use awc::http::{
    Method, Version,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use rand::RngExt as _;

use super::{
    Opened, Route,
    hop::{Elsewhere, Hop},
    within,
};
use crate::{
    entropy::with_entropy,
    lifecycle::{DialError, DialPhase, ExitReason},
    policy::{CanonicalUrl, is_redirect},
    protocol::{Key, Offer, ResponseHead},
    spec::Headers,
    transport::{
        dialler::BoxedStream,
        tls::{broken, failure_of},
        upgrade::{Answer, UpgradeError, exchange},
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
    io: BoxedStream,
) -> Result<Answered, ExitReason> {
    let url = hop.allowed.url();
    let subprotocols = &route.asked.wishes().subprotocols;
    let key = Key::from_random(with_entropy(|rng| rng.random()));
    let mut head = request_head(url, &key, subprotocols)?;
    #[cfg(feature = "deflate")]
    if let Some(offer) = &route.settings.deflate {
        let offer = header_value(&offer.header_value())?;
        head.headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, offer);
    }
    let given = if hop.is_trusted {
        &route.asked.wishes().headers
    } else {
        &route.asked.wishes().headers.for_strangers()
    };
    for (name, value) in given.expose().chain(credentials.expose()) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(unwritable)?;
        let mut value = header_value(value)?;
        value.set_sensitive(true);
        head.headers.append(name, value);
    }
    let Answer { head, io, rest } = exchange(io, head).await.map_err(|error| match error {
        // Of TLS 1.3, some refusals come when our side of its handshake is done.
        UpgradeError::Io(error) if failure_of(&error).is_some() => broken(url.host(), error).into(),
        UpgradeError::Io(error) => DialError::Upgrade(Arc::new(error)).into(),
        UpgradeError::Handshake(error) => ExitReason::Handshake(error),
    })?;
    let headers: Vec<_> =
        head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let answer = ResponseHead {
        http_11: head.version == Version::HTTP_11,
        status: head.status.as_u16(),
        headers: &headers,
    };
    if answer.http_11 && is_redirect(answer.status) {
        let locations = answer.values("Location").map(<[u8]>::to_vec).collect();
        return Ok(Answered::Elsewhere(Elsewhere { status: answer.status, locations }));
    }
    let offer = Offer {
        key: &key,
        subprotocols,
        subprotocol_required: route.asked.wishes().subprotocol_required,
        #[cfg(feature = "deflate")]
        deflate: route.settings.deflate.as_deref(),
    };
    let accepted = offer.check(&answer).map_err(ExitReason::Handshake)?;
    Ok(Answered::Accepted(Opened {
        io,
        rest,
        subprotocol: accepted.subprotocol,
        #[cfg(feature = "deflate")]
        deflate: accepted.deflate,
    }))
}

thread_local! {
    /// Without headers: the library's own request begins with room for 16, which takes 7 KB.
    static BLANK: RequestHead = {
        let mut head = RequestHead::default();
        head.method = Method::GET;
        head.version = Version::HTTP_11;
        head.headers = HeaderMap::new();
        head.set_connection_type(ConnectionType::Upgrade);
        head.set_camel_case_headers(true);
        head
    };
}

/// Room is made for so many at first: most requests have no more.
const MOST_HEADERS: usize = 7;

/// The upgrade request of RFC 6455 §4.1.
fn request_head(
    url: &CanonicalUrl,
    key: &Key,
    subprotocols: &[String],
) -> Result<RequestHead, DialError> {
    let mut head = BLANK.with(RequestHead::clone);
    head.uri = url.request_target().parse().map_err(unwritable)?;
    head.headers = HeaderMap::with_capacity(MOST_HEADERS);
    let headers = &mut head.headers;
    headers.insert(header::HOST, header_value(url.authority())?);
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, header_value(key.as_str())?);
    if !subprotocols.is_empty() {
        let offered = header_value(&subprotocols.join(", "))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    Ok(head)
}

fn header_value(text: &str) -> Result<HeaderValue, DialError> {
    HeaderValue::from_str(text).map_err(unwritable)
}

/// Everything was checked before the attempt, so this is a difference between our rules and
/// those of the HTTP library.
fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> DialError {
    DialError::Upgrade(Arc::new(io::Error::new(io::ErrorKind::InvalidInput, error)))
}
