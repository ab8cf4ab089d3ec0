use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use tokio::net::{TcpStream, lookup_host};

use super::dialler::{BoxedStream, Dialler, Dialling, Target};
use crate::{lifecycle::DialError, policy::Host};

/// The dialler of connections that were given no other: resolves the URL's host, and connects to
/// the first address that the access policy allows and that answers. Nagle's algorithm is off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dialler for Tcp {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        Box::pin(connect(target))
    }
}

async fn connect(target: Target<'_>) -> Result<BoxedStream, DialError> {
    let host = || target.url().host().to_string();
    let mut failure = DialError::NoAddress { host: host() };
    for address in resolve(target).await? {
        if let Err(blocked) = target.check_address(address.ip()) {
            failure = DialError::AddressBlocked { host: host(), blocked };
            continue;
        }
        match open(address).await {
            Ok(stream) => return Ok(Box::new(stream)),
            Err(source) => failure = DialError::Tcp { address, source: Arc::new(source) },
        }
    }
    Err(failure)
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn resolve(target: Target<'_>) -> Result<Vec<SocketAddr>, DialError> {
    let port = target.url().port();
    match target.url().host() {
        Host::V4(ip) => Ok(vec![(ip, port).into()]),
        Host::V6(ip) => Ok(vec![(ip, port).into()]),
        // RFC 6761 §6.3: the name of this machine is not a question for DNS.
        Host::Name("localhost") => {
            Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()])
        }
        Host::Name(name) => {
            let failed = |source: io::Error| DialError::Resolve {
                host: name.to_owned(),
                source: Arc::new(source),
            };
            Ok(lookup_host((name, port)).await.map_err(failed)?.collect())
        }
    }
}
