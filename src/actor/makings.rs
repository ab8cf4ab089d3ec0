use std::sync::Arc;

use super::fanout::Fanout;
use crate::{
    event::Subscription,
    lifecycle::ConnectionId,
    policy::AccessPolicy,
    spec::{Kind, Settings},
};

/// What a connection is made of, whoever starts it.
pub(super) struct Makings {
    pub(super) id: ConnectionId,
    pub(super) kind: Kind,
    pub(super) policy: AccessPolicy,
    pub(super) settings: Arc<Settings>,
}

impl Makings {
    /// The fan-out of a new connection, with its first subscribers.
    pub(super) fn fanout(&self, subscriptions: impl IntoIterator<Item = Subscription>) -> Fanout {
        let mut fanout = Fanout::new(self.id.clone(), self.kind, self.settings.history);
        for subscription in subscriptions {
            fanout.subscribe(subscription, None);
        }
        fanout
    }
}
