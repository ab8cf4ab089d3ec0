use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, SpawnHandle,
    fut::ActorFuture,
};
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinHandle},
};

use super::{
    builder::ConnectionBuilder,
    clock::{calendar, now},
    fanout::{EpochInbound, Fanout},
    superior::{Adopt, Alarm, Report, Superior, Update},
};
use crate::{
    error::ConnectError,
    lifecycle::{
        Action, Busy, ConnectionId, Epoch, ExitClass, ExitReason, Input, LifecycleEvent, Machine,
        RestartPolicy, State, Urgency,
    },
    message::{CheckedConnect, Connect},
    policy::AccessPolicy,
    protocol::{CloseCode, CloseFrame},
    spec::{Kind, Settings},
    supervision::Heed,
    transport::{Link, Opened, Route, Session, dial, with_entropy},
};

/// A WebSocket connection: the actor that is told what to do and outlives every socket.
///
/// It does no I/O itself. Each attempt runs as a task of its own, and so does each session; the
/// actor awaits them, so that a panic in one is an exit like any other, and its address stays
/// valid whatever happens to a socket.
///
/// | command | answer |
/// | --- | --- |
/// | [`Connect`](crate::Connect) | `Connecting`, or why not |
/// | [`SendJson`](crate::SendJson), [`SendString`](crate::SendString), [`SendBinary`](crate::SendBinary) | the message's fate, once its bytes were handed to the socket |
/// | [`Disconnect`](crate::Disconnect), [`Reconnect`](crate::Reconnect) | at once; the events follow |
/// | [`Subscribe`](crate::Subscribe), [`Unsubscribe`](crate::Unsubscribe), [`MarkReady`](crate::MarkReady), [`GetStatus`](crate::GetStatus) | at once |
pub struct Connection {
    pub(super) id: ConnectionId,
    pub(super) kind: Kind,
    pub(super) policy: AccessPolicy,
    pub(super) settings: Arc<Settings>,
    pub(super) machine: Machine,
    /// The last accepted parameters; absent until the first.
    pub(super) route: Option<Rc<Route>>,
    pub(super) fanout: Rc<RefCell<Fanout>>,
    /// Of the attempt or the session.
    task: Option<tokio::task::AbortHandle>,
    /// Present while a session is up or closing.
    pub(super) link: Option<Rc<Link>>,
    timer: Option<(Instant, SpawnHandle)>,
    pub(super) last_exit: Option<Box<(ExitReason, ExitClass)>>,
    pub(super) superior: Option<Superior>,
    reported: (State, Epoch),
    /// To be told with the next report. Boxed because it is rare.
    alarm: Option<Box<Alarm>>,
    /// Told when the connection is at rest, or held.
    waiting_for_rest: Vec<oneshot::Sender<()>>,
    /// The actor stops when the connection comes to rest: it is temporary, or its supervisor ends.
    pub(super) stops_at_rest: bool,
}

impl Connection {
    pub(super) fn new(builder: ConnectionBuilder, superior: Option<Superior>) -> Self {
        let ConnectionBuilder { id, kind, policy, settings, subscriptions } = builder;
        let mut fanout = Fanout::new(id.clone(), kind);
        for subscription in subscriptions {
            fanout.subscribe(subscription);
        }
        let is_temporary = |superior: &Superior| {
            superior.supervised.supervision.restart == RestartPolicy::Temporary
        };
        Self {
            stops_at_rest: superior.as_ref().is_some_and(is_temporary),
            machine: Machine::new(superior.as_ref().map(|superior| superior.supervised.clone())),
            fanout: Rc::new(RefCell::new(fanout)),
            id,
            kind,
            policy,
            settings,
            route: None,
            task: None,
            link: None,
            timer: None,
            last_exit: None,
            superior,
            reported: (State::Idle, Epoch::NONE),
            alarm: None,
            waiting_for_rest: Vec::new(),
        }
    }

    /// The checks of `Connect`, in their order: state, URL, policy, subprotocols, headers.
    pub(super) fn connect(
        &mut self,
        connect: &Connect,
        ctx: &mut Context<Self>,
    ) -> Result<Epoch, ConnectError> {
        self.machine.can_connect().map_err(refused)?;
        self.route = Some(self.route(connect.check(&self.policy)?));
        self.step(Input::Connect, ctx).map_err(refused)?;
        Ok(self.machine.epoch())
    }

    /// Sets what to dial when the actor starts.
    pub(super) fn with_route(mut self, checked: CheckedConnect) -> Self {
        self.route = Some(self.route(checked));
        self
    }

    pub(super) fn route(&self, checked: CheckedConnect) -> Rc<Route> {
        let CheckedConnect { allowed, headers, subprotocols } = checked;
        let (policy, settings) = (self.policy.clone(), Arc::clone(&self.settings));
        let gate = self.superior.as_ref().map(|superior| superior.gate.clone());
        Rc::new(Route {
            allowed,
            policy,
            headers,
            subprotocols,
            settings,
            gate,
            waits_for_turn: Cell::new(false),
        })
    }

    pub(super) fn reconnect(&mut self, ctx: &mut Context<Self>) -> Result<(), ConnectError> {
        self.step(Input::Reconnect, ctx).map_err(refused)
    }

    pub(super) fn disconnect(&mut self, frame: CloseFrame, ctx: &mut Context<Self>) {
        // The machine refuses no Disconnect.
        let _ = self.step(Input::Disconnect(frame), ctx);
    }

    pub(super) fn mark_ready(&mut self, ctx: &mut Context<Self>) {
        let _ = self.step(Input::MarkReady, ctx);
    }

    /// The way to the socket, where a message may take it now.
    pub(super) fn open_link(&self) -> Option<&Rc<Link>> {
        self.link.as_ref().filter(|_| self.machine.state() == State::Connected)
    }

    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.machine.state(), State::Idle | State::Disconnected | State::Failed)
    }

    /// Comes when the connection is at rest, or held.
    pub(super) fn rest(&mut self) -> oneshot::Receiver<()> {
        let (told, wait) = oneshot::channel();
        if self.machine.is_settled() {
            let _ = told.send(());
        } else {
            self.waiting_for_rest.push(told);
        }
        wait
    }

    /// Drops the socket, if there is one. Its end is told as any other.
    pub(super) fn cut(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }

    /// Another connection of the group failed.
    pub(super) fn hold(&mut self, due: Instant, ctx: &mut Context<Self>) {
        let _ = self.step(Input::Hold(due), ctx);
    }

    /// The group starts again.
    pub(super) fn release(&mut self, ctx: &mut Context<Self>) {
        let _ = self.step(Input::Release { everything: false }, ctx);
    }

    /// Has a new supervisor, and tells it how things are.
    pub(super) fn adopted(&mut self, adopt: Adopt, ctx: &mut Context<Self>) {
        if let Some(superior) = &mut self.superior {
            superior.reports = adopt.reports;
        }
        self.machine.restrain(adopt.restraint);
        self.reported = (State::Idle, Epoch::NONE);
        if adopt.starts_again {
            let _ = self.step(Input::Release { everything: true }, ctx);
        } else {
            // The one before knew when its group was to start again.
            let due = self.machine.held_until();
            self.alarm = due.map(|due| Box::new(Alarm::Cascade(due)));
        }
        self.report(ctx);
    }

    /// What runs goes on; the next attempt uses the new terms.
    pub(super) fn update(&mut self, update: Update) {
        self.settings = update.settings;
        self.route = Some(self.route(update.checked));
        self.machine.update(update.supervision);
    }

    /// Asks the state machine, and does what it says.
    fn step(&mut self, input: Input, ctx: &mut Context<Self>) -> Result<(), Busy> {
        let actions = with_entropy(|rng| self.machine.step(input, now(), calendar(), rng))?;
        for action in actions {
            match action {
                Action::Dial(epoch, urgency) => self.dial(epoch, urgency, ctx),
                Action::Abort => {
                    if let Some(task) = &self.task {
                        task.abort();
                    }
                }
                Action::Close(frame) => {
                    if let Some(link) = &self.link {
                        link.request_close(frame);
                    }
                }
                Action::Emit(epoch, event) => self.emit(epoch, &event),
                Action::Cascade(due) => self.alarm = Some(Box::new(Alarm::Cascade(due))),
                Action::SignificantEnd => self.alarm = Some(Box::new(Alarm::SignificantEnd)),
                Action::Escalate(reason) => {
                    self.alarm = Some(Box::new(Alarm::Escalation(reason)));
                }
            }
        }
        self.arm_timer(ctx);
        self.report(ctx);
        Ok(())
    }

    fn emit(&mut self, epoch: Epoch, event: &LifecycleEvent) {
        if let LifecycleEvent::GaveUp { .. } = event {
            tracing::warn!(connection = %self.id, %epoch, "{event}");
        } else {
            tracing::info!(connection = %self.id, %epoch, "{event}");
        }
        if let LifecycleEvent::ConnectionError { reason, class }
        | LifecycleEvent::Disconnected { reason, class, .. } = event
        {
            self.last_exit = Some(Box::new((reason.clone(), *class)));
            self.slow_down_others(reason, *class);
        }
        self.fanout.borrow_mut().emit(epoch, event);
    }

    /// What a server asks of one connection holds for all to its host.
    fn slow_down_others(&self, reason: &ExitReason, class: ExitClass) {
        let (Some(route), Some(superior)) = (&self.route, &self.superior) else { return };
        let asked_for = match class {
            ExitClass::Retry { floor: Some(floor) }
            | ExitClass::RetrySlow { floor: Some(floor) } => floor.at_least,
            _ if reason.close_code() == CloseCode::TRY_AGAIN_LATER => TRY_AGAIN_LATER,
            _ => return,
        };
        superior.gate.hold(&route.allowed.url().origin().into(), asked_for);
    }

    fn dial(&mut self, epoch: Epoch, urgency: Urgency, ctx: &mut Context<Self>) {
        // The machine dials only after an accepted `Connect`, which set the route.
        let Some(route) = self.route.clone() else { return };
        let heed = match urgency {
            Urgency::Patient => Heed::Host,
            Urgency::Now => Heed::GateOnly,
        };
        let task = actix_rt::spawn(dial(route, heed));
        self.task = Some(task.abort_handle());
        ctx.spawn(Watch(task).map(move |ended, connection: &mut Self, ctx| {
            connection.task = None;
            match ended {
                Ok(Ok(opened)) => connection.opened(epoch, opened, ctx),
                Ok(Err(reason)) => connection.attempt_failed(epoch, reason, ctx),
                Err(error) => connection.attempt_failed(epoch, crash_or_cancel(error), ctx),
            }
        }));
    }

    fn attempt_failed(&mut self, epoch: Epoch, reason: ExitReason, ctx: &mut Context<Self>) {
        // An attempt that failed while it was being cancelled was cancelled.
        let cancelled = self.machine.state() == State::Closing;
        let reason = if cancelled { ExitReason::Cancelled } else { reason };
        let _ = self.step(Input::Exited { epoch, reason }, ctx);
    }

    fn opened(&mut self, epoch: Epoch, opened: Opened, ctx: &mut Context<Self>) {
        if self.machine.state() != State::Connecting {
            drop(opened);
            return self.attempt_failed(epoch, ExitReason::Cancelled, ctx);
        }
        let link = Link::new(self.settings.outbox);
        self.link = Some(Rc::clone(&link));
        // Subscribers hear of the session before its task can deliver a message of it.
        let subprotocol = opened.subprotocol.clone();
        let _ = self.step(Input::Opened { epoch, subprotocol }, ctx);

        let inbound = EpochInbound { epoch, fanout: Rc::clone(&self.fanout) };
        let Settings { limits, timeouts, .. } = &*self.settings;
        let task = actix_rt::spawn(Session::new(opened, *limits, timeouts.close, link, inbound));
        self.task = Some(task.abort_handle());
        ctx.spawn(Watch(task).map(move |ended, connection: &mut Self, ctx| {
            connection.task = None;
            let reason = ended.unwrap_or_else(|error| match crash_or_cancel(error) {
                // It was cut.
                ExitReason::Cancelled => ExitReason::CloseUnanswered,
                crash => crash,
            });
            if let Some(link) = connection.link.take() {
                link.settle(&reason);
            }
            let _ = connection.step(Input::Exited { epoch, reason }, ctx);
        }));
    }

    /// One timer at most, for when the machine wants to be asked again.
    fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.machine.due();
        if self.timer.map(|(at, _)| at) == due {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(due) = due {
            let wait = due.saturating_duration_since(now());
            let timer = ctx.run_later(wait, |connection, ctx| {
                connection.timer = None;
                if ctx.connected() {
                    let _ = connection.step(Input::Tick, ctx);
                } else {
                    connection.abandon(ctx);
                }
            });
            self.timer = Some((due, timer));
        }
    }

    fn report(&mut self, ctx: &mut Context<Self>) {
        let now = (self.machine.state(), self.machine.epoch());
        if now == self.reported {
            return;
        }
        self.reported = now;
        if let Some(superior) = &self.superior {
            let (state, epoch) = now;
            let report = Report {
                id: self.id.clone(),
                serial: superior.serial,
                state,
                epoch,
                alarm: self.alarm.take(),
            };
            if let Some(supervisor) = superior.reports.upgrade() {
                supervisor.do_send(report);
            }
        }
        if self.machine.is_settled() {
            for waiting in self.waiting_for_rest.drain(..) {
                let _ = waiting.send(());
            }
        }
        if self.is_at_rest() && self.stops_at_rest {
            ctx.stop();
        }
    }

    /// Nobody has this connection's address any more.
    fn abandon(&mut self, ctx: &mut Context<Self>) {
        self.disconnect(CloseFrame::normal(), ctx);
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (state, epoch) = (self.machine.state(), self.machine.epoch());
        let input = match state {
            State::Idle if self.route.is_some() => Input::Connect,
            State::Idle => return,
            // The actor before this one is lost, and its attempt or session with it.
            State::Connecting | State::Connected | State::Closing => {
                Input::Exited { epoch, reason: ExitReason::ArbiterStopped }
            }
            State::BackingOff | State::Disconnected | State::Failed => Input::Tick,
        };
        // The machine refuses none of these.
        let _ = self.step(input, ctx);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// How long a host is left alone that closed with 1013 and did not say for how long.
const TRY_AGAIN_LATER: Duration = Duration::from_secs(5);

/// Awaits a task for the connection, and notices when nobody can command it any more.
struct Watch<T>(JoinHandle<T>);

impl<T> ActorFuture<Connection> for Watch<T> {
    type Output = Result<T, JoinError>;

    fn poll(
        mut self: Pin<&mut Self>,
        connection: &mut Connection,
        ctx: &mut Context<Connection>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Self::Output> {
        if !ctx.connected() {
            connection.abandon(ctx);
        }
        Pin::new(&mut self.0).poll(task)
    }
}

const fn refused(busy: Busy) -> ConnectError {
    match busy {
        Busy::InProgress => ConnectError::ConnectionInProgress,
        Busy::NeverConnected => ConnectError::Failed("Reconnect needs a Connect before it"),
    }
}

fn crash_or_cancel(error: JoinError) -> ExitReason {
    match error.try_into_panic() {
        Ok(panic) => ExitReason::Crashed(panic_text(&*panic).into()),
        Err(_) => ExitReason::Cancelled,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
