use anyhow::{Result, anyhow};
use awc::{
    BoxedSocket, Client, Connector,
    ws::{Codec, Frame, Message},
};
use futures_util::{SinkExt as _, StreamExt as _};

use super::Peer;

/// A type of actix-codec, which awc does not name.
type Framed = actix_codec::Framed<BoxedSocket, Codec>;

pub(crate) struct Awc;

thread_local! {
    /// One for all connections, as its documentation asks for.
    static CLIENT: Client = Client::builder().connector(Connector::new().limit(0)).finish();
}

impl Peer for Awc {
    type Socket = Framed;

    async fn connect(url: &str) -> Result<Framed> {
        let request = CLIENT.with(|client| client.ws(url));
        let (_, framed) = request.connect().await.map_err(|error| anyhow!("{error}"))?;
        Ok(framed)
    }

    async fn read(mut framed: Framed, mut show: impl FnMut(&[u8])) -> Result<()> {
        while let Some(frame) = framed.next().await {
            match frame.map_err(|error| anyhow!("{error}"))? {
                Frame::Text(text) => show(&text),
                Frame::Ping(payload) => {
                    let pong = Message::Pong(payload);
                    framed.send(pong).await.map_err(|error| anyhow!("{error}"))?;
                }
                Frame::Close(_) => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }
}
