use super::{Route, within};
use crate::{
    lifecycle::{DialError, DialPhase},
    policy::{Allowed, CanonicalUrl, Scheme},
    transport::{
        Tls,
        dialler::{BoxedStream, Dialler as _, Target},
        proxy,
        tcp::Tcp,
    },
};

/// A stream to the server that the URL names: through a proxy where there is one for it, and then
/// never past it.
pub(super) async fn open(route: &Route, allowed: &Allowed) -> Result<BoxedStream, DialError> {
    let settings = &route.settings;
    let proxy = settings.proxies.as_ref().and_then(|proxies| proxies.of_url(allowed.url()));
    if let Some(proxy) = proxy {
        // Boxed because it is large, and most dial without.
        let tunnel = Box::pin(proxy::tunnel(proxy, allowed, &route.standing, settings));
        return within(settings.timeouts.proxy, DialPhase::Proxy, tunnel).await?;
    }
    let target = Target::new(allowed, &route.standing, settings);
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
    let tls = Tls::of(&route.settings)?;
    // Boxed because it is large, as the rest of an attempt is not.
    let secured = Box::pin(tls.connect(url.host(), io));
    within(route.settings.timeouts.tls, DialPhase::Tls, secured).await?
}
