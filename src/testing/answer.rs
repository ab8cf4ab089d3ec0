use std::{fmt, io, time::Duration};

use super::{Peer, UpgradeRequest};

/// How a server answers the upgrade request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Accept { headers: String },
    Status { status: String, headers: String },
    WrongKey,
    NoKey,
    Raw(Vec<u8>),
    By(fn(&UpgradeRequest) -> String),
    EndlessHead,
    Dripped(Duration),
    Silence,
}

impl Answer {
    pub(super) async fn give(&self, peer: &mut Peer) -> io::Result<()> {
        let request = peer.try_request().await?;
        match self {
            Self::Accept { headers } => peer.try_write(request.acceptance(headers)).await,
            Self::Status { status, headers } => {
                peer.try_write(format!("HTTP/1.1 {status}\r\n{headers}\r\n")).await
            }
            Self::WrongKey => {
                // The answer to the example key of RFC 6455 §1.3.
                let another = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
                peer.try_write(request.acceptance("").replace(&request.accept(), another)).await
            }
            Self::NoKey => {
                let accept = format!("Sec-WebSocket-Accept: {}\r\n", request.accept());
                peer.try_write(request.acceptance("").replace(&accept, "")).await
            }
            Self::Raw(bytes) => peer.try_write(bytes).await,
            Self::By(answer) => peer.try_write(answer(&request)).await,
            Self::EndlessHead => {
                peer.try_write("HTTP/1.1 101 Switching Protocols\r\n").await?;
                let lines = "X-More: and more\r\n".repeat(64);
                // It ends when the client has had enough.
                while peer.try_write(&lines).await.is_ok() {}
                Ok(())
            }
            Self::Dripped(pause) => peer.drip(request.acceptance("").as_bytes(), *pause).await,
            Self::Silence => Ok(()),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept { headers } if headers.is_empty() => f.write_str("accept"),
            Self::Accept { headers } => write!(f, "accept with {}", headers.escape_debug()),
            Self::Status { status, .. } => write!(f, "refuse with {status}"),
            Self::WrongKey => f.write_str("accept another key"),
            Self::NoKey => f.write_str("accept no key"),
            Self::Raw(bytes) => write!(f, "answer with {} bytes", bytes.len()),
            Self::By(_) => f.write_str("answer by a function"),
            Self::EndlessHead => f.write_str("answer without end"),
            Self::Dripped(pause) => write!(f, "accept with one byte each {pause:?}"),
            Self::Silence => f.write_str("answer nothing"),
        }
    }
}
