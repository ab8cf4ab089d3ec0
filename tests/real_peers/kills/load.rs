//! Connections that are sent messages of all kinds, without a pause.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use actix::Addr;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::time::sleep;
use wsvisor::{
    AccessPolicy, Backoff, Connection, ConnectionSpec, Delivery, Epoch, GetStatus, Greeting,
    OutboxLimits, SendString, Settings, StartConnection, Supervisor,
};

use super::ledger::{Fate, Ledger};
use crate::client::soon;

/// One connection and who sends over it.
pub(crate) struct Load {
    name: String,
    connection: Addr<Connection>,
    ledger: Rc<RefCell<Ledger>>,
    is_over: Rc<Cell<bool>>,
}

/// The connections of the test.
pub(crate) fn supervisor() -> Addr<Supervisor> {
    let policy = AccessPolicy::from_rules(["allow ws://127.0.0.1:*"]).expect("it is valid");
    // Who waits until a host is known to be up again sends nothing.
    Supervisor::builder().policy(policy).host_breaker(None).start().expect("it can be")
}

impl Load {
    pub(crate) async fn start(
        supervisor: &Addr<Supervisor>,
        name: String,
        url: String,
        ledger: &Rc<RefCell<Ledger>>,
        is_over: &Rc<Cell<bool>>,
    ) -> Self {
        let greeting = Greeting::asked(|session| async move {
            Ok(vec![SendString::new(format!("h{}.", session.epoch)).into()])
        });
        let quick = Backoff::between(Duration::from_millis(5), Duration::from_millis(50));
        // Few enough that it is full at times.
        let outbox = OutboxLimits { messages: 60, ..OutboxLimits::default() };
        let spec = ConnectionSpec::string(name.as_str(), url)
            .backoff(quick.expect("the bounds are valid"))
            .settings(Settings::default().greeting(greeting).outbox(outbox));
        let started = supervisor.send(StartConnection(spec)).await;
        let connection = started.expect("the supervisor lives").expect("the spec is accepted");
        let (ledger, is_over) = (Rc::clone(ledger), Rc::clone(is_over));
        Self { name, connection, ledger, is_over }
    }

    /// Sends until it is over. Nobody waits for answers: what becomes of each is entered when it is
    /// told.
    pub(crate) async fn run(&self, seed: u64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        while !self.is_over.get() {
            let status = self.connection.send(GetStatus).await.expect("the connection lives");
            // As many as the actor's mailbox takes: their numbers are the order of acceptance.
            for _ in 0..rng.random_range(1..=8) {
                self.send(rng, status.epoch);
            }
            sleep(Duration::from_millis(rng.random_range(5..=30))).await;
        }
    }

    fn send(&self, rng: &mut ChaCha8Rng, epoch: Epoch) {
        let entry = self.ledger.borrow_mut().open(&self.name);
        let sent = self.connection.send(message(rng, entry.number, epoch));
        let ledger = Rc::clone(&self.ledger);
        actix_rt::spawn(async move {
            let answer = sent.await.expect("the connection lives");
            ledger.borrow_mut().settle(&entry, Fate::of(&answer));
        });
    }

    /// All that was sent before is settled, and was read if it was written.
    pub(crate) async fn finish(&self) {
        let entry = self.ledger.borrow_mut().open(&self.name);
        let last = SendString::new(format!("m{}. ", entry.number)).durable().confirmed();
        let answer = soon("the last message", self.connection.send(last)).await;
        let answer = answer.expect("the connection lives");
        assert!(matches!(answer, Ok(Delivery::Confirmed)), "{answer:?}");
        self.ledger.borrow_mut().settle(&entry, Fate::Confirmed);
    }
}

/// Its number and a filling, on terms that chance chooses.
fn message(rng: &mut ChaCha8Rng, number: usize, epoch: Epoch) -> SendString {
    let size = match rng.random_range(0..40) {
        // More than the socket's buffers take while the server is stopped.
        0 => 1_000_000,
        1..=3 => 20_000,
        _ => rng.random_range(1..200),
    };
    let filling = "x".repeat(size);
    let ordinary = SendString::new(format!("m{number}. {filling}"));
    let mut message = match rng.random_range(0..8) {
        0 => ordinary,
        1 => ordinary.in_session(epoch),
        2 => SendString::new(format!("r{number}. {filling}")).until_ready(),
        _ => ordinary.durable(),
    };
    if rng.random_ratio(1, 4) {
        message = message.expires_in(Duration::from_millis(rng.random_range(1..300)));
    }
    if rng.random_ratio(1, 8) {
        message = message.replacing(if rng.random() { "bid" } else { "ask" });
    }
    if rng.random() { message.confirmed() } else { message }
}
