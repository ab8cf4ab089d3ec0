use std::{cell::Cell, future::Future, io, rc::Rc, sync::Arc, time::Duration};

use actix_http::{ConnectionType, RequestHead};
use awc::http::{
    Method, Version,
    header::{self, HeaderName, HeaderValue},
};
use bytes::Bytes;
use rand::RngExt as _;

use super::{
    dialler::{BoxedStream, Dialler as _, Target},
    entropy::with_entropy,
    gate::Gate,
    tcp::Tcp,
    tls::Tls,
    upgrade::{Answer, UpgradeError, exchange},
};
use crate::{
    lifecycle::{DialError, DialPhase, ExitReason},
    policy::{AccessPolicy, Allowed, Scheme},
    protocol::{HandshakeError, Key, Offer, ResponseHead},
    spec::{Headers, Settings},
    supervision::{Heed, Outcome},
};

/// All that an attempt needs to know. It was checked before: the URL is allowed, and the headers
/// and subprotocols can be written.
pub(crate) struct Route {
    pub(crate) allowed: Allowed,
    pub(crate) policy: AccessPolicy,
    pub(crate) headers: Headers,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) settings: Arc<Settings>,
    /// The supervisor's; absent for a connection that is used alone.
    pub(crate) gate: Option<Gate>,
    /// An attempt is under way that the gate has not let through.
    pub(crate) waits_for_turn: Cell<bool>,
}

/// A stream on which the opening handshake is done.
pub(crate) struct Opened {
    pub(super) io: BoxedStream,
    pub(super) rest: Bytes,
    pub(crate) subprotocol: Option<Arc<str>>,
}

/// One attempt, once it is its turn.
pub(crate) async fn dial(route: Rc<Route>, heed: Heed) -> Result<Opened, ExitReason> {
    let Some(gate) = &route.gate else { return attempt(&route).await };
    route.waits_for_turn.set(true);
    let permit = gate.enter(&route.allowed.url().origin().into(), heed).await;
    route.waits_for_turn.set(false);
    let attempted = attempt(&route).await;
    permit.ended(outcome(&attempted));
    attempted
}

/// What an attempt says of the host.
fn outcome(attempted: &Result<Opened, ExitReason>) -> Outcome {
    match attempted {
        Err(ExitReason::Handshake(HandshakeError::Status { code: 500..=599, .. })) => {
            Outcome::Failed
        }
        Ok(_) | Err(ExitReason::Handshake(_)) => Outcome::Reached,
        // These say something of us.
        Err(ExitReason::Dial(DialError::AddressBlocked { .. } | DialError::TlsUnavailable(_))) => {
            Outcome::Unknown
        }
        Err(_) => Outcome::Failed,
    }
}

/// A stream to the server, TLS where the URL asks for it, and the opening handshake, each
/// within its time.
async fn attempt(route: &Route) -> Result<Opened, ExitReason> {
    let url = route.allowed.url();
    let Settings { timeouts, dialler, tls, .. } = &*route.settings;
    let target = Target::new(&route.allowed, &route.policy);
    let stream = match dialler {
        Some(dialler) => dialler.0.dial(target),
        None => Tcp.dial(target),
    };
    let io = within(timeouts.connect, DialPhase::Connect, stream).await??;
    let io = match url.scheme() {
        Scheme::Ws => io,
        Scheme::Wss => {
            let tls = match tls {
                Some(tls) => tls.clone(),
                None => Tls::public().map_err(|e| DialError::TlsUnavailable(e.to_string()))?,
            };
            within(timeouts.tls, DialPhase::Tls, tls.connect(url.host(), io)).await??
        }
    };
    within(timeouts.handshake, DialPhase::Handshake, shake_hands(route, io)).await?
}

async fn within<T>(
    limit: Duration,
    phase: DialPhase,
    work: impl Future<Output = T>,
) -> Result<T, DialError> {
    let timeout = |_| DialError::Timeout { phase, limit };
    tokio::time::timeout(limit, work).await.map_err(timeout)
}

async fn shake_hands(route: &Route, io: BoxedStream) -> Result<Opened, ExitReason> {
    let key = Key::from_random(with_entropy(|rng| rng.random()));
    let head = request_head(route, &key)?;
    let Answer { head, io, rest } = exchange(io, head).await.map_err(|error| match error {
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
    let offer = Offer { key: &key, subprotocols: &route.subprotocols, subprotocol_required: false };
    let accepted = offer.check(&answer).map_err(ExitReason::Handshake)?;
    Ok(Opened { io, rest, subprotocol: accepted.subprotocol.map(Arc::from) })
}

/// The upgrade request of RFC 6455 §4.1.
fn request_head(route: &Route, key: &Key) -> Result<RequestHead, DialError> {
    let url = route.allowed.url();
    let mut head = RequestHead::default();
    head.method = Method::GET;
    head.version = Version::HTTP_11;
    head.uri = url.request_target().parse().map_err(unwritable)?;
    head.set_connection_type(ConnectionType::Upgrade);
    head.set_camel_case_headers(true);

    let headers = &mut head.headers;
    headers.insert(header::HOST, header_value(url.authority())?);
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, header_value(key.as_str())?);
    if !route.subprotocols.is_empty() {
        let offered = header_value(&route.subprotocols.join(", "))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    for (name, value) in route.headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(unwritable)?;
        headers.append(name, header_value(value)?);
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
