use anyhow::Result;
use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config, tungstenite::Message,
};

use super::Peer;

pub(crate) struct TokioTungstenite;

impl Peer for TokioTungstenite {
    type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

    async fn connect(url: &str) -> Result<Self::Socket> {
        let disable_nagle = true;
        let (socket, _) = connect_async_with_config(url, None, disable_nagle).await?;
        Ok(socket)
    }

    async fn read(mut socket: Self::Socket, mut show: impl FnMut(&[u8])) -> Result<()> {
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message? {
                show(text.as_bytes());
            }
        }
        Ok(())
    }
}
