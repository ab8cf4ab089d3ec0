use std::time::Instant;

use actix::{Addr, Handler, Message, WeakAddr};

use super::Supervisor;
use crate::actor::{
    connection::Connection,
    superior::{Cut, Hold, Retire, Terminate},
};

/// A child, as its supervisor commands it: a connection, or a supervisor with all that is below it.
#[derive(Clone)]
pub(super) enum Subordinate {
    Connection(WeakAddr<Connection>),
    Supervisor(Addr<Supervisor>),
}

/// How a child is to stop.
#[derive(Clone, Copy)]
pub(super) enum Stop {
    /// It is started again, which is to be at this time.
    Hold(Instant),
    /// It is kept, and rests.
    Terminate,
    /// It is forgotten.
    Retire,
}

impl Subordinate {
    /// Does not wait for an answer. One that is gone needs no command.
    pub(super) fn tell<M>(&self, command: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Connection: Handler<M>,
        Supervisor: Handler<M>,
    {
        match self {
            Self::Connection(address) => {
                if let Some(address) = address.upgrade() {
                    address.do_send(command);
                }
            }
            Self::Supervisor(address) => address.do_send(command),
        }
    }

    /// Waits for the answer; one that is gone has none.
    pub(super) async fn ask<M>(&self, command: M) -> Option<M::Result>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Connection: Handler<M>,
        Supervisor: Handler<M>,
    {
        match self {
            Self::Connection(address) => address.upgrade()?.send(command).await.ok(),
            Self::Supervisor(address) => address.send(command).await.ok(),
        }
    }

    /// Comes when it has stopped, with all that is below it.
    pub(super) async fn stop(&self, how: Stop) {
        match how {
            Stop::Hold(due) => self.ask(Hold(due)).await,
            Stop::Terminate => self.ask(Terminate).await,
            Stop::Retire => self.ask(Retire).await,
        };
    }

    /// Its time to stop is over: sockets are dropped.
    pub(super) fn cut(&self, how: Stop) {
        match how {
            Stop::Hold(due) => self.tell(Hold(due)),
            Stop::Terminate => self.tell(Terminate),
            Stop::Retire => self.tell(Retire),
        }
        self.tell(Cut);
    }
}
