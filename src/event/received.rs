use std::sync::Arc;

use actix::Message;
use serde::Deserialize;

use super::{Lease, parcel::Share};
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
///
/// The messages of one read come in their order, the next when the one before was dropped, or all that are
/// left with the session's next turn. What others send to the subscriber meanwhile may come between them;
/// what the connection tells comes after them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Received {
    /// The session that received it.
    pub epoch: Epoch,
    /// Place in the order of all events of the connection.
    pub seq: u64,
    pub(crate) share: Share,
}

/// What one read completed, before it is on its way to anybody, or what is left of it for somebody.
#[derive(Clone, Debug)]
pub(crate) struct Haul {
    pub(crate) epoch: Epoch,
    pub(crate) first_seq: u64,
    pub(crate) batch: Arc<Batch>,
    /// The messages' places in the order of all events, where they do not follow each other.
    pub(crate) places: Option<Arc<[u64]>>,
    /// They came outside of their session's time.
    pub(crate) overlap: bool,
}

/// What few batches have.
#[derive(Debug)]
pub(crate) struct Rare {
    pub(crate) places: Option<Arc<[u64]>>,
    pub(crate) lagged: u64,
    pub(crate) overlap: bool,
}

/// All messages that were completed by one read from the socket, in order. One of 8 KiB or more that took several
/// reads comes alone, uncopied.
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
    /// messages take the following numbers, unless a filter left some out ([`seqs`](Self::seqs)).
    pub first_seq: u64,
    pub(crate) batch: Arc<Batch>,
    pub(crate) lease: Lease,
    /// Boxed because it is rare.
    pub(crate) rare: Option<Box<Rare>>,
}

impl Haul {
    pub(crate) const fn new(epoch: Epoch, first_seq: u64, batch: Arc<Batch>) -> Self {
        Self { epoch, first_seq, batch, places: None, overlap: false }
    }

    /// The place of the message at `index` in the order of all events.
    pub(crate) fn seq(&self, index: usize) -> u64 {
        let place = self.places.as_ref().and_then(|places| places.get(index).copied());
        place.unwrap_or(self.first_seq + index as u64)
    }

    pub(crate) fn seqs(&self) -> impl Iterator<Item = u64> {
        seqs(self.first_seq, self.batch.len(), self.places.as_deref())
    }

    /// What is left of it, if anything: `keep` is asked about each message and its index.
    pub(crate) fn pick(&self, mut keep: impl FnMut(usize, Payload<'_>) -> bool) -> Option<Self> {
        let messages = self.batch.iter().enumerate();
        let kept: Vec<bool> = messages.map(|(index, message)| keep(index, message)).collect();
        let is_kept = |index: usize| kept.get(index).copied().unwrap_or(false);
        let places: Arc<[u64]> = self
            .seqs()
            .enumerate()
            .filter_map(|(index, seq)| is_kept(index).then_some(seq))
            .collect();
        if places.len() == kept.len() {
            return Some(self.clone());
        }
        let first_seq = *places.first()?;
        let batch = Arc::new(self.batch.subset(is_kept));
        let (epoch, overlap) = (self.epoch, self.overlap);
        Some(Self { epoch, first_seq, batch, places: Some(places), overlap })
    }
}

fn seqs(first: u64, len: usize, places: Option<&[u64]>) -> impl Iterator<Item = u64> {
    (first..).zip(0..len).map(move |(following, index)| {
        places.and_then(|places| places.get(index).copied()).unwrap_or(following)
    })
}

impl Received {
    /// The connection that received it.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        self.share.connection()
    }

    /// How many messages were lost between the last one that this subscriber got and this one.
    #[must_use]
    pub fn lagged(&self) -> u64 {
        self.share.lagged()
    }

    /// Whether it came in the overlap of a [`Rotation`](crate::Rotation), outside of its session's time
    /// between `Connected` and `Disconnected`: before its session took over, or while it drained. Its
    /// place among the messages of the other session means nothing then, and either session may have
    /// brought what the other did. Never where no rotation was opted in to.
    #[must_use]
    pub fn is_overlap(&self) -> bool {
        self.share.is_overlap()
    }

    /// The message, borrowed.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        self.share.payload()
    }

    /// The text, where it is a text message. On a JSON connection it is valid JSON.
    #[inline]
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
        self.share.owned()
    }
}

impl ReceivedBatch {
    /// The connection that received them.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        self.lease.connection()
    }

    /// How many messages were lost between the last one that this subscriber got and the first of
    /// these.
    #[must_use]
    pub fn lagged(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.lagged)
    }

    /// Whether they came in the overlap of a [`Rotation`](crate::Rotation), as
    /// [`Received::is_overlap`] has it.
    #[must_use]
    pub fn is_overlap(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.overlap)
    }

    /// The messages' places in the order of all events of the connection.
    pub fn seqs(&self) -> impl Iterator<Item = u64> {
        let places = self.rare.as_ref().and_then(|rare| rare.places.as_deref());
        seqs(self.first_seq, self.batch.len(), places)
    }

    /// How many messages there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// The messages, borrowed, in order.
    #[inline]
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

    #[inline]
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
