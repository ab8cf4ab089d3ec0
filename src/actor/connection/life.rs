//! The task that a connection runs in, all of it but its attempts.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix::{
    Actor as _, ActorContext as _, Addr, ArbiterHandle, AsyncContext as _, WeakAddr,
    dev::{
        Mailbox,
        channel::{AddressReceiver, channel},
    },
};

use super::{Connection, ConnectionContext};

/// A connection's actor with its mailbox. Each turn handles what is in the mailbox, and then lets the session and
/// the timer go on: so a session sees at once what a command changed, and nobody has to wake it.
struct Life {
    connection: Connection,
    context: ConnectionContext,
    mailbox: Mailbox<Connection>,
}

/// Commands that its mailbox takes before a sender has to wait. actix's default is 16, and a sender that
/// waits costs more than one whose command is taken; what was accepted is bounded by the outbox.
const MAILBOX: usize = 1_024;

impl Connection {
    /// Starts the actor on this arbiter.
    pub(in crate::actor) fn start_here(self) -> Addr<Self> {
        let (address, mailbox) = channel(MAILBOX);
        let address = Addr::new(address);
        Life::new(self, address.downgrade(), mailbox).spawn();
        address
    }

    /// Starts the actor that `make` makes on another arbiter.
    pub(in crate::actor) fn start_on(
        arbiter: &ArbiterHandle,
        make: impl FnOnce() -> Self + Send + 'static,
    ) -> Addr<Self> {
        let (address, mailbox) = channel(MAILBOX);
        let address = Addr::new(address);
        let own = address.downgrade();
        arbiter.spawn_fn(move || {
            Life::new(make(), own, mailbox).spawn();
        });
        address
    }
}

impl Life {
    fn new(
        connection: Connection,
        address: WeakAddr<Connection>,
        mailbox: AddressReceiver<Connection>,
    ) -> Self {
        let context = ConnectionContext::new(address);
        Self { connection, context, mailbox: Mailbox::new(mailbox) }
    }

    /// Boxed, because tokio rounds the memory of a task up to 128 bytes.
    fn spawn(self) {
        actix_rt::spawn(Box::pin(self));
    }
}

impl Future for Life {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { connection, context, mailbox } = self.get_mut();
        if context.begin_turn() {
            connection.started(context);
        }
        mailbox.poll(connection, context, cx);
        if context.is_used_up() {
            cx.waker().wake_by_ref();
        }
        // What was sent before the last address was dropped comes first.
        let is_abandoned =
            !context.waiting() && connection.bond.superior.is_none() && !mailbox.connected();
        if is_abandoned && connection.is_at_work() {
            connection.abandon(context);
        }
        connection.poll_work(context, cx);
        context.poll_spawned(connection, cx);
        if is_abandoned && !connection.is_at_work() && !context.has_spawned() {
            context.stop();
        }
        if context.is_stopping() {
            connection.stopped(context);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
