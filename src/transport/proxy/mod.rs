//! The way to a server through a proxy. Where there is one, there is no other way.

mod http;
mod socks;

use tokio_socks::TargetAddr;

use super::{
    Tls,
    dialler::{BoxedStream, Dialler as _, Target},
    standing::Standing,
    tcp::Tcp,
};
use crate::{
    lifecycle::{DialError, ProxyFailure},
    policy::Allowed,
    spec::{Dns, Proxy, ProxyKind, Settings},
};

/// A stream to the server of an allowed URL, made by `proxy`.
pub(super) async fn tunnel(
    proxy: &Proxy,
    allowed: &Allowed,
    standing: &Standing,
    settings: &Settings,
) -> Result<BoxedStream, DialError> {
    let failed = |failure| DialError::Proxy { proxy: proxy.to_string(), failure };
    let unreachable = |error| match error {
        // The proxy has no part in what this machine lacks.
        DialError::Local { .. } => error,
        _ => failed(ProxyFailure::Unreachable(Box::new(error))),
    };
    let url = allowed.url();
    match proxy.kind {
        ProxyKind::Http | ProxyKind::Https => {
            let stream = reach(proxy, settings).await.map_err(unreachable)?;
            http::connect(stream, url, proxy.login.as_ref()).await.map_err(failed)
        }
        ProxyKind::Socks5(Dns::Remote) => {
            let target = socks::named(url).map_err(failed)?;
            let stream = reach(proxy, settings).await.map_err(unreachable)?;
            socks::connect(stream, target, proxy.login.as_ref()).await.map_err(failed)
        }
        ProxyKind::Socks5(Dns::Local) => {
            // Only what the access policy allows, and one after the other.
            let target = Target::new(allowed, standing, settings);
            let mut last = None;
            for address in target.addresses().await? {
                let stream = reach(proxy, settings).await.map_err(unreachable)?;
                match socks::connect(stream, TargetAddr::Ip(address), proxy.login.as_ref()).await {
                    Ok(stream) => {
                        target.reached(address.ip());
                        return Ok(stream);
                    }
                    Err(failure) if failure.is_of_server() => last = Some(failure),
                    Err(failure) => return Err(failed(failure)),
                }
            }
            let host = url.host().to_string();
            Err(last.map_or(DialError::NoAddress { host }, failed))
        }
    }
}

/// A stream to the proxy itself, by the dialler that would be used without it.
async fn reach(proxy: &Proxy, settings: &Settings) -> Result<BoxedStream, DialError> {
    let standing = Standing::under(proxy.policy.clone());
    let target = Target::new(&proxy.place, &standing, settings);
    let tcp = Tcp::default();
    let stream = match &settings.dialler {
        Some(dialler) => dialler.0.dial(target),
        None => tcp.dial(target),
    };
    let stream = stream.await?;
    if proxy.kind != ProxyKind::Https {
        return Ok(stream);
    }
    Tls::of(settings)?.connect(proxy.place.url().host(), stream).await
}
