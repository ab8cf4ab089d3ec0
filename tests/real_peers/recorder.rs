//! A subscriber that remembers what it was told.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use wsvisor::{
    Epoch, ExitClass, ExitReason, Lifecycle, LifecycleEvent, OwnedPayload, Payload, Received,
};

use crate::client::soon;

/// Passes on all that a connection tells.
pub(crate) struct Recorder(UnboundedSender<Told>);

/// What a connection told, in order.
pub(crate) struct Events {
    told: UnboundedReceiver<Told>,
    history: Vec<String>,
    last: (u64, u64),
}

/// One event.
pub(crate) struct Told {
    pub(crate) epoch: u64,
    pub(crate) what: What,
    seq: u64,
}

pub(crate) enum What {
    Life(LifecycleEvent),
    Message(OwnedPayload),
}

/// A session's end, as it was told.
pub(crate) struct End {
    pub(crate) epoch: u64,
    pub(crate) code: u16,
    pub(crate) was_clean: bool,
    pub(crate) reason: ExitReason,
    pub(crate) class: ExitClass,
}

impl Recorder {
    pub(crate) fn start() -> (Addr<Self>, Events) {
        let (tell, told) = mpsc::unbounded_channel();
        (Self(tell).start(), Events { told, history: Vec::new(), last: (0, 0) })
    }

    fn tell(&self, epoch: Epoch, seq: u64, what: What) {
        // A test may end before its last event.
        let _ = self.0.send(Told { epoch: epoch.get(), what, seq });
    }
}

impl Events {
    /// The next event. Each one's sequence number is one more than the last's, and no epoch falls.
    pub(crate) async fn next(&mut self) -> Told {
        let history = &self.history;
        let told = soon(format_args!("an event after {history:#?}"), self.told.recv()).await;
        let told = told.unwrap_or_else(|| panic!("the recorder is gone; it had {history:#?}"));
        let (epoch, seq) = self.last;
        self.history.push(told.describe());
        assert!(
            told.epoch >= epoch && told.seq == seq + 1,
            "the last event is out of order: {:#?}",
            self.history
        );
        self.last = (told.epoch, told.seq);
        told
    }

    /// The next event is a Connected: its epoch and subprotocol.
    pub(crate) async fn connected(&mut self) -> (u64, Option<Arc<str>>) {
        match self.next().await {
            Told { epoch, what: What::Life(LifecycleEvent::Connected { subprotocol }), .. } => {
                (epoch, subprotocol)
            }
            _ => self.unexpected("Connected"),
        }
    }

    /// The next event is a Disconnected.
    pub(crate) async fn disconnected(&mut self) -> End {
        let told = self.next().await;
        match told.what {
            What::Life(LifecycleEvent::Disconnected { code, was_clean, reason, class }) => {
                End { epoch: told.epoch, code: code.get(), was_clean, reason, class }
            }
            _ => self.unexpected("Disconnected"),
        }
    }

    /// The next event is a `ConnectionError`: its reason and class.
    pub(crate) async fn connection_error(&mut self) -> (ExitReason, ExitClass) {
        match self.next().await.what {
            What::Life(LifecycleEvent::ConnectionError { reason, class }) => (reason, class),
            _ => self.unexpected("ConnectionError"),
        }
    }

    /// The next event is a `BackoffScheduled`: its delay.
    pub(crate) async fn backoff_scheduled(&mut self) -> Duration {
        match self.next().await.what {
            What::Life(LifecycleEvent::BackoffScheduled { delay, .. }) => delay,
            _ => self.unexpected("BackoffScheduled"),
        }
    }

    /// The next events are waits and vain attempts, up to a Connected: its epoch.
    pub(crate) async fn reconnected(&mut self) -> u64 {
        loop {
            let told = self.next().await;
            match told.what {
                What::Life(LifecycleEvent::Connected { .. }) => return told.epoch,
                What::Life(
                    LifecycleEvent::BackoffScheduled { .. }
                    | LifecycleEvent::ConnectionError { .. },
                ) => {}
                _ => self.unexpected("BackoffScheduled, ConnectionError or Connected"),
            }
        }
    }

    /// The next event is a message.
    pub(crate) async fn message(&mut self) -> OwnedPayload {
        match self.next().await.what {
            What::Message(payload) => payload,
            What::Life(_) => self.unexpected("a message"),
        }
    }

    /// The next event is this text message.
    pub(crate) async fn text(&mut self, expected: &str) {
        let payload = self.message().await;
        // Not assert_eq: a message may have millions of bytes.
        if payload.as_text() != Some(expected) {
            self.unexpected(&show(Payload::Text(expected)));
        }
    }

    /// The next event is this binary message.
    pub(crate) async fn binary(&mut self, expected: &[u8]) {
        let payload = self.message().await;
        if payload.as_payload().as_binary() != Some(expected) {
            self.unexpected(&show(Payload::Binary(expected)));
        }
    }

    pub(crate) fn unexpected(&self, wanted: &str) -> ! {
        panic!("expected {wanted} at the end of {:#?}", self.history)
    }
}

impl Told {
    fn describe(&self) -> String {
        let (epoch, seq) = (self.epoch, self.seq);
        match &self.what {
            What::Life(event) => format!("epoch {epoch}, seq {seq}: {event}"),
            What::Message(payload) => {
                format!("epoch {epoch}, seq {seq}: {}", show(payload.as_payload()))
            }
        }
    }
}

fn show(payload: Payload<'_>) -> String {
    let len = payload.len();
    match payload {
        Payload::Text(text) => {
            let beginning: String = text.chars().take(64).collect();
            format!("a text of {len} bytes, {beginning:?}")
        }
        Payload::Binary(bytes) => {
            format!("a binary of {len} bytes, {:?}", &bytes[..len.min(16)])
        }
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Recorder {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        self.tell(told.epoch, told.seq, What::Life(told.event.clone()));
    }
}

impl Handler<Received> for Recorder {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        let (epoch, seq) = (message.epoch, message.seq);
        self.tell(epoch, seq, What::Message(message.into_payload()));
    }
}
