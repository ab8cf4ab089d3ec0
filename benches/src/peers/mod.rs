//! The other clients, each as its own users would run it.

mod awc;
mod fastwebsockets;
mod tokio_tungstenite;
mod tokio_websockets;

use anyhow::Result;

pub(crate) use self::{
    awc::Awc, fastwebsockets::FastWebsockets, tokio_tungstenite::TokioTungstenite,
    tokio_websockets::TokioWebsockets,
};

/// A client without actors: connect, then read in a loop.
pub(crate) trait Peer {
    type Socket: 'static;

    /// Connects with the client's own defaults, `TCP_NODELAY` where it can be chosen, and no limit
    /// on the number of connections.
    async fn connect(url: &str) -> Result<Self::Socket>;

    /// Reads until the server closes, and shows each text message.
    async fn read(socket: Self::Socket, show: impl FnMut(&[u8])) -> Result<()>;
}
