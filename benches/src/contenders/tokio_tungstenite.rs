use anyhow::Result;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config, tungstenite::Message,
};

use super::{Peer, Show};

pub(crate) struct TokioTungstenite;

impl Peer for TokioTungstenite {
    type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

    async fn connect(url: &str) -> Result<Self::Socket> {
        let disable_nagle = true;
        let (socket, _) = connect_async_with_config(url, None, disable_nagle).await?;
        Ok(socket)
    }

    async fn next(socket: &mut Self::Socket, show: &mut impl Show) -> Result<bool> {
        while let Some(message) = socket.next().await {
            match message? {
                Message::Text(text) => show.text(&text),
                Message::Binary(bytes) => show.bytes(&bytes),
                _ => continue,
            }
            return Ok(true);
        }
        Ok(false)
    }

    async fn feed(socket: &mut Self::Socket, text: &str) -> Result<()> {
        Ok(socket.feed(Message::text(text)).await?)
    }

    async fn flush(socket: &mut Self::Socket) -> Result<()> {
        Ok(socket.flush().await?)
    }
}
