use super::{Route, within};
use crate::{
    lifecycle::{DialError, DialPhase},
    policy::{Allowed, CanonicalUrl, Scheme},
    transport::{
        Tls,
        dialler::{BoxedStream, Dialler as _, Target},
        tcp::Tcp,
    },
};

/// A stream to the server that the URL names.
pub(super) async fn open(route: &Route, allowed: &Allowed) -> Result<BoxedStream, DialError> {
    let target = Target::new(allowed, &route.standing, &route.settings);
    let tcp = Tcp::default();
    let stream = match &route.settings.dialler {
        Some(dialler) => dialler.0.dial(target),
        None => tcp.dial(target),
    };
    within(route.settings.timeouts.connect, DialPhase::Connect, stream).await?
}

/// The same stream, through TLS where the URL asks for it.
pub(super) async fn secure(
    route: &Route,
    url: &CanonicalUrl,
    io: BoxedStream,
) -> Result<BoxedStream, DialError> {
    if url.scheme() == Scheme::Ws {
        return Ok(io);
    }
    let tls = match &route.settings.tls {
        Some(tls) => tls.clone(),
        None => Tls::public().map_err(|error| DialError::TlsUnavailable(error.to_string()))?,
    };
    within(route.settings.timeouts.tls, DialPhase::Tls, tls.connect(url.host(), io)).await?
}
