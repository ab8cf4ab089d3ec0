//! The clients, each as its own users would run it.

mod awc;
mod ezsockets;
mod fastwebsockets;
mod stream_handler;
mod tokio_tungstenite;
mod tokio_websockets;
mod wsvisor;

use std::{fmt, str::FromStr};

use anyhow::{Result, bail};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub(crate) use self::{
    awc::Awc,
    ezsockets::EzSockets,
    fastwebsockets::FastWebsockets,
    stream_handler::AwcStreamHandler,
    tokio_tungstenite::TokioTungstenite,
    tokio_websockets::TokioWebsockets,
    wsvisor::{Subject, Wiring},
};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Wsvisor(Wiring),
    FastWebsockets,
    TokioWebsockets,
    TokioTungstenite,
    /// awc's `Framed`, read in a loop.
    Awc,
    /// awc's `Framed` as a stream of an actor.
    AwcStreamHandler,
    EzSockets,
}

/// Is shown each message that a client receives.
pub(crate) trait Show: Send + Unpin + 'static {
    /// What the client knows to be UTF-8.
    fn text(&mut self, text: &str);
    /// What it does not.
    fn bytes(&mut self, bytes: &[u8]);
}

/// Looks at nothing.
pub(crate) struct Deaf;

impl Show for Deaf {
    fn text(&mut self, _: &str) {}
    fn bytes(&mut self, _: &[u8]) {}
}

/// A client without a supervisor: connect, then read and write.
pub(crate) trait Peer: 'static {
    type Socket: 'static;

    /// Connects with the client's own defaults, `TCP_NODELAY` where it can be chosen, and no limit
    /// on the number of connections or the size of a message.
    async fn connect(url: &str) -> Result<Self::Socket>;

    /// Reads one message, if it is not the last.
    async fn next(socket: &mut Self::Socket, show: &mut impl Show) -> Result<bool>;

    /// Sends a text, which may wait for [`flush`](Self::flush).
    async fn feed(socket: &mut Self::Socket, text: &str) -> Result<()>;

    /// Comes when all that was fed is handed to the socket.
    async fn flush(socket: &mut Self::Socket) -> Result<()>;

    /// Reads until the server closes.
    async fn read(mut socket: Self::Socket, mut show: impl Show) -> Result<()> {
        while Self::next(&mut socket, &mut show).await? {}
        Ok(())
    }
}

/// Runs `$body` with `$peer` as the type of the peer that `$contender` is.
macro_rules! with_peer {
    ($contender:expr, $peer:ident => $body:expr, $wiring:ident => $other:expr) => {
        match $contender {
            $crate::contenders::Contender::Wsvisor($wiring) => $other,
            $crate::contenders::Contender::FastWebsockets => {
                type $peer = $crate::contenders::FastWebsockets;
                $body
            }
            $crate::contenders::Contender::TokioWebsockets => {
                type $peer = $crate::contenders::TokioWebsockets;
                $body
            }
            $crate::contenders::Contender::TokioTungstenite => {
                type $peer = $crate::contenders::TokioTungstenite;
                $body
            }
            $crate::contenders::Contender::Awc => {
                type $peer = $crate::contenders::Awc;
                $body
            }
            $crate::contenders::Contender::AwcStreamHandler => {
                type $peer = $crate::contenders::AwcStreamHandler;
                $body
            }
            $crate::contenders::Contender::EzSockets => {
                type $peer = $crate::contenders::EzSockets;
                $body
            }
        }
    };
}
pub(crate) use with_peer;

impl Contender {
    pub(crate) const PEERS: [Self; 6] = [
        Self::FastWebsockets,
        Self::TokioWebsockets,
        Self::TokioTungstenite,
        Self::Awc,
        Self::AwcStreamHandler,
        Self::EzSockets,
    ];

    /// These wirings of wsvisor, and then all peers.
    pub(crate) fn beside_peers(wirings: &[Wiring]) -> Vec<Self> {
        wirings.iter().copied().map(Self::Wsvisor).chain(Self::PEERS).collect()
    }

    fn all() -> impl Iterator<Item = Self> {
        Wiring::ALL.into_iter().map(Self::Wsvisor).chain(Self::PEERS)
    }

    /// Its name in tables, and on the command line of a measurement.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wsvisor(wiring) => wiring.name(),
            Self::FastWebsockets => "fastwebsockets 0.10",
            Self::TokioWebsockets => "tokio-websockets 0.13",
            Self::TokioTungstenite => "tokio-tungstenite 0.30",
            Self::Awc => "awc 3 Framed",
            Self::AwcStreamHandler => "awc 3 StreamHandler",
            Self::EzSockets => "ezsockets 0.7",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Contender {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let Some(known) = Self::all().find(|contender| contender.name() == name) else {
            bail!("there is no client {name:?}")
        };
        Ok(known)
    }
}

/// As a task is handed to another process: its name.
impl Serialize for Contender {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Contender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}
