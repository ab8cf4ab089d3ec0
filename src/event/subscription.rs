use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use actix::Recipient;

use super::{Lifecycle, Received, ReceivedBatch};
use crate::lifecycle::{ConnectionId, FieldValue, Filter, LifecycleKind, SubscriptionId};

/// Who wants to know what of a connection, and what becomes of what it has no room for.
///
/// The recipient's message type says what it gets: [`Lifecycle`], [`Received`] or [`ReceivedBatch`].
/// What is told to one subscription is in order; two subscriptions of one actor that may lose
/// or queue events are each in order for themselves.
///
/// ```
/// # use wsvisor::testing::{connected, text, disconnected};
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().send_text(r#"{"channel":"books"}"#).send_text(r#"{"channel":"trades"}"#).close(1000)]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// # let (recorder, mut alarmed, mut traded) = (Recorder::start(), Recorder::start(), Recorder::start());
/// # let (batches, events, messages) = (recorder.batches(), alarmed.lifecycle(), traded.messages());
/// let everything = Subscription::to(batches);
/// let alarms = Subscription::to(events)
///     .only_events([LifecycleKind::Disconnected, LifecycleKind::GaveUp])
///     .with_state();
/// let ticker = Subscription::to(messages)
///     .capacity(100)
///     .drop_oldest()
///     .only_text()
///     .where_field("channel", "trades")
///     .replay(10);
///
/// let spec = ConnectionSpec::json("bot", server.url())
///     .settings(Settings::default().history(History::last(10)))
///     .subscribe(everything)
///     .subscribe(alarms);
/// let bot = supervisor.send(StartConnection(spec)).await??;
/// # alarmed.expect(disconnected().code(1000)).await;
/// // It comes late, and is told what it missed and wants.
/// bot.send(Subscribe::new(ticker)).await?;
/// # traded.expect(text(r#"{"channel":"trades"}"#)).await;
/// # drop(bot);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Subscription {
    id: SubscriptionId,
    pub(crate) to: Subscriber,
    pub(crate) wishes: Option<Box<Wishes>>,
}

/// Shared by all connections of a fleet: a recipient of each one's own takes three pieces of memory.
#[derive(Clone)]
pub(crate) enum Subscriber {
    Lifecycle(Arc<Recipient<Lifecycle>>),
    Each(Arc<Recipient<Received>>),
    Batches(Arc<Recipient<ReceivedBatch>>),
}

/// What a subscription asks for beyond the default.
#[derive(Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) capacity: Option<usize>,
    pub(crate) capacity_bytes: Option<usize>,
    pub(crate) overflow: Option<Overflow>,
    pub(crate) filter: Filter,
    pub(crate) kinds: Option<Arc<[LifecycleKind]>>,
    connections: Option<Chosen>,
    pub(crate) replay: usize,
    pub(crate) state: bool,
}

type Chosen = Arc<dyn Fn(&ConnectionId) -> bool + Send + Sync>;

/// What becomes of an event when as many are on their way to its subscriber as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The connection stops reading its socket until there is room. The default for messages.
    /// Lifecycle events that come all the same are dropped and counted.
    HoldBack,
    /// It is dropped and counted. The default for lifecycle events.
    DropNewest,
    /// It is queued, and the oldest that is queued makes room for it and is counted.
    DropOldest,
    /// The subscription ends, and lifecycle subscribers are told with
    /// [`LifecycleEvent::Unsubscribed`](crate::LifecycleEvent::Unsubscribed).
    Unsubscribe,
}

impl Subscription {
    /// Tells a recipient of [`Lifecycle`], [`Received`] or [`ReceivedBatch`].
    pub fn to(recipient: impl Into<Self>) -> Self {
        recipient.into()
    }

    /// Its name, unique in this process.
    #[must_use]
    pub const fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Sets how many events may be on their way to it from each connection: in its mailbox, or kept
    /// by it, or queued. 1 at least. A read's worth of messages may exceed it. Default: 1,024.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.wishes().capacity = Some(events.max(1));
        self
    }

    /// Sets how many bytes of messages may be on their way to it from each connection. Default: 4 MiB.
    #[must_use]
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.wishes().capacity_bytes = Some(bytes.max(1));
        self
    }

    /// Sets what becomes of what it has no room for.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.wishes().overflow = Some(overflow);
        self
    }

    /// [`Overflow::HoldBack`]: loses nothing and slows the server down.
    #[must_use]
    pub fn hold_back(self) -> Self {
        self.overflow(Overflow::HoldBack)
    }

    /// [`Overflow::DropNewest`]: what comes while it is busy is lost.
    #[must_use]
    pub fn drop_newest(self) -> Self {
        self.overflow(Overflow::DropNewest)
    }

    /// [`Overflow::DropOldest`]: gets the latest. Half of its capacity is in its mailbox, and half in
    /// a queue from which the oldest are dropped.
    #[must_use]
    pub fn drop_oldest(self) -> Self {
        self.overflow(Overflow::DropOldest)
    }

    /// [`Overflow::Unsubscribe`]: whoever is too slow is left behind.
    #[must_use]
    pub fn unsubscribe_when_full(self) -> Self {
        self.overflow(Overflow::Unsubscribe)
    }

    /// Only text messages. Means nothing for lifecycle events.
    #[must_use]
    pub fn only_text(mut self) -> Self {
        self.wishes().filter.restrict_to_text(true);
        self
    }

    /// Only binary messages. Means nothing for lifecycle events.
    #[must_use]
    pub fn only_binary(mut self) -> Self {
        self.wishes().filter.restrict_to_text(false);
        self
    }

    /// Only JSON objects in which this top-level field has this value. Means nothing for lifecycle
    /// events.
    #[must_use]
    pub fn where_field(mut self, name: impl Into<Box<str>>, value: impl Into<FieldValue>) -> Self {
        let wishes = self.wishes();
        wishes.filter = std::mem::take(&mut wishes.filter).and_field(name, value);
        self
    }

    /// Only the messages that a filter means, in place of the filters before it.
    #[must_use]
    pub fn only_messages(mut self, filter: Filter) -> Self {
        self.wishes().filter = filter;
        self
    }

    /// Only lifecycle events of these kinds. Means nothing for messages.
    #[must_use]
    pub fn only_events(mut self, kinds: impl IntoIterator<Item = LifecycleKind>) -> Self {
        self.wishes().kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Only these connections, of all those of a supervisor.
    #[must_use]
    pub fn only_connections<I>(self, ids: impl IntoIterator<Item = I>) -> Self
    where
        I: Into<ConnectionId>,
    {
        let ids: Vec<ConnectionId> = ids.into_iter().map(Into::into).collect();
        self.connections_where(move |id| ids.contains(id))
    }

    /// Only connections for whose id `test` says yes. It is asked once for each, when the
    /// subscription reaches it.
    #[must_use]
    pub fn connections_where(
        mut self,
        test: impl Fn(&ConnectionId) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.wishes().connections = Some(Arc::new(test));
        self
    }

    /// First tells the last events, or messages, that the connection keeps
    /// ([`Settings::history`](crate::Settings::history)): so many at most, with the epochs and sequence
    /// numbers that they had.
    #[must_use]
    pub fn replay(mut self, last: usize) -> Self {
        self.wishes().replay = last;
        self
    }

    /// First tells a lifecycle subscriber where the connection is in its life, with
    /// [`LifecycleEvent::Currently`](crate::LifecycleEvent::Currently), after what is replayed.
    #[must_use]
    pub fn with_state(mut self) -> Self {
        self.wishes().state = true;
        self
    }

    fn new(to: Subscriber) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = SubscriptionId::numbered(NEXT.fetch_add(1, Ordering::Relaxed));
        Self { id, to, wishes: None }
    }

    fn wishes(&mut self) -> &mut Wishes {
        self.wishes.get_or_insert_default()
    }

    /// Whether it is for this connection.
    pub(crate) fn means(&self, connection: &ConnectionId) -> bool {
        let chosen = self.wishes.as_ref().and_then(|wishes| wishes.connections.as_ref());
        chosen.is_none_or(|chosen| chosen(connection))
    }
}

impl From<Recipient<Lifecycle>> for Subscription {
    fn from(recipient: Recipient<Lifecycle>) -> Self {
        Self::new(Subscriber::Lifecycle(recipient.into()))
    }
}

impl From<Recipient<Received>> for Subscription {
    fn from(recipient: Recipient<Received>) -> Self {
        Self::new(Subscriber::Each(recipient.into()))
    }
}

impl From<Recipient<ReceivedBatch>> for Subscription {
    fn from(recipient: Recipient<ReceivedBatch>) -> Self {
        Self::new(Subscriber::Batches(recipient.into()))
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match self.to {
            Subscriber::Lifecycle(_) => "lifecycle",
            Subscriber::Each(_) => "each message",
            Subscriber::Batches(_) => "batches of messages",
        };
        let mut shown = f.debug_struct("Subscription");
        shown.field("id", &self.id).field("to", &to);
        if let Some(wishes) = &self.wishes {
            shown.field("overflow", &wishes.overflow).field("filter", &wishes.filter);
        }
        shown.finish_non_exhaustive()
    }
}
