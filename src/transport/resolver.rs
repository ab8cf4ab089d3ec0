use std::{fmt, io, net::IpAddr, pin::Pin, sync::Arc};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use tokio::sync::Semaphore;

use crate::lifecycle::ResolveError;

/// Finds the addresses of names: the platform's resolver unless you give another, such as hickory.
///
/// It is asked once for each attempt, within [`Timeouts::resolve`](crate::Timeouts::resolve). What it
/// answers is judged by the access policy, and only what that allows is connected to. It is not asked
/// for `localhost` and the names below it (RFC 6761 §6.3), nor for addresses.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
/// use wsvisor::{ResolveError, Resolver, Resolving};
///
/// /// Knows one name.
/// struct Fixed;
///
/// impl Resolver for Fixed {
///     fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
///         Box::pin(async move {
///             match name {
///                 "stream.example.com" => Ok(vec![IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34))]),
///                 _ => Err(ResolveError::NotFound),
///             }
///         })
///     }
/// }
///
/// let settings = wsvisor::Settings::default().resolver(Fixed);
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a name, those to be preferred first. The name is as it stands in a
    /// [`CanonicalUrl`](crate::CanonicalUrl): lower case, ASCII, without a dot at the end.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// A lookup under way.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + 'a>>;

/// The platform's resolver: `getaddrinfo`, with its hosts file, its cache and its order of
/// preference (RFC 6724).
///
/// It blocks a thread for each lookup. A lookup that hangs cannot be stopped, so at most 16 are under
/// way in the process, and others wait for their turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

/// Threads that may hang in a lookup.
static LOOKUPS: Semaphore = Semaphore::const_new(16);

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let failed = |error| ResolveError::Failed(Arc::new(io::Error::other(error)));
            let permit = LOOKUPS.acquire().await.map_err(failed)?;
            let name = name.to_owned();
            let lookup = tokio::task::spawn_blocking(move || {
                // Given back when the thread comes back, and not when nobody waits any more.
                let _permit = permit;
                look_up(&name)
            });
            let gone = |error| ResolveError::Failed(Arc::new(io::Error::other(error)));
            lookup.await.map_err(gone)?
        })
    }
}

fn look_up(name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    match getaddrinfo(Some(name), None, Some(hints)) {
        // Addresses of families that we do not know are errors, and are skipped.
        Ok(found) => Ok(found.filter_map(Result::ok).map(|info| info.sockaddr.ip()).collect()),
        Err(error) => Err(match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => ResolveError::NotFound,
            LookupErrorKind::Again => ResolveError::Unavailable,
            _ => ResolveError::Failed(Arc::new(error.into())),
        }),
    }
}

/// A shared resolver, as settings hold it.
#[derive(Clone)]
pub(crate) struct SharedResolver(pub(super) Arc<dyn Resolver>);

impl SharedResolver {
    pub(crate) fn new(resolver: impl Resolver) -> Self {
        Self(Arc::new(resolver))
    }
}

impl fmt::Debug for SharedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_knows_itself() {
        let addresses = look_up("localhost").unwrap();
        assert!(
            !addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback),
            "{addresses:?}"
        );
        assert!(look_up("nothing.invalid").is_err());
        assert!(look_up("nul\0byte").is_err());
    }

    #[tokio::test]
    async fn so_many_lookups_are_under_way_at_most() {
        let hanging = LOOKUPS.acquire_many(16).await.unwrap();
        let mut lookup = SystemResolver.resolve("localhost");
        let waited = tokio::time::timeout(std::time::Duration::from_millis(50), &mut lookup).await;
        assert!(waited.is_err(), "it has no thread");
        drop(hanging);
        assert!(lookup.await.unwrap().iter().all(IpAddr::is_loopback));
    }
}
