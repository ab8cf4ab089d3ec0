use std::{cell::Cell, collections::VecDeque, pin::Pin, task};

use actix::{
    Actor, ActorContext, ActorState, Addr, AsyncContext, Handler, Message, SpawnHandle, WeakAddr,
    dev::{Envelope, OneshotSender, ToEnvelope, channel::channel},
    fut::ActorFuture,
};

use super::Connection;

/// The context of a [`Connection`]'s actor.
///
/// actix's own keeps room for what an actor may spawn and wait for, some 340 bytes, and each of these is a task or
/// a box beside it. What a connection runs is known: an attempt or a session, and a timer. It owns them itself,
/// and one task polls them all; this is what is left.
pub struct ConnectionContext {
    address: WeakAddr<Connection>,
    state: ActorState,
    /// Commands that may still be handled in this turn.
    left: Cell<u16>,
    /// Of what was spawned last. No two are the same.
    newest: SpawnHandle,
    /// What handlers of a user's messages spawned. Absent while there is none, for the connection spawns nothing.
    spawned: Option<Box<Spawned>>,
}

#[derive(Default)]
struct Spawned {
    futures: VecDeque<Item>,
    cancelled: Vec<SpawnHandle>,
}

struct Item {
    handle: SpawnHandle,
    /// Until it is done, no message is taken from the mailbox.
    is_waited_for: bool,
    future: Pin<Box<dyn ActorFuture<Connection, Output = ()>>>,
}

/// Commands that are handled before the session has its turn, and then the other tasks of the thread: who
/// sends faster than commands are handled does not fill the outbox of a socket that takes more.
const COMMANDS_PER_TURN: u16 = 256;

impl ConnectionContext {
    pub(super) fn new(address: WeakAddr<Connection>) -> Self {
        Self {
            address,
            state: ActorState::Started,
            left: Cell::new(0),
            newest: SpawnHandle::default(),
            spawned: None,
        }
    }

    /// The connection's own address, which does not keep it alive.
    pub(in crate::actor) fn weak_address(&self) -> WeakAddr<Connection> {
        self.address.clone()
    }

    /// The actor has its turn. Whether that is the first.
    pub(super) fn begin_turn(&mut self) -> bool {
        self.left.set(COMMANDS_PER_TURN);
        let is_new = self.state == ActorState::Started;
        if is_new {
            self.state = ActorState::Running;
        }
        is_new
    }

    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.state, ActorState::Stopping | ActorState::Stopped)
    }

    /// Whether so many commands were handled that others may be left.
    pub(super) const fn is_used_up(&self) -> bool {
        self.left.get() == 0
    }

    pub(super) const fn has_spawned(&self) -> bool {
        self.spawned.is_some()
    }

    /// Lets what was spawned go on.
    pub(super) fn poll_spawned(&mut self, connection: &mut Connection, cx: &mut task::Context<'_>) {
        let Some(spawned) = &mut self.spawned else { return };
        let mut futures = std::mem::take(&mut spawned.futures);
        let before = futures.len();
        futures.retain_mut(|item| {
            !self.has_cancelled(item.handle)
                && item.future.as_mut().poll(connection, self, cx).is_pending()
        });
        let Some(spawned) = &mut self.spawned else { return };
        if futures.len() < before || !spawned.futures.is_empty() {
            // The mailbox may have waited for one, and what is new has not had its turn.
            cx.waker().wake_by_ref();
        }
        futures.append(&mut spawned.futures);
        let cancelled = std::mem::take(&mut spawned.cancelled);
        futures.retain(|item| !cancelled.contains(&item.handle));
        spawned.futures = futures;
        if spawned.futures.is_empty() {
            self.spawned = None;
        }
    }

    fn has_cancelled(&self, handle: SpawnHandle) -> bool {
        self.spawned.as_ref().is_some_and(|spawned| spawned.cancelled.contains(&handle))
    }

    fn push<F>(&mut self, future: F, is_waited_for: bool) -> SpawnHandle
    where
        F: ActorFuture<Connection, Output = ()> + 'static,
    {
        let handle = self.newest.next();
        self.newest = handle;
        let spawned = self.spawned.get_or_insert_default();
        spawned.futures.push_back(Item { handle, is_waited_for, future: Box::pin(future) });
        handle
    }
}

impl ActorContext for ConnectionContext {
    fn stop(&mut self) {
        if self.state == ActorState::Running {
            self.state = ActorState::Stopping;
        }
    }

    fn terminate(&mut self) {
        self.state = ActorState::Stopped;
    }

    fn state(&self) -> ActorState {
        self.state
    }
}

impl AsyncContext<Connection> for ConnectionContext {
    fn address(&self) -> Addr<Connection> {
        // The mailbox is there for as long as its context is. An address of nobody says that it is closed.
        self.address.upgrade().unwrap_or_else(|| Addr::new(channel(0).0))
    }

    fn spawn<F>(&mut self, future: F) -> SpawnHandle
    where
        F: ActorFuture<Connection, Output = ()> + 'static,
    {
        self.push(future, false)
    }

    fn wait<F>(&mut self, future: F)
    where
        F: ActorFuture<Connection, Output = ()> + 'static,
    {
        self.push(future, true);
    }

    /// Asked before each command is taken from the mailbox.
    fn waiting(&self) -> bool {
        let Some(left) = self.left.get().checked_sub(1) else { return true };
        self.left.set(left);
        let waits = |spawned: &Spawned| spawned.futures.iter().any(|item| item.is_waited_for);
        self.is_stopping() || self.spawned.as_deref().is_some_and(waits)
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        if let Some(spawned) = &mut self.spawned {
            spawned.cancelled.push(handle);
        }
        true
    }
}

impl<M> ToEnvelope<Connection, M> for ConnectionContext
where
    M: Message<Result: Send> + Send + 'static,
    Connection: Handler<M> + Actor<Context = Self>,
{
    fn pack(message: M, reply: Option<OneshotSender<M::Result>>) -> Envelope<Connection> {
        Envelope::new(message, reply)
    }
}
