//! Who is measured.

use std::str::FromStr;

/// A client, and for wsvisor what of a connection its subscriber asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Wsvisor(Subscribed),
    FastWebsockets,
    TokioWebsockets,
    TokioTungstenite,
    Awc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribed {
    /// The connection's life only.
    Lifecycle,
    /// And its messages, one actor message for each.
    Each,
    /// And its messages, one actor message for all of one read.
    Batches,
}

impl Client {
    const ALL: [Self; 7] = [
        Self::Wsvisor(Subscribed::Lifecycle),
        Self::Wsvisor(Subscribed::Each),
        Self::Wsvisor(Subscribed::Batches),
        Self::FastWebsockets,
        Self::TokioWebsockets,
        Self::TokioTungstenite,
        Self::Awc,
    ];

    /// Its name in tables, and on the command line of a measurement.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wsvisor(Subscribed::Lifecycle) => "wsvisor",
            Self::Wsvisor(Subscribed::Each) => "wsvisor Received",
            Self::Wsvisor(Subscribed::Batches) => "wsvisor ReceivedBatch",
            Self::FastWebsockets => "fastwebsockets 0.10",
            Self::TokioWebsockets => "tokio-websockets 0.13",
            Self::TokioTungstenite => "tokio-tungstenite 0.30",
            Self::Awc => "awc 3 Framed",
        }
    }
}

impl FromStr for Client {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|client| client.name() == name);
        known.ok_or_else(|| format!("there is no client {name:?}"))
    }
}
