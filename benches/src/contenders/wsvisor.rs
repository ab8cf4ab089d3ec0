//! wsvisor: connections, and the one subscriber of all of them.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, Arbiter, Context, Handler};
use anyhow::{Context as _, Result, bail};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wsvisor::{
    AccessPolicy, Connect, Connection, ConnectionSpec, DialGate, Lifecycle, LifecycleEvent,
    Payload, Received, ReceivedBatch, Settings, StartConnection, Supervisor,
};

use super::Show;

/// What of a connection is asked for, and how it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wiring {
    /// Its life only.
    Lifecycle,
    /// The same, and it is sent many messages at once.
    SendBatches,
    /// The same, and it is sent messages by a `Sender`.
    Sender,
    /// The same, and it replies to messages at once.
    Replies,
    /// And its messages, one actor message for each.
    Each,
    /// And its messages, one actor message for all of one read.
    Batches,
    /// The same, and the subscriber runs on another thread.
    BatchesAcross,
    /// The same as `Batches`, and no supervisor keeps it.
    BatchesAlone,
    /// The same as `Batches`, and JSON comes as texts that nobody checks before the subscriber reads them.
    BatchesUnchecked,
}

/// A supervisor, and the one subscriber of all its connections.
pub(crate) struct Subject<S: Show> {
    supervisor: Addr<Supervisor>,
    policy: AccessPolicy,
    subscriber: Addr<Subscriber<S>>,
    wiring: Wiring,
    json: bool,
    settings: Option<Arc<Settings>>,
    events: UnboundedReceiver<LifecycleEvent>,
    /// Those that nobody else keeps.
    alone: Vec<Addr<Connection>>,
    /// Where the subscriber runs, if not here.
    _arbiter: Option<Arbiter>,
}

struct Subscriber<S> {
    show: S,
    events: UnboundedSender<LifecycleEvent>,
}

impl Wiring {
    pub(super) const ALL: [Self; 9] = [
        Self::Lifecycle,
        Self::SendBatches,
        Self::Sender,
        Self::Replies,
        Self::Each,
        Self::Batches,
        Self::BatchesAcross,
        Self::BatchesAlone,
        Self::BatchesUnchecked,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "wsvisor",
            Self::SendBatches => "wsvisor SendBatch",
            Self::Sender => "wsvisor Sender",
            Self::Replies => "wsvisor reply_with",
            Self::Each => "wsvisor Received",
            Self::Batches => "wsvisor ReceivedBatch",
            Self::BatchesAcross => "wsvisor across arbiters",
            Self::BatchesAlone => "wsvisor unsupervised",
            Self::BatchesUnchecked => "wsvisor string",
        }
    }
}

impl<S: Show> Subject<S> {
    pub(crate) fn start(wiring: Wiring, show: S) -> Result<Self> {
        let policy = AccessPolicy::from_rules(["allow ws://127.0.0.1:*"])?;
        let (sender, events) = unbounded_channel();
        let subscriber = Subscriber { show, events: sender };
        let (subscriber, arbiter) = if wiring == Wiring::BatchesAcross {
            let arbiter = Arbiter::new();
            (Subscriber::start_in_arbiter(&arbiter.handle(), |_| subscriber), Some(arbiter))
        } else {
            (subscriber.start(), None)
        };
        // The peers' loops have no gate either.
        let mut supervisor = Supervisor::builder()
            .policy(policy.clone())
            .dial_gate(DialGate::unlimited())
            .subscribe(subscriber.clone().recipient::<Lifecycle>());
        supervisor = match wiring {
            Wiring::Lifecycle | Wiring::SendBatches | Wiring::Sender | Wiring::Replies => {
                supervisor
            }
            Wiring::Each => supervisor.subscribe(subscriber.clone().recipient::<Received>()),
            Wiring::Batches
            | Wiring::BatchesAcross
            | Wiring::BatchesAlone
            | Wiring::BatchesUnchecked => {
                supervisor.subscribe(subscriber.clone().recipient::<ReceivedBatch>())
            }
        };
        let supervisor = supervisor.start()?;
        let alone = Vec::new();
        Ok(Self {
            supervisor,
            policy,
            subscriber,
            wiring,
            json: false,
            settings: None,
            events,
            alone,
            _arbiter: arbiter,
        })
    }

    /// Connections whose messages are JSON.
    pub(crate) const fn json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// Connections from here on have these settings.
    pub(crate) fn settings(&mut self, settings: Settings) {
        self.settings = Some(settings.into());
    }

    /// Starts a connection, and waits until it is connected.
    pub(crate) async fn connect(&mut self, id: String, url: &str) -> Result<Addr<Connection>> {
        let address = self.start_connection(id, url).await?;
        self.connected().await?;
        Ok(address)
    }

    pub(crate) async fn start_connection(
        &mut self,
        id: String,
        url: &str,
    ) -> Result<Addr<Connection>> {
        if self.wiring == Wiring::BatchesAlone {
            self.start_alone(id, url).await
        } else {
            self.start_supervised(id, url).await
        }
    }

    /// Waits until one more connection is connected.
    pub(crate) async fn connected(&mut self) -> Result<()> {
        loop {
            match self.next_event().await? {
                LifecycleEvent::Connected { .. } => return Ok(()),
                event @ (LifecycleEvent::ConnectionError { .. }
                | LifecycleEvent::Disconnected { .. }) => bail!("{event}"),
                _ => {}
            }
        }
    }

    async fn start_supervised(&self, id: String, url: &str) -> Result<Addr<Connection>> {
        let spec = if self.json && self.wiring != Wiring::BatchesUnchecked {
            ConnectionSpec::json(id, url)
        } else {
            ConnectionSpec::string(id, url)
        };
        let spec = match &self.settings {
            Some(settings) => spec.settings(Arc::clone(settings)),
            None => spec,
        };
        Ok(self.supervisor.send(StartConnection(spec)).await??)
    }

    async fn start_alone(&mut self, id: String, url: &str) -> Result<Addr<Connection>> {
        let connection = Connection::string(id)
            .policy(self.policy.clone())
            .subscribe(self.subscriber.clone().recipient::<Lifecycle>())
            .subscribe(self.subscriber.clone().recipient::<ReceivedBatch>())
            .start()?;
        connection.send(Connect::to(url)).await??;
        self.alone.push(connection.clone());
        Ok(connection)
    }

    /// Waits until a connection is disconnected. What it received was shown before.
    pub(crate) async fn disconnected(&mut self) -> Result<()> {
        loop {
            match self.next_event().await? {
                LifecycleEvent::Disconnected { was_clean: true, .. } => return Ok(()),
                event @ (LifecycleEvent::Disconnected { .. }
                | LifecycleEvent::ConnectionError { .. }) => bail!("{event}"),
                _ => {}
            }
        }
    }

    async fn next_event(&mut self) -> Result<LifecycleEvent> {
        tokio::time::timeout(PATIENCE, self.events.recv())
            .await
            .context("nothing happened")?
            .context("the subscriber is gone")
    }
}

/// Nothing that is measured takes longer.
const PATIENCE: Duration = Duration::from_mins(5);

impl<S: Show> Actor for Subscriber<S> {
    type Context = Context<Self>;
}

impl<S: Show> Subscriber<S> {
    fn show(&mut self, payload: Payload<'_>) {
        match payload {
            Payload::Text(text) => self.show.text(text),
            Payload::Binary(bytes) => self.show.bytes(bytes),
        }
    }
}

impl<S: Show> Handler<ReceivedBatch> for Subscriber<S> {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        for payload in &batch {
            self.show(payload);
        }
    }
}

impl<S: Show> Handler<Received> for Subscriber<S> {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        self.show(message.payload());
    }
}

impl<S: Show> Handler<Lifecycle> for Subscriber<S> {
    type Result = ();

    fn handle(&mut self, lifecycle: Lifecycle, _: &mut Context<Self>) {
        // Nobody listens any more once the measurement is over.
        let _ = self.events.send(lifecycle.event);
    }
}
