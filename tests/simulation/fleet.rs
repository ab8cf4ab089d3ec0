//! The connections of a run, and what users do with them.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use actix::{Addr, MailboxError, prelude::*};
use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};
use wsvisor::{
    Connect, Connection, CountConnections, DeleteConnection, Disconnect, GetStatus, MarkReady,
    Reconnect, RestartConnection, RestartPolicy, Rotate, Subscribe, Supervisor,
    TerminateConnection, Unsubscribe,
};

use crate::{
    fates::Fates,
    journal::Journal,
    life::Life,
    plan::{Command, Member},
    seat::Seat,
    start::path,
    watch::Watch,
    witness::Visitor,
};

/// One connection of the fleet.
pub(crate) struct Live {
    pub(crate) number: usize,
    pub(crate) member: Member,
    pub(crate) url: String,
    pub(crate) supervisor: Option<Seat>,
    pub(crate) journal: Journal,
    pub(crate) watch: Watch,
    pub(crate) current: RefCell<Option<Current>>,
    pub(crate) next_message: Cell<u64>,
    pub(crate) fates: Fates,
    commands: Cell<u64>,
    pub(crate) told_to_stop: Cell<bool>,
    may_be_gone: Cell<bool>,
    /// Commands without an answer yet.
    pub(crate) pending: Cell<usize>,
}

/// The actor of the latest start, and what it told.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) connection: Addr<Connection>,
    pub(crate) life: Rc<RefCell<Life>>,
}

/// The server is waited for, to end the stream, after the closing handshake.
const LINGER: Duration = Duration::from_secs(1);

impl Live {
    pub(crate) fn new(
        number: usize,
        member: Member,
        server: &str,
        supervisor: Option<Seat>,
        watch: &Watch,
        fates: &Fates,
        journal: &Journal,
    ) -> Rc<Self> {
        Rc::new(Self {
            number,
            url: format!("{server}{}", path(member.home, number)),
            may_be_gone: Cell::new(member.restart == RestartPolicy::Temporary),
            member,
            supervisor,
            journal: journal.clone(),
            watch: watch.clone(),
            current: RefCell::new(None),
            next_message: Cell::new(0),
            fates: fates.clone(),
            commands: Cell::new(0),
            told_to_stop: Cell::new(false),
            pending: Cell::new(0),
        })
    }

    pub(crate) fn id(&self) -> String {
        format!("c{}", self.number)
    }

    pub(crate) fn path(&self) -> String {
        path(self.member.home, self.number)
    }

    pub(crate) fn connection(&self) -> Option<Addr<Connection>> {
        self.current.borrow().as_ref().map(|current| current.connection.clone())
    }

    /// Its supervisor ends, and its actor with it.
    pub(crate) fn retire(&self) {
        if self.supervisor.is_some() {
            self.may_be_gone.set(true);
        }
    }

    /// Nobody commands it any more.
    pub(crate) fn let_go(&self) {
        self.current.borrow_mut().take();
    }

    /// Carries a command out beside all others that are under way.
    pub(crate) fn command(self: &Rc<Self>, command: Command) {
        self.commands.set(self.commands.get() + 1);
        if let Command::Send { messages, size, terms } = command {
            // Some go as one. In a batch there are no keys.
            let has_key = terms.iter().any(|terms| terms.key.is_some());
            if messages > 1 && size < 5_000 && !has_key && self.number.is_multiple_of(2) {
                let [terms, _] = terms;
                return self.spawn(Self::send_batch(Rc::clone(self), messages, size, terms));
            }
            // Each is a command of its own, and they are given in this order.
            for terms in terms.into_iter().cycle().take(messages) {
                // A sender knows no terms.
                if terms.is_default() && self.commands.get().is_multiple_of(2) {
                    self.spawn(Self::send_by_sender(Rc::clone(self), size));
                } else {
                    self.spawn(Self::send(Rc::clone(self), size, terms));
                }
            }
            let look = Self::carry_out(Rc::clone(self), Command::Status, 0);
            return self.spawn(sleep(Duration::from_millis(1)).then(|()| look));
        }
        if let Command::Ask { requests, within, answers, terms } = command {
            for answers in answers.into_iter().cycle().take(requests) {
                self.spawn(Self::ask(Rc::clone(self), within, answers, terms));
            }
            return;
        }
        self.spawn(Self::carry_out(Rc::clone(self), command, self.commands.get()));
    }

    fn spawn(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) {
        self.pending.set(self.pending.get() + 1);
        let live = Rc::clone(self);
        actix_rt::spawn(async move {
            work.await;
            live.pending.set(live.pending.get() - 1);
        });
    }

    /// `issued` counts the commands up to this one.
    async fn carry_out(self: Rc<Self>, command: Command, issued: u64) {
        if let Command::Start = command {
            return self.start().await;
        }
        let Some(Current { connection, life }) = self.current.borrow().clone() else { return };
        match command {
            Command::Send { .. } | Command::Ask { .. } | Command::Start => {}
            Command::Connect => {
                if let Some(answer) = self.answered(connection.send(Connect::to(&self.url)).await) {
                    self.note(format_args!("Connect: {answer:?}"));
                }
            }
            Command::Reconnect => {
                if let Some(answer) = self.answered(connection.send(Reconnect).await) {
                    self.note(format_args!("Reconnect: {answer:?}"));
                }
            }
            Command::Disconnect(code) => {
                self.told_to_stop.set(true);
                let disconnect = Disconnect::with(code, "enough").expect("the code is allowed");
                self.answered(connection.send(disconnect).await);
                self.note(format_args!("Disconnect {code}"));
            }
            Command::MarkReady => {
                self.watch.marked(&self.path());
                let _ = self.answered(connection.send(MarkReady).await);
            }
            Command::Rotate => {
                if let Some(answer) = self.answered(connection.send(Rotate).await) {
                    self.note(format_args!("Rotate: {answer:?}"));
                }
            }
            Command::Status => {
                if let Some(status) = self.answered(connection.send(GetStatus).await) {
                    self.check_status(&status, &life.borrow());
                }
            }
            Command::Visit(time) => self.visit(&connection, time).await,
            Command::Crash => {
                self.watch.crash_next(&self.path());
                let _ = connection.send(Reconnect).await;
            }
            Command::Bug => {
                if let Some(seat) = &self.supervisor {
                    seat.panic().await;
                }
            }
            Command::Terminate | Command::Restart | Command::Delete | Command::Count => {
                let Some(seat) = self.supervisor.clone() else { return };
                self.administer(&seat.occupant().await, command, issued).await;
            }
        }
    }

    /// I8: only who was deleted, or was temporary, may be gone.
    pub(crate) fn answered<T>(&self, answer: Result<T, MailboxError>) -> Option<T> {
        let gone = answer.is_err();
        let unexpected = gone && !self.may_be_gone.get();
        self.journal.check(!unexpected, format_args!("c{} is gone (I8)", self.number));
        answer.ok()
    }

    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        self.journal.note(format_args!("c{} {what}", self.number));
    }

    async fn visit(&self, connection: &Addr<Connection>, time: Duration) {
        let visitor = Visitor.start();
        let subscribe = Subscribe::new(visitor.recipient::<wsvisor::Received>());
        if let Some(subscription) = self.answered(connection.send(subscribe).await) {
            sleep(time).await;
            self.answered(connection.send(Unsubscribe(subscription)).await);
        }
    }

    async fn administer(&self, supervisor: &Addr<Supervisor>, command: Command, issued: u64) {
        let id = self.id().as_str().into();
        match command {
            Command::Terminate => {
                self.told_to_stop.set(true);
                let began = Instant::now();
                let answer = supervisor.send(TerminateConnection(id)).await;
                let took = began.elapsed();
                self.note(format_args!("Terminate: {answer:?}"));
                let bound = self.member.close_timeout + LINGER + Duration::from_millis(10);
                self.journal.check(took <= bound, format_args!("Terminate took {took:?} (I5)"));
                // Unless someone started it again meanwhile.
                if answer.is_ok() && issued == self.commands.get() {
                    let live = self.watch.live(&self.path());
                    self.journal
                        .check(live == 0, format_args!("{live} sockets after Terminate (I5)"));
                }
            }
            Command::Restart => {
                let answer = supervisor.send(RestartConnection(id)).await;
                self.note(format_args!("Restart: {answer:?}"));
            }
            Command::Delete => {
                self.may_be_gone.set(true);
                let answer = supervisor.send(DeleteConnection(id)).await;
                self.note(format_args!("Delete: {answer:?}"));
            }
            Command::Count => {
                let Ok(counts) = supervisor.send(CountConnections).await else { return };
                let sum = counts.connecting
                    + counts.connected
                    + counts.closing
                    + counts.backing_off
                    + counts.disconnected
                    + counts.failed;
                self.journal.check(sum == counts.specs, format_args!("{counts:?} do not add up"));
            }
            _ => {}
        }
    }
}
