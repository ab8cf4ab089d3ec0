use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    entropy::masking_key,
    protocol::{OpCode, Payload, encode_frame},
};

/// What a session replies at once to a message, in its own turn: the way of
/// [`Settings::reply_with`](crate::Settings::reply_with).
///
/// Replies go out before any message that waits but the session's greeting, in the order in which they were made, and
/// are not held back by the send limit, as a [`Heartbeat`](crate::Heartbeat) is not. They are sent as they are given, uncompressed. What
/// becomes of them is not told: who has to know sends by the address or a [`Sender`](crate::Sender).
pub struct Replies<'a>(&'a mut Vec<u8>);

impl<'a> Replies<'a> {
    /// Behind the frames that are there.
    pub(crate) const fn behind(frames: &'a mut Vec<u8>) -> Self {
        Self(frames)
    }

    /// Replies with a text message.
    pub fn text(&mut self, text: impl AsRef<str>) {
        encode_frame(self.0, OpCode::Text, text.as_ref().as_bytes(), masking_key());
    }

    /// Replies with a binary message.
    pub fn binary(&mut self, bytes: impl AsRef<[u8]>) {
        encode_frame(self.0, OpCode::Binary, bytes.as_ref(), masking_key());
    }

    /// Replies with a value as JSON, in a text message.
    ///
    /// # Errors
    ///
    /// If the value cannot be JSON, such as a map whose keys are not strings. Then it does not reply.
    pub fn json(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), serde_json::Error> {
        serde_json::to_string(value).map(|text| self.text(text))
    }
}

impl fmt::Debug for Replies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replies({} bytes)", self.0.len())
    }
}

/// A shared function that replies.
#[derive(Clone)]
pub(crate) struct SharedReplier(pub(crate) Arc<Replier>);

type Replier = dyn Fn(Payload<'_>, &mut Replies<'_>) + Send + Sync;

impl fmt::Debug for SharedReplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replier(..)")
    }
}
