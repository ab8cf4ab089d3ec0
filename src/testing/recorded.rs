use std::fmt;

use crate::{ConnectionId, Epoch, LifecycleEvent, OwnedPayload, Payload};

/// One event that a [`Recorder`](super::Recorder) was told.
///
/// Its text is one line: epoch, event, and what matters about it, as in `1 Connected`,
/// `1 text {"n":1}`, `2 overlap text {"n":1}` or `1 Disconnected 1006 unclean: the peer ended …`.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The connection that told it.
    pub connection: ConnectionId,
    /// The attempt or session that it is about.
    pub epoch: Epoch,
    /// Its place in the order of all events of the connection.
    pub seq: u64,
    /// What was told.
    pub what: What,
    /// It is a message in the overlap of a [`Rotation`](crate::Rotation)
    /// ([`Received::is_overlap`](crate::Received::is_overlap)).
    pub overlap: bool,
}

/// An event of a connection's life, or a message.
#[derive(Clone, Debug)]
pub enum What {
    /// An event of its life.
    Lifecycle(LifecycleEvent),
    /// A message.
    Message(OwnedPayload),
}

impl Recorded {
    /// The lifecycle event, if it is one.
    #[must_use]
    pub const fn lifecycle(&self) -> Option<&LifecycleEvent> {
        match &self.what {
            What::Lifecycle(event) => Some(event),
            What::Message(_) => None,
        }
    }

    /// The message, if it is one.
    #[must_use]
    pub const fn message(&self) -> Option<&OwnedPayload> {
        match &self.what {
            What::Lifecycle(_) => None,
            What::Message(payload) => Some(payload),
        }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.epoch)?;
        if self.overlap {
            f.write_str("overlap ")?;
        }
        match &self.what {
            What::Lifecycle(LifecycleEvent::Disconnected { code, was_clean, reason, .. }) => {
                let how = if *was_clean { "clean" } else { "unclean" };
                write!(f, "Disconnected {} {how}: {reason}", code.get())
            }
            What::Lifecycle(event) => write!(f, "{event}"),
            What::Message(payload) => match payload.as_payload() {
                Payload::Text(text) => write!(f, "text {}", Beginning(text)),
                Payload::Binary(bytes) => {
                    let shown = bytes.get(..LONG).unwrap_or(bytes);
                    let more = if bytes.len() > LONG { " …" } else { "" };
                    write!(f, "binary of {} bytes: \"{}\"{more}", bytes.len(), shown.escape_ascii())
                }
            },
        }
    }
}

/// A text, cut where it gets long.
struct Beginning<'a>(&'a str);

const LONG: usize = 120;

impl fmt::Display for Beginning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(LONG) {
            Some((end, _)) => {
                let shown = self.0.get(..end).unwrap_or_default();
                write!(f, "{shown} … ({} bytes)", self.0.len())
            }
            None => f.write_str(self.0),
        }
    }
}
