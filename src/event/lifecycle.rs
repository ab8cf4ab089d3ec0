use actix::Message;

use super::Lease;
use crate::lifecycle::{ConnectionId, Epoch, LifecycleEvent};

/// A change in a connection's life.
///
/// A subscriber that has 1,024 of them waiting in its mailbox loses the next ones, and is told how
/// many by [`LifecycleEvent::Lagged`] as soon as there is room.
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

impl Lifecycle {
    /// The connection that this is about.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        self.lease.connection()
    }
}
