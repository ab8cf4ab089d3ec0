use std::rc::Rc;

use crate::{
    actor::expectations::SharedVigil,
    lifecycle::{Awaited, Epoch},
    transport::{Link, Route},
};

/// What the actor has of one attempt or session.
#[derive(Default)]
pub(in crate::actor) struct Seat {
    /// Of the attempt or the session.
    pub(super) task: Option<tokio::task::AbortHandle>,
    /// Present while a session is up or closing.
    pub(in crate::actor) link: Option<Rc<Link>>,
    /// What the session still waits for until it is ready.
    pub(super) awaited: Awaited,
    /// What watches over the session.
    pub(in crate::actor) vigil: SharedVigil,
    /// Of the greeting, while it is not written.
    pub(super) greeter: Option<tokio::task::AbortHandle>,
}

/// What is beside the session that is up, in a rotation: its successor, or the session before it, which
/// drains.
pub(in crate::actor) struct Beside {
    pub(super) epoch: Epoch,
    pub(in crate::actor) seat: Seat,
    pub(super) route: Rc<Route>,
}

impl Seat {
    /// Drops the socket, or what is to become one.
    pub(super) fn abort(&self) {
        for task in [&self.task, &self.greeter].into_iter().flatten() {
            task.abort();
        }
    }

    /// The session has ended, and with it whoever greets it.
    pub(super) fn stop_greeting(&mut self) {
        if let Some(greeter) = self.greeter.take() {
            greeter.abort();
        }
    }
}
