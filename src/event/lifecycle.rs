use actix::Message;

use super::Lease;
use crate::lifecycle::{ConnectionId, Epoch, LifecycleEvent};

/// A change in a connection's life.
///
/// A subscriber that has 1,024 of them waiting in its mailbox loses the next ones, and is told how
/// many by [`LifecycleEvent::Lagged`] as soon as there is room; its
/// [`Subscription`](crate::Subscription) may choose otherwise.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Lifecycle {
    /// The attempt or session that this is about.
    pub epoch: Epoch,
    /// Place in the order of all events of the connection.
    pub seq: u64,
    /// What happened.
    pub event: LifecycleEvent,
    pub(crate) lease: Lease,
}

/// What is told, before it is on its way to anybody.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) epoch: Epoch,
    pub(crate) seq: u64,
    pub(crate) event: LifecycleEvent,
}

impl Lifecycle {
    /// The connection that this is about.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        self.lease.connection()
    }
}
