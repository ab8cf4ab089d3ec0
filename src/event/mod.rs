//! What subscribers receive: lifecycle events and messages, as actor messages.
//!
//! | event | sent for | a subscriber gets it by |
//! | --- | --- | --- |
//! | [`Lifecycle`] | each change of the connection's life | `Recipient<Lifecycle>` |
//! | [`ReceivedBatch`] | all messages of one read from the socket | `Recipient<ReceivedBatch>` |
//! | [`Received`] | each message | `Recipient<Received>` |
//!
//! Each carries the connection's id, its epoch and a sequence number that rises by one with each
//! event of the connection, messages included. A batch takes one number for each of its messages. Events of
//! an older epoch never follow those of a newer, but for messages that a [`Rotation`](crate::Rotation) marks.

mod history;
mod lane;
mod lifecycle;
mod parcel;
mod received;
mod subscription;

pub use history::History;
pub(crate) use history::Ring;
pub(crate) use lane::{Lane, Lease, MAX_BYTES, MAX_EVENTS};
pub use lifecycle::Lifecycle;
pub(crate) use lifecycle::Moment;
pub(crate) use parcel::OneByOne;
pub(crate) use received::{Haul, Rare};
pub use received::{Received, ReceivedBatch};
pub use subscription::{Overflow, Subscription};
pub(crate) use subscription::{Subscriber, Wishes};
