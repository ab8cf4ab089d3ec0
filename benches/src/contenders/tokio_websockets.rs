use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Uri;
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

use super::{Peer, Show};

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

    async fn next(socket: &mut Self::Socket, show: &mut impl Show) -> Result<bool> {
        while let Some(message) = socket.next().await {
            let message = message?;
            match message.as_text() {
                Some(text) => show.text(text),
                None if message.is_binary() => show.bytes(message.as_payload()),
                None => continue,
            }
            return Ok(true);
        }
        Ok(false)
    }

    async fn feed(socket: &mut Self::Socket, text: &str) -> Result<()> {
        Ok(socket.feed(Message::text(text.to_owned())).await?)
    }

    async fn flush(socket: &mut Self::Socket) -> Result<()> {
        Ok(socket.flush().await?)
    }
}
