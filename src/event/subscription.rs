use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use actix::Recipient;

use super::{Lifecycle, Received, ReceivedBatch};

/// Who wants to know what of a connection. Made from a recipient: its message type says what it
/// gets.
///
/// ```
/// # use actix::prelude::*;
/// # use wsvisor::{Lifecycle, Received, Subscription};
/// # fn subscribe(events: Recipient<Lifecycle>, messages: Recipient<Received>) {
/// let lifecycle = Subscription::from(events);
/// let messages = Subscription::from(messages);
/// assert_ne!(lifecycle.id(), messages.id());
/// # }
/// ```
#[derive(Clone)]
pub struct Subscription {
    id: SubscriptionId,
    pub(crate) to: Subscriber,
}

/// Names a subscription, to end it with [`Unsubscribe`](crate::Unsubscribe).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionId(u64);

#[derive(Clone)]
pub(crate) enum Subscriber {
    Lifecycle(Recipient<Lifecycle>),
    Each(Recipient<Received>),
    Batches(Recipient<ReceivedBatch>),
}

impl Subscription {
    /// Its name, unique in this process.
    #[must_use]
    pub const fn id(&self) -> SubscriptionId {
        self.id
    }

    fn new(to: Subscriber) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: SubscriptionId(NEXT.fetch_add(1, Ordering::Relaxed)), to }
    }
}

impl From<Recipient<Lifecycle>> for Subscription {
    fn from(recipient: Recipient<Lifecycle>) -> Self {
        Self::new(Subscriber::Lifecycle(recipient))
    }
}

impl From<Recipient<Received>> for Subscription {
    fn from(recipient: Recipient<Received>) -> Self {
        Self::new(Subscriber::Each(recipient))
    }
}

impl From<Recipient<ReceivedBatch>> for Subscription {
    fn from(recipient: Recipient<ReceivedBatch>) -> Self {
        Self::new(Subscriber::Batches(recipient))
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match self.to {
            Subscriber::Lifecycle(_) => "lifecycle",
            Subscriber::Each(_) => "each message",
            Subscriber::Batches(_) => "batches of messages",
        };
        f.debug_struct("Subscription").field("id", &self.id.0).field("to", &to).finish()
    }
}
