use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use hyper::Uri;
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, WebSocketStream};

use super::Peer;

pub(crate) struct TokioWebsockets;

impl Peer for TokioWebsockets {
    type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

    async fn connect(url: &str) -> Result<Self::Socket> {
        let uri: Uri = url.parse()?;
        let (socket, _) = ClientBuilder::from_uri(uri).connect().await?;
        let MaybeTlsStream::Plain(tcp) = socket.get_ref();
        tcp.set_nodelay(true).context("TCP_NODELAY")?;
        Ok(socket)
    }

    async fn read(mut socket: Self::Socket, mut show: impl FnMut(&[u8])) -> Result<()> {
        while let Some(message) = socket.next().await {
            if let Some(text) = message?.as_text() {
                show(text.as_bytes());
            }
        }
        Ok(())
    }
}
