//! Who hears and answers along the hot paths, with as little of its own as can be.

use actix::{Actor, Context, Handler, Message, Recipient};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};
use wsvisor::{Lifecycle, LifecycleEvent, Received, ReceivedBatch};

/// Does nothing, with as large a mailbox as a connection's.
pub(super) struct Idler;

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Nothing;

impl Actor for Idler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(1_024);
    }
}

impl Handler<Nothing> for Idler {
    type Result = ();

    fn handle(&mut self, Nothing: Nothing, _: &mut Context<Self>) {}
}

/// Tells itself the next message, as long as some are left.
pub(super) struct Teller {
    pub(super) left: usize,
    pub(super) to: Recipient<Nothing>,
    pub(super) done: Option<oneshot::Sender<()>>,
}

impl Actor for Teller {
    type Context = Context<Self>;
}

impl Handler<Nothing> for Teller {
    type Result = ();

    fn handle(&mut self, Nothing: Nothing, _: &mut Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            self.to.do_send(Nothing);
        } else if let Some(done) = self.done.take() {
            // Whoever waits for it is there.
            let _ = done.send(());
        }
    }
}

pub(super) struct Subscriber {
    tell: UnboundedSender<Told>,
    heard: usize,
    /// Messages of which it tells when it has heard them all.
    pub(super) awaited: usize,
}

pub(super) enum Told {
    Connected,
    /// All that were awaited.
    Messages,
    Else,
}

impl Subscriber {
    pub(super) fn new() -> (Self, UnboundedReceiver<Told>) {
        let (sender, told) = unbounded_channel();
        (Self { tell: sender, heard: 0, awaited: 0 }, told)
    }

    fn hear(&mut self, messages: usize) {
        self.heard += messages;
        if self.heard == self.awaited {
            self.tell(Told::Messages);
        }
    }

    fn tell(&self, told: Told) {
        // Nobody listens any more once the path was taken.
        let _ = self.tell.send(told);
    }
}

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Subscriber {
    type Result = ();

    fn handle(&mut self, lifecycle: Lifecycle, _: &mut Context<Self>) {
        self.tell(match lifecycle.event {
            LifecycleEvent::Connected { .. } => Told::Connected,
            _ => Told::Else,
        });
    }
}

impl Handler<ReceivedBatch> for Subscriber {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        self.hear(batch.len());
    }
}

impl Handler<Received> for Subscriber {
    type Result = ();

    fn handle(&mut self, _: Received, _: &mut Context<Self>) {
        self.hear(1);
    }
}
