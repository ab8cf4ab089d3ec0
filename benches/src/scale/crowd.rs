//! One subscriber of very many connections.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Context, Handler};
use anyhow::{Result, bail};
use wsvisor::{
    AccessPolicy, ConnectionSpec, DialGate, Dialler, Lifecycle, LifecycleEvent, ReceivedBatch,
    StartConnection, Subscribe, Supervisor, SupervisorBuilder,
};

/// A supervisor with many connections, and what they told.
pub(super) struct Crowd {
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) told: Arc<Told>,
}

/// What was told of all connections.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) connected: AtomicU64,
    /// Ends, and attempts that failed.
    pub(super) trouble: AtomicU64,
    pub(super) messages: AtomicU64,
    /// Messages that did not carry the number after the one before on their connection.
    pub(super) out_of_order: AtomicU64,
    last_trouble: Mutex<Option<String>>,
}

impl Crowd {
    pub(super) async fn over_sockets() -> Result<Self> {
        let policy = AccessPolicy::from_rules(["allow ws://127.0.0.1:*"])?;
        Self::start(Supervisor::builder().policy(policy)).await
    }

    pub(super) async fn in_memory(network: impl Dialler) -> Result<Self> {
        let policy = AccessPolicy::from_rules(["allow ws://canned.example"])?;
        Self::start(Supervisor::builder().policy(policy).dialler(network)).await
    }

    async fn start(builder: SupervisorBuilder) -> Result<Self> {
        let supervisor = builder.dial_gate(DialGate::new(64, 20_000)?).start()?;
        let told = Arc::new(Told::default());
        let subscriber = Subscriber { told: Arc::clone(&told), next: HashMap::new() }.start();
        supervisor.send(Subscribe::new(subscriber.clone().recipient::<Lifecycle>())).await?;
        supervisor.send(Subscribe::new(subscriber.recipient::<ReceivedBatch>())).await?;
        Ok(Self { supervisor, told })
    }

    /// Starts so many connections, and waits until all are connected.
    pub(super) async fn grow_to(&self, connections: usize, url: &str) -> Result<Duration> {
        let start = Instant::now();
        for number in 0..connections {
            let spec = ConnectionSpec::string(format!("crowd-{number}"), url);
            self.supervisor.send(StartConnection(spec)).await??;
        }
        let deadline = start + Duration::from_mins(10);
        while self.told.connected.load(Ordering::Relaxed) < connections as u64 {
            if Instant::now() > deadline {
                bail!("not all {connections} connections came up: {:?}", self.told);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(start.elapsed())
    }
}

struct Subscriber {
    told: Arc<Told>,
    /// The number that each connection is to receive next.
    next: HashMap<wsvisor::ConnectionId, u64>,
}

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Subscriber {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        match &told.event {
            LifecycleEvent::Connected { .. } => {
                self.told.connected.fetch_add(1, Ordering::Relaxed);
            }
            LifecycleEvent::Disconnected { .. } | LifecycleEvent::ConnectionError { .. } => {
                self.told.trouble.fetch_add(1, Ordering::Relaxed);
                let trouble = format!("{}: {}", told.connection(), told.event);
                *self.told.last_trouble.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(trouble);
            }
            _ => {}
        }
    }
}

impl Handler<ReceivedBatch> for Subscriber {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        self.told.messages.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let next = match self.next.get_mut(batch.connection()) {
            Some(next) => next,
            None => self.next.entry(batch.connection().clone()).or_default(),
        };
        for message in &batch {
            let number = message.as_text().and_then(|text| text.parse::<u64>().ok());
            if number != Some(*next) {
                self.told.out_of_order.fetch_add(1, Ordering::Relaxed);
            }
            *next += 1;
        }
    }
}
