use std::fmt;

use super::{DialError, ExitReason};
use crate::protocol::HandshakeError;

/// Which rule decided what an end means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassRule {
    /// It was told to end.
    Command,
    /// The default table ([`ExitClass::of`](crate::ExitClass::of)), by the row for this.
    Table(String),
    /// A rule of the connection's [`ExitRules`](crate::ExitRules).
    Exception(String),
    /// The connection's own [`Classify`](crate::Classify).
    Classify,
}

impl ClassRule {
    /// The row of the default table by which this end is judged.
    pub(super) fn row(reason: &ExitReason) -> Self {
        Self::Table(match reason {
            ExitReason::ClosedByPeer(_) => format!("close {}", reason.close_code().get()),
            ExitReason::Redirect { status: code, .. }
            | ExitReason::Handshake(HandshakeError::Status { code, .. })
            | ExitReason::Unauthorized { refusal: HandshakeError::Status { code, .. }, .. } => {
                format!("HTTP status {code}")
            }
            ExitReason::Handshake(_) | ExitReason::Unauthorized { .. } => {
                "a wrong handshake".into()
            }
            ExitReason::Eof { .. } | ExitReason::Io(_) => "a lost connection (1006)".into(),
            ExitReason::Dial(DialError::Resolve { .. } | DialError::NoAddress { .. }) => {
                "a name without an address".into()
            }
            ExitReason::Dial(DialError::Tls { .. }) => "failed TLS".into(),
            ExitReason::Dial(_) => "a failed dial".into(),
            ExitReason::Protocol(_) => "refused bytes".into(),
            ExitReason::PolicyDenied(_) => "the access policy".into(),
            ExitReason::Crashed(_)
            | ExitReason::ArbiterStopped
            | ExitReason::SupervisorPanicked
            | ExitReason::SupervisorGaveUp { .. } => "a crash".into(),
            _ => "ends of this kind".into(),
        })
    }
}

impl fmt::Display for ClassRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command => f.write_str("a command"),
            Self::Table(row) => write!(f, "the default table, row `{row}`"),
            Self::Exception(rule) => write!(f, "the connection's exit rule `{rule}`"),
            Self::Classify => f.write_str("the connection's own Classify"),
        }
    }
}
