use std::sync::Arc;

use actix::Message;
use serde::Deserialize;

use super::Lease;
use crate::{
    lifecycle::{ConnectionId, Epoch},
    protocol::{Batch, OwnedPayload, Payload},
};

/// One WebSocket message.
///
/// It counts against what its subscriber may have in flight until it, and the others that came with
/// the same read, are dropped or turned into their payloads: a subscriber that keeps many of them
/// makes the connection stop reading. Keep the payload ([`into_payload`](Self::into_payload))
/// instead.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Received {
    /// The session that received it.
    pub epoch: Epoch,
    /// Place in the order of all events of the connection.
    pub seq: u64,
    /// Its place in the parcel's batch.
    pub(crate) index: usize,
    pub(crate) parcel: Arc<Parcel>,
}

/// The messages of one read on their way to one subscriber. Those that are delivered one by one
/// share it: one lease and one count for all of them.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) batch: Arc<Batch>,
    pub(crate) lease: Lease,
}

/// All messages that were completed by one read from the socket, in order.
///
/// This is the fast form: one actor message for as many WebSocket messages as had arrived, which
/// share one buffer. It counts against what its subscriber may have in flight until it is dropped.
///
/// ```
/// use wsvisor::{Payload, ReceivedBatch};
///
/// fn total_text(batch: &ReceivedBatch) -> usize {
///     batch.iter().filter_map(|message| message.as_text()).map(str::len).sum()
/// }
/// ```
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReceivedBatch {
    /// The session that received them.
    pub epoch: Epoch,
    /// The first message's place in the order of all events of the connection; the following
    /// messages take the following numbers.
    pub first_seq: u64,
    pub(crate) batch: Arc<Batch>,
    pub(crate) lease: Lease,
}

impl Received {
    /// The connection that received it.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        self.parcel.lease.connection()
    }

    /// The message, borrowed.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        // Only the places of messages are handed out.
        self.parcel.batch.get(self.index).unwrap_or(Payload::Binary(&[]))
    }

    /// The text, where it is a text message. On a JSON connection it is valid JSON.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.payload().as_text()
    }

    /// The message as a value of yours.
    ///
    /// # Errors
    /// When it does not have the shape of `T`, or is not JSON.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        json(self.payload())
    }

    /// The message, owned and without a copy. It no longer counts as in flight.
    #[must_use]
    pub fn into_payload(self) -> OwnedPayload {
        let payload = self.parcel.batch.get_owned(self.index);
        payload.unwrap_or_else(|| Payload::Binary(&[]).into())
    }
}

impl ReceivedBatch {
    /// The connection that received them.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        self.lease.connection()
    }

    /// How many messages there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// The messages, borrowed, in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Payload<'_>> + DoubleEndedIterator {
        self.batch.iter()
    }

    /// The messages as values of yours, in order, each with its own result.
    pub fn json<'a, T: Deserialize<'a>>(
        &'a self,
    ) -> impl ExactSizeIterator<Item = serde_json::Result<T>> {
        self.batch.iter().map(json)
    }

    /// The messages, owned and without a copy. They share the batch's buffer, which lives as long
    /// as any of them. They do not count as in flight once the batch is dropped.
    pub fn owned(&self) -> impl Iterator<Item = OwnedPayload> {
        (0..self.batch.len()).filter_map(|index| self.batch.get_owned(index))
    }
}

impl<'a> IntoIterator for &'a ReceivedBatch {
    type Item = Payload<'a>;
    type IntoIter = crate::protocol::Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.batch.iter()
    }
}

fn json<'a, T: Deserialize<'a>>(payload: Payload<'a>) -> serde_json::Result<T> {
    match payload {
        Payload::Text(text) => serde_json::from_str(text),
        Payload::Binary(bytes) => serde_json::from_slice(bytes),
    }
}
