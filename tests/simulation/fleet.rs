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
    AccessPolicy, Backoff, Connect, Connection, ConnectionSpec, CountConnections, DeleteConnection,
    Disconnect, Epoch, GetStatus, Kind, Liveness, MarkReady, MaxAge, OutboxLimits, Reconnect,
    RestartConnection, RestartPolicy, Rotate, Rotation, SendBinary, SendJson, SendString, Settings,
    StartConnection, State, Status, Subscribe, Subscription, Supervisor, TerminateConnection,
    Timeouts, Unsubscribe,
};

use crate::{
    fates::Fates,
    journal::Journal,
    life::Life,
    plan::{Command, Home, Member, Rotates},
    seat::Seat,
    terms::{Scope, Terms, binary_on, json_on, text_on},
    watch::Watch,
    witness::{Choosy, Visitor, Witness},
};

/// One connection of the fleet.
pub(crate) struct Live {
    pub(crate) number: usize,
    pub(crate) member: Member,
    url: String,
    supervisor: Option<Seat>,
    journal: Journal,
    pub(crate) watch: Watch,
    current: RefCell<Option<Current>>,
    next_message: Cell<u64>,
    fates: Fates,
    commands: Cell<u64>,
    told_to_stop: Cell<bool>,
    may_be_gone: Cell<bool>,
    /// Commands without an answer yet.
    pub(crate) pending: Cell<usize>,
}

/// The actor of the latest start, and what it told.
#[derive(Clone)]
struct Current {
    connection: Addr<Connection>,
    life: Rc<RefCell<Life>>,
}

/// One read may go beyond what a subscriber may have in flight: 64 KiB of the shortest messages.
const MOST_IN_FLIGHT: u64 = 1_024 + 64 * 1_024 / 15;
/// Messages that were encoded, and that no byte was written of, go back to the outbox when their session
/// ends: 64 KiB of the shortest, and the largest.
const TAKEN_BACK: (usize, usize) = (64 * 1_024 / 28, (64 + 70) * 1_024);
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
            // Each is a command of its own, and they are given in this order.
            for terms in terms.into_iter().cycle().take(messages) {
                self.spawn(Self::send(Rc::clone(self), size, terms));
            }
            let look = Self::carry_out(Rc::clone(self), Command::Status, 0);
            return self.spawn(sleep(Duration::from_millis(1)).then(|()| look));
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
            Command::Send { .. } | Command::Start => {}
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
    fn answered<T>(&self, answer: Result<T, MailboxError>) -> Option<T> {
        let gone = answer.is_err();
        let unexpected = gone && !self.may_be_gone.get();
        self.journal.check(!unexpected, format_args!("c{} is gone (I8)", self.number));
        answer.ok()
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.journal.note(format_args!("c{} {what}", self.number));
    }

    pub(crate) async fn start(&self) {
        let supervised = self.supervisor.is_some();
        let strict = self.member.subscriber_takes.is_zero();
        let Member { backoff, stable_after, manners, .. } = self.member;
        let life = Life::new(
            supervised,
            self.member.rotates.is_some(),
            strict,
            // Alone it waits for nothing but the next successor, and by the default backoff.
            if supervised { backoff.1 } else { Duration::from_mins(1) },
            stable_after,
            manners.tells_ready().then_some(false),
        );
        let life = Rc::new(RefCell::new(life));
        let witness = Witness {
            name: self.id(),
            life: Rc::clone(&life),
            journal: self.journal.clone(),
            takes: self.member.subscriber_takes,
        }
        .start();
        let connection = match &self.supervisor {
            Some(seat) => {
                let start = StartConnection(self.spec(&witness));
                // A bug may have come before.
                let started = seat.occupant().await.send(start).await;
                self.note(format_args!("Start: {:?}", started.as_ref().map(|_| ())));
                started.ok().and_then(Result::ok)
            }
            None if self.current.borrow().is_none() => Some(self.start_alone(&witness)),
            None => None,
        };
        if let Some(connection) = connection {
            *self.current.borrow_mut() = Some(Current { connection, life });
        }
    }

    fn spec(&self, witness: &Addr<Witness>) -> ConnectionSpec {
        let Member { kind, restart, backoff: (min, max), stable_after, .. } = self.member;
        let spec = match kind {
            Kind::Json => ConnectionSpec::json(self.id(), &self.url),
            Kind::String => ConnectionSpec::string(self.id(), &self.url),
        };
        let spec = match self.choosy() {
            Some(choosy) => spec.subscribe(choosy),
            None => spec,
        };
        spec.restart(restart)
            .backoff(Backoff::between(min, max).expect("the bounds are valid"))
            .stable_after(stable_after)
            .settings(self.settings())
            .subscribe(witness.clone().recipient::<wsvisor::Lifecycle>())
            .subscribe(witness.clone().recipient::<wsvisor::Received>())
    }

    fn start_alone(&self, witness: &Addr<Witness>) -> Addr<Connection> {
        let builder = match self.member.kind {
            Kind::Json => Connection::json(self.id()),
            Kind::String => Connection::string(self.id()),
        };
        let builder = match self.choosy() {
            Some(choosy) => builder.subscribe(choosy),
            None => builder,
        };
        builder
            .policy(policy())
            .settings(self.settings())
            .subscribe(witness.clone().recipient::<wsvisor::Lifecycle>())
            .subscribe(witness.clone().recipient::<wsvisor::Received>())
            .start()
            .expect("the settings are valid")
    }

    /// Another subscriber, which must not disturb the first.
    fn choosy(&self) -> Option<Subscription> {
        let (overflow, capacity) = self.member.choosy?;
        let (name, journal) = (format!("{} choosy", self.id()), self.journal.clone());
        let rotates = self.member.rotates.is_some();
        let choosy = Choosy { name, journal, rotates, latest: None }.start();
        let wanted = Subscription::to(choosy.recipient::<wsvisor::Received>());
        Some(wanted.capacity(capacity).overflow(overflow))
    }

    fn settings(&self) -> Settings {
        let messages = self.member.outbox_messages;
        let (interval, within) = self.member.ping;
        if self.member.subscriber_takes.is_zero() {
            // Its pings are answered by anything, and it may be stalled for as long after that.
            self.watch.bear_silence(&self.path(), 2 * (interval + within));
        }
        let mut liveness = Liveness::default().ping_every(interval).pong_within(within);
        if let Some(Rotates { max_age: Some(age), .. }) = self.member.rotates {
            liveness = liveness.max_age(MaxAge::of(age));
        }
        let bytes = self.member.outbox_bytes;
        let settings = Settings::default()
            .liveness(liveness.send_stall(interval + within))
            .dialler(self.watch.clone())
            .timeouts(Timeouts { close: self.member.close_timeout, ..Timeouts::default() })
            .outbox(OutboxLimits { messages, bytes });
        let settings = match self.member.rotates {
            Some(Rotates { ready_within, .. }) => {
                self.watch.bear_two(&self.path(), self.number);
                let rotation = Rotation::make_before_break();
                settings.rotation(rotation.ready_within(ready_within))
            }
            None => settings,
        };
        self.watch.expect(&self.path(), self.member.manners);
        self.member.manners.applied_to(settings, self.number)
    }

    async fn send(self: Rc<Self>, size: usize, terms: Terms) {
        let Some(connection) = self.connection() else { return };
        let epoch = match terms.scope {
            Scope::Session => match self.answered(connection.send(GetStatus).await) {
                // Of two, now the one and now the other.
                Some(status) => match status.successor {
                    Some(successor) if self.next_message.get().is_multiple_of(2) => successor,
                    _ => status.epoch,
                },
                None => return,
            },
            _ => Epoch::NONE,
        };
        let number = self.next_message.replace(self.next_message.get() + 1);
        // Written out: serde_json takes long over a long text where nothing is optimised.
        let (c, x) = (self.number, "x".repeat(size));
        let text = format!(r#"{{"c":{c},"m":{number},"x":"{x}"}}"#);
        self.fates.sent((c, number), terms, text.len(), epoch.get());
        let answer = match (self.member.kind, number % 4) {
            (Kind::Json, _) => {
                let value = serde_json::json!({"c": c, "m": number, "x": x});
                let message = SendJson::new(&value).expect("a value is JSON");
                connection.send(json_on(message, terms, epoch)).boxed_local()
            }
            (Kind::String, 0) => {
                let message = SendBinary::new(text);
                connection.send(binary_on(message, terms, epoch)).boxed_local()
            }
            (Kind::String, _) => {
                let message = SendString::new(text);
                connection.send(text_on(message, terms, epoch)).boxed_local()
            }
        };
        // Who waits for an answer does not keep the connection.
        drop(connection);
        let name = (self.number, number);
        let Some(answer) = self.answered(answer.await) else { return self.fates.lost(name) };
        match &answer {
            Ok(told) => self.note(format_args!("sent {number}: {told:?}")),
            Err(error) => self.note(format_args!("did not send {number}: {error}")),
        }
        self.fates.settled(name, answer);
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

    fn check_status(&self, status: &Status, life: &Life) {
        let Self { journal, number, .. } = self;
        let waits = status.next_attempt_in.is_some();
        journal.check(
            waits == (status.state == State::BackingOff),
            format_args!("c{number} has a timer while it is {} (I3)", status.state),
        );
        let (messages, bytes) = status.queued;
        let sessions = if self.member.rotates.is_some() { 2 } else { 1 };
        journal.check(
            messages <= self.member.outbox_messages + sessions * TAKEN_BACK.0
                && bytes <= self.member.outbox_bytes + sessions * TAKEN_BACK.1,
            format_args!("c{number} has {messages} messages in its outbox"),
        );
        self.fates.check_bounds(self.number, self.member.outbox_messages, self.member.outbox_bytes);
        let in_flight = status.received.saturating_sub(life.messages);
        journal.check(
            in_flight <= MOST_IN_FLIGHT,
            format_args!("c{number} has {in_flight} messages in flight"),
        );
    }

    /// Once no fault has happened for long enough, every connection is at rest or connected, and
    /// only those are at rest that were told to be or cannot be helped.
    pub(crate) async fn check_recovery(&self) {
        let Some(Current { connection, life }) = self.current.borrow().clone() else { return };
        let Some(status) = self.answered(connection.send(GetStatus).await) else { return };
        let Self { journal, number, member, .. } = self;
        self.check_status(&status, &life.borrow());
        let settled = match status.state {
            State::Connected | State::Failed => true,
            State::Disconnected => {
                self.supervisor.is_none()
                    || member.restart != RestartPolicy::Permanent
                    || self.told_to_stop.get()
            }
            State::Idle => self.supervisor.is_none(),
            _ => false,
        };
        journal.check(settled, format_args!("c{number} has not recovered: {status:?}"));
        journal.check(
            life.borrow().agrees_with(status.state),
            format_args!("c{number} is {}, and did not tell so", status.state),
        );
    }
}

fn path(home: Home, number: usize) -> String {
    match home {
        Home::Alone => format!("/alone/c{number}"),
        Home::Supervisor(supervisor) => format!("/u{supervisor}/c{number}"),
    }
}

pub(crate) fn policy() -> AccessPolicy {
    AccessPolicy::from_rules((0..4).map(|n| format!("allow ws://s{n}.test"))).expect("valid rules")
}
