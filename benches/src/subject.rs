//! wsvisor: a supervised connection and its subscriber.

use actix::{Actor, Addr, Context, Handler};
use anyhow::{Context as _, Result, ensure};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wsvisor::{
    AccessPolicy, ConnectionSpec, Lifecycle, LifecycleEvent, Payload, Received, ReceivedBatch,
    RestartPolicy, StartConnection, Supervisor,
};

use crate::client::Subscribed;

/// A supervisor, and the one subscriber of all its connections.
pub(crate) struct Subject<F: Show> {
    supervisor: Addr<Supervisor>,
    subscriber: Addr<Subscriber<F>>,
    subscription: Subscribed,
    events: UnboundedReceiver<LifecycleEvent>,
}

/// Is shown each text message.
pub(crate) trait Show: FnMut(&[u8]) + Unpin + 'static {}

impl<F: FnMut(&[u8]) + Unpin + 'static> Show for F {}

struct Subscriber<F> {
    show: F,
    events: UnboundedSender<LifecycleEvent>,
}

impl<F: Show> Subject<F> {
    pub(crate) fn start(subscription: Subscribed, show: F) -> Result<Self> {
        let policy = AccessPolicy::from_rules(["allow ws://127.0.0.1:*"])?;
        let supervisor = Supervisor::builder().policy(policy).start();
        let (sender, events) = unbounded_channel();
        let subscriber = Subscriber { show, events: sender }.start();
        Ok(Self { supervisor, subscriber, subscription, events })
    }

    /// Starts a connection, and waits until it is connected.
    pub(crate) async fn connect(&mut self, id: String, url: &str) -> Result<()> {
        let spec = ConnectionSpec::string(id, url)
            .restart(RestartPolicy::Temporary)
            .subscribe(self.subscriber.clone().recipient::<Lifecycle>());
        let spec = match self.subscription {
            Subscribed::Lifecycle => spec,
            Subscribed::Each => spec.subscribe(self.subscriber.clone().recipient::<Received>()),
            Subscribed::Batches => {
                spec.subscribe(self.subscriber.clone().recipient::<ReceivedBatch>())
            }
        };
        self.supervisor.send(StartConnection(spec)).await??;
        let event = self.next_event().await?;
        ensure!(matches!(event, LifecycleEvent::Connected { .. }), "{event}");
        Ok(())
    }

    /// Waits until a connection is disconnected. What it received was shown before.
    pub(crate) async fn disconnected(&mut self) -> Result<()> {
        let event = self.next_event().await?;
        ensure!(matches!(event, LifecycleEvent::Disconnected { was_clean: true, .. }), "{event}");
        Ok(())
    }

    async fn next_event(&mut self) -> Result<LifecycleEvent> {
        self.events.recv().await.context("the subscriber is gone")
    }
}

impl<F: Show> Actor for Subscriber<F> {
    type Context = Context<Self>;
}

impl<F: Show> Handler<ReceivedBatch> for Subscriber<F> {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        for text in batch.iter().filter_map(Payload::as_text) {
            (self.show)(text.as_bytes());
        }
    }
}

impl<F: Show> Handler<Received> for Subscriber<F> {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        if let Some(text) = message.text() {
            (self.show)(text.as_bytes());
        }
    }
}

impl<F: Show> Handler<Lifecycle> for Subscriber<F> {
    type Result = ();

    fn handle(&mut self, lifecycle: Lifecycle, _: &mut Context<Self>) {
        // Nobody listens any more once the measurement is over.
        let _ = self.events.send(lifecycle.event);
    }
}
