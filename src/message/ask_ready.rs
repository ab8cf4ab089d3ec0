use std::fmt;

use actix::Message;

use crate::{
    lifecycle::{ConnectionId, Epoch},
    protocol::{OwnedPayload, Payload},
};

/// Asks a user's recipient whether these messages make their session ready; see
/// [`Readiness::asked`](crate::Readiness::asked).
#[derive(Clone, Message)]
#[rtype(result = "bool")]
#[non_exhaustive]
pub struct AskReady {
    /// Whose session it is.
    pub connection: ConnectionId,
    /// Which session.
    pub epoch: Epoch,
    pub(crate) messages: Vec<OwnedPayload>,
}

impl AskReady {
    /// What one read of the socket completed, in order; at least one message.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Payload<'_>> + DoubleEndedIterator {
        self.messages.iter().map(OwnedPayload::as_payload)
    }
}

impl fmt::Debug for AskReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A payload may hold a secret.
        let Self { connection, epoch, messages } = self;
        write!(f, "AskReady({connection}, epoch {epoch}, {} messages)", messages.len())
    }
}
