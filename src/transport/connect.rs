//! From a host to a stream: resolve, judge, and race the addresses that are allowed.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use super::{
    dialler::{BoxedStream, ByteStream, Target},
    resolver::{Resolver, SystemResolver},
};
use crate::{
    lifecycle::{AddressFailure, AddressFate, DialError, ResolveError},
    policy::{Host, Race, is_localhost},
};

/// Addresses of one answer that are looked at. A resolver that answers more is not to cost more.
const MAX_ANSWERS: usize = 64;

/// The addresses of a host: those that may be connected to, and those that may not.
struct Judged {
    allowed: Vec<SocketAddr>,
    blocked: Vec<AddressFailure>,
}

impl Target<'_> {
    /// Resolves the URL's host, asks the access policy about each address, and connects to those that
    /// it allows with `connect`, as RFC 8305 ("Happy Eyeballs") says: families alternate, the next
    /// address is tried 250 ms after the one before or when that has failed, and the first stream
    /// wins. This is what [`Tcp`](crate::Tcp) does, with a `connect` of its own.
    ///
    /// # Errors
    /// When the host has no address, none is allowed, or none answers in time: with what became of
    /// each.
    pub async fn connect_with<S, F>(
        self,
        connect: impl Fn(SocketAddr) -> F,
    ) -> Result<BoxedStream, DialError>
    where
        S: ByteStream + 'static,
        F: Future<Output = io::Result<S>>,
    {
        let Judged { allowed, blocked } = self.judged_addresses().await?;
        match race(allowed, connect, self.deadline()).await {
            Ok((address, stream)) => {
                // The policy may have changed while it was connected to.
                if let Err(blocked) = self.check_address(address.ip()) {
                    let fate = AddressFate::Blocked(blocked);
                    return Err(self.no_address(vec![AddressFailure { address, fate }], vec![]));
                }
                self.reached(address.ip());
                Ok(Box::new(stream))
            }
            Err(failures) => Err(self.no_address(blocked, failures)),
        }
    }

    /// The addresses of the URL's host that the access policy allows, the preferred one first.
    /// Connect to no others, and do not resolve the host again.
    ///
    /// # Errors
    /// When the host cannot be resolved, has no address, or none is allowed.
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, DialError> {
        let Judged { allowed, blocked } = self.judged_addresses().await?;
        if allowed.is_empty() { Err(self.no_address(blocked, Vec::new())) } else { Ok(allowed) }
    }

    async fn judged_addresses(&self) -> Result<Judged, DialError> {
        let port = self.url().port();
        let mut judged = Judged { allowed: Vec::new(), blocked: Vec::new() };
        for ip in self.resolve().await?.into_iter().take(MAX_ANSWERS) {
            let address = SocketAddr::new(ip, port);
            match self.check_address(ip) {
                Ok(()) => judged.allowed.push(address),
                Err(blocked) => {
                    let fate = AddressFate::Blocked(blocked);
                    judged.blocked.push(AddressFailure { address, fate });
                }
            }
        }
        Ok(judged)
    }

    async fn resolve(&self) -> Result<Vec<IpAddr>, DialError> {
        let name = match self.url().host() {
            Host::V4(ip) => return Ok(vec![ip.into()]),
            Host::V6(ip) => return Ok(vec![ip.into()]),
            // RFC 6761 §6.3: the name of this machine is not a question for DNS.
            Host::Name(name) if is_localhost(name) => {
                return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
            }
            Host::Name(name) => name,
        };
        let limit = self.settings().timeouts.resolve;
        let deadline = (Instant::now() + limit).min(self.deadline());
        let lookup = match &self.settings().resolver {
            Some(resolver) => resolver.0.resolve(name),
            None => SystemResolver.resolve(name),
        };
        let answer = timeout_at(deadline, lookup).await;
        let answer = answer.unwrap_or(Err(ResolveError::TimedOut(limit)));
        answer.map_err(|source| DialError::unresolved(name, source))
    }

    fn no_address(&self, blocked: Vec<AddressFailure>, tried: Vec<AddressFailure>) -> DialError {
        let host = self.url().host().to_string();
        match (blocked.is_empty(), tried.is_empty()) {
            (true, true) => DialError::NoAddress { host },
            (false, true) => {
                DialError::AddressBlocked { host, addresses: blocked.into_iter().collect() }
            }
            (_, false) => DialError::tcp(host, blocked.into_iter().chain(tried).collect()),
        }
    }
}

/// Connects to the addresses by turns. The first stream wins, and the others are dropped.
async fn race<S, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
    deadline: Instant,
) -> Result<(SocketAddr, S), Vec<AddressFailure>>
where
    F: Future<Output = io::Result<S>>,
{
    // One address is no race, and what a race needs takes more than the rest of the dial.
    if let [address] = *addresses {
        let fate = match timeout_at(deadline, connect(address)).await {
            Ok(Ok(stream)) => return Ok((address, stream)),
            Ok(Err(error)) => AddressFate::Failed(Arc::new(error)),
            Err(_) => AddressFate::TimedOut,
        };
        return Err(vec![AddressFailure { address, fate }]);
    }
    let (mut race, too_many) = Race::new(addresses);
    let (mut tried, mut under_way) = (Vec::<AddressFailure>::new(), FuturesUnordered::new());
    loop {
        while let Some(address) = race.next(Instant::now().into_std()) {
            let (index, attempt) = (tried.len(), connect(address));
            tried.push(AddressFailure { address, fate: AddressFate::TimedOut });
            under_way.push(async move { (index, attempt.await) });
        }
        let wake_at = race.wake_at().map_or(deadline, |at| deadline.min(at.into()));
        match timeout_at(wake_at, under_way.next()).await {
            Ok(Some((index, Ok(stream)))) => {
                if let Some(won) = tried.get(index) {
                    return Ok((won.address, stream));
                }
            }
            Ok(Some((index, Err(error)))) => {
                if let Some(lost) = tried.get_mut(index) {
                    lost.fate = AddressFate::Failed(Arc::new(error));
                }
                race.failed();
            }
            Ok(None) => break,
            Err(_) if Instant::now() >= deadline => break,
            Err(_) => {}
        }
    }
    let not_tried = race.left().chain(too_many);
    let not_tried =
        not_tried.map(|address| AddressFailure { address, fate: AddressFate::NotTried });
    Err(tried.into_iter().chain(not_tried).collect())
}
