use std::{collections::BTreeMap, fmt, time::Duration};

use actix::prelude::*;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, error::TryRecvError};

use super::{Matcher, Recorded, What, patience::soon};
use crate::{ConnectionId, Epoch, Lifecycle, Received, ReceivedBatch};

/// A subscriber that hands all that it is told to a test.
///
/// The test awaits events by what it expects of them. What does not come as expected is a panic
/// that shows the whole history:
///
/// ```
/// # use wsvisor::{AccessPolicy, ConnectionSpec, StartConnection, Supervisor};
/// use wsvisor::testing::{Network, Recorder, Script, connected, disconnected, virtual_time};
///
/// virtual_time(1, async {
///     let network = Network::new();
///     let server = network.listen("ws://127.0.0.1:80").play([Script::new().accept().reset()]);
///     let mut recorder = Recorder::start();
///     # let policy = AccessPolicy::from_rules(["allow ws://127.0.0.1"]).unwrap();
///     # let supervisor = Supervisor::builder().policy(policy).dialler(network).start().unwrap();
///     let spec = ConnectionSpec::string("bot", server.url()).subscribe(recorder.lifecycle());
///     supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
///     recorder.expect(connected().epoch(1)).await;
///     recorder.until(disconnected().code(1006)).await;
/// });
/// ```
#[derive(Debug)]
pub struct Recorder {
    address: Addr<Scribe>,
    told: UnboundedReceiver<Recorded>,
    history: Vec<Recorded>,
    last: BTreeMap<ConnectionId, (Epoch, u64)>,
}

/// The actor: it passes all on.
#[derive(Debug)]
struct Scribe(UnboundedSender<Recorded>);

impl Recorder {
    /// Starts a recorder on the current arbiter.
    #[must_use]
    pub fn start() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let address = Scribe(tell).start();
        Self { address, told, history: Vec::new(), last: BTreeMap::new() }
    }

    /// To be subscribed to lifecycle events.
    #[must_use]
    pub fn lifecycle(&self) -> Recipient<Lifecycle> {
        self.address.clone().recipient()
    }

    /// To be subscribed to messages, one by one.
    #[must_use]
    pub fn messages(&self) -> Recipient<Received> {
        self.address.clone().recipient()
    }

    /// To be subscribed to messages, batch by batch. They are recorded one by one.
    #[must_use]
    pub fn batches(&self) -> Recipient<ReceivedBatch> {
        self.address.clone().recipient()
    }

    /// The next event. Each is checked for the order that is promised: the epoch of a connection
    /// never falls, but for messages in the overlap of a [`Rotation`](crate::Rotation), and its sequence
    /// number rises.
    ///
    /// # Panics
    /// When none comes in time, or it is out of order.
    pub async fn next(&mut self) -> &Recorded {
        let told = soon(Wanted("an event", &self.history), self.told.recv()).await;
        self.record(told.unwrap_or_else(|| panic!("the recorder was stopped")))
    }

    /// The next event is this one.
    ///
    /// # Panics
    /// When another comes, or none in time.
    pub async fn expect(&mut self, matcher: impl Into<Matcher>) -> &Recorded {
        let matcher = matcher.into();
        let next = soon(Wanted(&matcher, &self.history), self.told.recv()).await;
        if let Some(told) = next {
            let is_wanted = matcher.matches(&told);
            self.record(told);
            assert!(is_wanted, "expected {}", Wanted(&matcher, &self.history));
        }
        self.latest()
    }

    /// The next events are these, in this order.
    ///
    /// # Panics
    /// When another comes, or none in time.
    pub async fn expect_all<M: Into<Matcher>>(&mut self, matchers: impl IntoIterator<Item = M>) {
        for matcher in matchers {
            self.expect(matcher).await;
        }
    }

    /// Skips events up to the first that is this one.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn until(&mut self, matcher: impl Into<Matcher>) -> &Recorded {
        let matcher = matcher.into();
        loop {
            let next = soon(Wanted(&matcher, &self.history), self.told.recv()).await;
            let Some(told) = next else { panic!("the recorder was stopped") };
            let is_wanted = matcher.matches(&told);
            self.record(told);
            if is_wanted {
                return self.latest();
            }
        }
    }

    /// No event comes for so long. Meant for virtual time, where waiting costs nothing.
    ///
    /// # Panics
    /// When one comes.
    pub async fn expect_none(&mut self, for_time: Duration) {
        if let Ok(Some(told)) = tokio::time::timeout(for_time, self.told.recv()).await {
            self.record(told);
            panic!("expected {}", Wanted("no event", &self.history));
        }
    }

    /// All that came so far: what was awaited, and what waits to be.
    #[must_use]
    pub fn history(&mut self) -> &[Recorded] {
        loop {
            match self.told.try_recv() {
                Ok(told) => {
                    self.record(told);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return &self.history,
            }
        }
    }

    fn record(&mut self, told: Recorded) -> &Recorded {
        let last = self.last.get(&told.connection).copied();
        // A message that is marked says nothing of which session is up.
        let epoch = last.filter(|_| told.overlap).map_or(told.epoch, |(epoch, _)| epoch);
        let place = (epoch, told.seq);
        self.last.insert(told.connection.clone(), place);
        self.history.push(told);
        if let Some(last) = last {
            let in_order = last.0 <= place.0 && last.1 < place.1;
            assert!(in_order, "the order is broken {}", Wanted("", &self.history));
        }
        self.latest()
    }

    #[expect(clippy::expect_used, reason = "only asked after an event was recorded")]
    fn latest(&self) -> &Recorded {
        self.history.last().expect("the recorder was stopped")
    }
}

/// What was wanted, and all that came instead.
struct Wanted<'a, W>(W, &'a [Recorded]);

impl<W: fmt::Display> fmt::Display for Wanted<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at the end of this history:", self.0)?;
        for recorded in self.1 {
            let Recorded { connection, seq, .. } = recorded;
            write!(f, "\n  {connection} #{seq}: {recorded}")?;
        }
        if self.1.is_empty() { f.write_str(" (nothing)") } else { Ok(()) }
    }
}

impl Scribe {
    fn tell(
        &self,
        connection: &ConnectionId,
        (epoch, seq): (Epoch, u64),
        what: What,
        overlap: bool,
    ) {
        // A test may end before its last event.
        let connection = connection.clone();
        let _ = self.0.send(Recorded { connection, epoch, seq, what, overlap });
    }
}

impl Actor for Scribe {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Scribe {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        let place = (told.epoch, told.seq);
        self.tell(told.connection(), place, What::Lifecycle(told.event.clone()), false);
    }
}

impl Handler<Received> for Scribe {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        let payload = message.payload().into();
        let (place, overlap) = ((message.epoch, message.seq), message.is_overlap());
        self.tell(message.connection(), place, What::Message(payload), overlap);
    }
}

impl Handler<ReceivedBatch> for Scribe {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        for (message, seq) in batch.iter().zip(batch.seqs()) {
            let (place, overlap) = ((batch.epoch, seq), batch.is_overlap());
            self.tell(batch.connection(), place, What::Message(message.into()), overlap);
        }
    }
}
