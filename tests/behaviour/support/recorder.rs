use std::collections::HashMap;

use actix::prelude::*;
use tokio::sync::mpsc;
use wsvisor::{ConnectionId, Epoch, Lifecycle, LifecycleEvent, Received, ReceivedBatch};

use super::soon;

/// A subscriber that passes all that it is told to the test, as one line of text an event.
pub(crate) struct Recorder(mpsc::UnboundedSender<Told>);

/// The receiving end, with all that was received so far.
pub(crate) struct Events {
    told: mpsc::UnboundedReceiver<Told>,
    history: Vec<String>,
    last: HashMap<ConnectionId, (Epoch, u64)>,
}

struct Told {
    connection: ConnectionId,
    epoch: Epoch,
    seq: u64,
    line: String,
}

impl Recorder {
    pub(crate) fn start() -> (Addr<Self>, Events) {
        let (tell, told) = mpsc::unbounded_channel();
        (Self(tell).start(), Events { told, history: Vec::new(), last: HashMap::new() })
    }

    fn tell(&self, connection: &ConnectionId, epoch: Epoch, seq: u64, line: String) {
        let connection = connection.clone();
        // A test may end before its last event.
        let _ = self.0.send(Told { connection, epoch, seq, line });
    }
}

impl Events {
    /// The next event. Every event is checked for the order that is promised: a connection's epoch
    /// never falls, and its sequence number rises.
    pub(crate) async fn next(&mut self) -> &str {
        let history = &self.history;
        let told = soon(format_args!("an event after {history:#?}"), self.told.recv()).await;
        let told = told.unwrap_or_else(|| panic!("the recorder is gone; it had {history:#?}"));
        let place = (told.epoch, told.seq);
        if let Some(last) = self.last.insert(told.connection, place) {
            assert!(
                last.0 <= place.0 && last.1 < place.1,
                "{last:?} came before {place:?} {}: {:#?}",
                told.line,
                self.history
            );
        }
        self.history.push(told.line);
        self.history.last().expect("it was pushed")
    }

    /// The next events are exactly these. A line is matched up to its end or to a `…`.
    pub(crate) async fn expect<const N: usize>(&mut self, lines: [&str; N]) {
        for expected in lines {
            let line = self.next().await;
            let matches = match expected.strip_suffix('…') {
                Some(start) => line.starts_with(start),
                None => line == expected,
            };
            assert!(matches, "expected {expected:?} at the end of {:#?}", self.history);
        }
    }

    /// Skips events up to the first that, in whatever epoch, is `what`.
    pub(crate) async fn until(&mut self, what: &str) {
        while !self.next().await.split_once(' ').is_some_and(|(_, event)| event.starts_with(what)) {
        }
    }

    /// All that came so far, for a failing test to print.
    pub(crate) fn history(&self) -> &[String] {
        &self.history
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Recorder {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        let epoch = told.epoch;
        let line = match &told.event {
            LifecycleEvent::Connected { subprotocol: None } => format!("{epoch} Connected"),
            LifecycleEvent::Connected { subprotocol: Some(name) } => {
                format!("{epoch} Connected {name}")
            }
            LifecycleEvent::ConnectionError { reason, .. } => {
                format!("{epoch} ConnectionError {reason}")
            }
            LifecycleEvent::Disconnected { code, was_clean, reason, .. } => {
                let how = if *was_clean { "clean" } else { "unclean" };
                format!("{epoch} Disconnected {} {how}: {reason}", code.get())
            }
            LifecycleEvent::BackoffScheduled { attempt, .. } => {
                format!("{epoch} BackoffScheduled {attempt}")
            }
            LifecycleEvent::GaveUp { reason } => format!("{epoch} GaveUp {reason}"),
            other => format!("{epoch} {other:?}"),
        };
        self.tell(told.connection(), epoch, told.seq, line);
    }
}

impl Handler<Received> for Recorder {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        let line = match message.text() {
            Some(text) => format!("{} text {text}", message.epoch),
            None => format!("{} binary {:?}", message.epoch, message.payload().as_bytes()),
        };
        self.tell(message.connection(), message.epoch, message.seq, line);
    }
}

impl Handler<ReceivedBatch> for Recorder {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        for (message, seq) in batch.iter().zip(batch.first_seq..) {
            let text = message.as_text().unwrap_or("(binary)");
            let line = format!("{} batched {text}", batch.epoch);
            self.tell(batch.connection(), batch.epoch, seq, line);
        }
    }
}
