use std::{cell::RefCell, io, rc::Rc};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};

use super::{Network, Peer, Server, Stream};
use crate::policy::CanonicalUrl;

/// A proxy in a [`Network`]: it leads to the servers of the same network, and tells what it was asked
/// for. It is gone when it is dropped.
///
/// ```
/// use wsvisor::testing::{Network, Proxy};
///
/// wsvisor::testing::virtual_time(1, async {
///     let network = Network::new();
///     let server = network.listen("ws://bots.example.com");
///     let proxy = Proxy::http(&network, "proxy.example.com:3128");
///     let settings = wsvisor::Settings::default()
///         .dialler(network)
///         .proxy("http://proxy.example.com:3128".parse::<wsvisor::Proxy>().unwrap());
///     // … connect to `server` with these settings …
///     assert!(proxy.asked().is_empty());
/// });
/// ```
#[derive(Debug)]
pub struct Proxy {
    asked: Asked,
    task: tokio::task::JoinHandle<()>,
}

/// Where connections were to lead, in order, and with which credentials.
type Asked = Rc<RefCell<Vec<ProxyRequest>>>;

/// What a proxy was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyRequest {
    /// Host and port of the server, as it was written.
    pub target: String,
    /// The value of `Proxy-Authorization`, or user name and password with a colon between.
    pub credentials: Option<String>,
}

impl Proxy {
    /// An HTTP proxy at this host and port.
    ///
    /// It needs a running [`actix_rt`] arbiter or tokio `LocalSet`.
    ///
    /// # Panics
    /// When that is no place.
    #[must_use]
    pub fn http(network: &Network, place: &str) -> Self {
        Self::start(network, place, Protocol::Http)
    }

    /// A SOCKS5 proxy at this host and port. It asks for user name and password when the client has
    /// some to offer.
    ///
    /// It needs a running [`actix_rt`] arbiter or tokio `LocalSet`.
    ///
    /// # Panics
    /// When that is no place.
    #[must_use]
    pub fn socks5(network: &Network, place: &str) -> Self {
        Self::start(network, place, Protocol::Socks5)
    }

    fn start(network: &Network, place: &str, protocol: Protocol) -> Self {
        let server = network.listen(&format!("ws://{place}"));
        let asked = Asked::default();
        let task =
            tokio::task::spawn_local(accept(server, network.clone(), protocol, Rc::clone(&asked)));
        Self { asked, task }
    }

    /// What it was asked for until now.
    #[must_use]
    pub fn asked(&self) -> Vec<ProxyRequest> {
        self.asked.borrow().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http,
    Socks5,
}

async fn accept(server: Server, network: Network, protocol: Protocol, asked: Asked) {
    loop {
        let peer = server.accept_patiently().await;
        let (network, asked) = (network.clone(), Rc::clone(&asked));
        tokio::task::spawn_local(async move {
            // A client that goes away, or asks wrongly, is left alone.
            let _ = match protocol {
                Protocol::Http => serve_http(peer, &network, &asked).await,
                Protocol::Socks5 => serve_socks5(peer.into_stream(), &network, &asked).await,
            };
        });
    }
}

async fn serve_http(mut peer: Peer, network: &Network, asked: &Asked) -> io::Result<()> {
    let request = peer.try_request().await?;
    let mut words = request.request_line().split(' ');
    let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
        return peer.try_write("HTTP/1.1 405 Method Not Allowed\r\n\r\n").await;
    };
    let credentials = request.header("proxy-authorization").map(str::to_owned);
    asked.borrow_mut().push(ProxyRequest { target: target.to_owned(), credentials });
    let Some(mut far) = dial(network, target) else {
        return peer.try_write("HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    };
    peer.try_write("HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut peer.into_stream(), &mut far).await?;
    Ok(())
}

async fn serve_socks5(mut near: Stream, network: &Network, asked: &Asked) -> io::Result<()> {
    const PASSWORD: u8 = 2;
    let [_version, methods] = read(&mut near).await?;
    let mut offered = vec![0; methods.into()];
    near.read_exact(&mut offered).await?;
    let mut credentials = None;
    if offered.contains(&PASSWORD) {
        near.write_all(&[5, PASSWORD]).await?;
        let [_version] = read(&mut near).await?;
        let (user, password) = (read_text(&mut near).await?, read_text(&mut near).await?);
        credentials = Some(format!("{user}:{password}"));
        near.write_all(&[1, 0]).await?;
    } else {
        near.write_all(&[5, 0]).await?;
    }
    let [_version, _connect, _reserved, kind] = read(&mut near).await?;
    let host = match kind {
        1 => std::net::Ipv4Addr::from(read::<4>(&mut near).await?).to_string(),
        4 => format!("[{}]", std::net::Ipv6Addr::from(read::<16>(&mut near).await?)),
        _ => read_text(&mut near).await?,
    };
    let target = format!("{host}:{}", near.read_u16().await?);
    asked.borrow_mut().push(ProxyRequest { target: target.clone(), credentials });
    let far = dial(network, &target);
    let status = if far.is_some() { 0 } else { 5 };
    near.write_all(&[5, status, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    if let Some(mut far) = far {
        copy_bidirectional(&mut near, &mut far).await?;
    }
    Ok(())
}

async fn read<const N: usize>(stream: &mut Stream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// A text behind its length.
async fn read_text(stream: &mut Stream) -> io::Result<String> {
    let mut text = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A stream to whichever server listens there, of `wss` or of `ws`.
fn dial(network: &Network, target: &str) -> Option<super::Pipe> {
    ["wss", "ws"].into_iter().find_map(|scheme| {
        let url = CanonicalUrl::parse(&format!("{scheme}://{target}")).ok()?;
        network.open_if_known(url.origin())?.ok()
    })
}
