use anyhow::{Result, anyhow};
use awc::{
    BoxedSocket, Client, Connector,
    ws::{Codec, Frame, Message},
};
use futures_util::{SinkExt, StreamExt as _};

use super::{Peer, Show};

/// A type of actix-codec, which awc does not name.
pub(super) type Framed = actix_codec::Framed<BoxedSocket, Codec>;

pub(crate) struct Awc;

thread_local! {
    /// One for all connections, as its documentation asks for.
    static CLIENT: Client = Client::builder().connector(Connector::new().limit(0)).finish();
}

/// Its default of 64 KiB is for a frame, and a larger one is refused.
const LARGEST: usize = 64 * 1024 * 1024;

impl Peer for Awc {
    type Socket = Framed;

    async fn connect(url: &str) -> Result<Framed> {
        let request = CLIENT.with(|client| client.ws(url)).max_frame_size(LARGEST);
        let (_, framed) = request.connect().await.map_err(|error| anyhow!("{error}"))?;
        Ok(framed)
    }

    async fn next(framed: &mut Framed, show: &mut impl Show) -> Result<bool> {
        while let Some(frame) = framed.next().await {
            match frame.map_err(|error| anyhow!("{error}"))? {
                Frame::Text(bytes) | Frame::Binary(bytes) => {
                    show.bytes(&bytes);
                    return Ok(true);
                }
                Frame::Ping(payload) => {
                    let pong = Message::Pong(payload);
                    framed.send(pong).await.map_err(|error| anyhow!("{error}"))?;
                }
                Frame::Close(_) => return Ok(false),
                _ => {}
            }
        }
        Ok(false)
    }

    async fn feed(framed: &mut Framed, text: &str) -> Result<()> {
        let text = Message::Text(text.to_owned().into());
        framed.feed(text).await.map_err(|error| anyhow!("{error}"))
    }

    async fn flush(framed: &mut Framed) -> Result<()> {
        SinkExt::<Message>::flush(framed).await.map_err(|error| anyhow!("{error}"))
    }
}
