mod attempt;
mod context;
mod expectations;
mod greeting;
mod hosted;
mod life;
mod orders;
mod owned;
mod policy;
mod report;
mod rotation;
mod seat;
mod session;
mod timer;
mod vigil;
mod work;

use std::{rc::Rc, sync::Arc};

use actix::Actor;

pub use self::context::ConnectionContext;
use self::{
    seat::{Beside, Seat},
    timer::Timer,
    vigil::{SharedVigil, vigil},
};
use super::{
    bond::Bond, fanout::Fanout, in_flight::InFlight, makings::Makings, superior::Superior,
};
use crate::{
    clock::{calendar, now},
    entropy::with_entropy,
    error::ConnectError,
    lifecycle::{
        Action, Busy, ConnectionId, Epoch, ExitClass, ExitReason, Input, LifecycleEvent, Machine,
        Overflow, State,
    },
    message::Connect,
    policy::AccessPolicy,
    protocol::CloseFrame,
    spec::{Kind, Settings},
    transport::{Route, SharedOutbox},
};

/// A WebSocket connection: the actor that is told what to do and outlives every socket.
///
/// It does no I/O itself. Each attempt runs as a task of its own; the session that comes of it has its
/// turn after the actor's, in one task with it. A panic in either is an exit like any other, and the
/// address stays valid whatever happens to a socket.
///
/// | command | answer |
/// | --- | --- |
/// | [`Connect`](crate::Connect) | `Connecting`, or why not |
/// | [`SendJson`](crate::SendJson), [`SendString`](crate::SendString), [`SendBinary`](crate::SendBinary), [`SendBatch`](crate::SendBatch) | the message's fate, once its bytes were handed to the socket |
/// | [`GetSender`](crate::GetSender) | a [`Sender`](crate::Sender), for who sends thousands of messages a second |
/// | [`Disconnect`](crate::Disconnect), [`Reconnect`](crate::Reconnect), [`Rotate`](crate::Rotate) | at once; the events follow |
/// | [`Subscribe`](crate::Subscribe), [`Unsubscribe`](crate::Unsubscribe), [`MarkReady`](crate::MarkReady), [`GetStatus`](crate::GetStatus) | at once |
pub struct Connection {
    pub(super) id: ConnectionId,
    pub(super) kind: Kind,
    pub(super) policy: AccessPolicy,
    pub(super) settings: Arc<Settings>,
    pub(super) machine: Machine,
    /// The last accepted parameters; absent until the first.
    pub(super) route: Option<Rc<Route>>,
    pub(super) fanout: Fanout,
    /// Requests that are not answered.
    pub(super) requests: InFlight,
    /// Of the session that is up, unless another spec has come since it began, and of those to come.
    pub(super) vigil: SharedVigil,
    /// The attempt or the session.
    pub(super) seat: Seat,
    /// Its successor, or the session before it. Boxed because it is rare.
    pub(super) beside: Option<Box<Beside>>,
    /// What waits to be sent, over all sessions.
    pub(super) outbox: Rc<SharedOutbox>,
    /// What it refused because it was full. Boxed because it is rare.
    pub(super) overflow: Option<Box<Overflow>>,
    timer: Option<Timer>,
    pub(super) last_exit: Option<Box<(ExitReason, ExitClass)>>,
    pub(super) bond: Bond,
}

impl Connection {
    /// With those who hear of it, the machine that decides for it, and the supervisor that it reports to.
    pub(super) fn new(
        makings: Makings,
        fanout: Fanout,
        machine: Machine,
        superior: Option<Superior>,
    ) -> Self {
        let Makings { id, kind, policy, settings } = makings;
        Self {
            bond: Bond::to(superior, &machine),
            machine,
            fanout,
            requests: InFlight::default(),
            vigil: vigil(&settings),
            outbox: SharedOutbox::new(settings.send_limit.clone()),
            overflow: None,
            id,
            kind,
            policy,
            settings,
            route: None,
            seat: Seat::default(),
            beside: None,
            timer: None,
            last_exit: None,
        }
    }

    /// The checks of `Connect`, in their order: state, URL, policy, subprotocols, headers.
    pub(super) fn connect(
        &mut self,
        connect: &Connect,
        ctx: &mut ConnectionContext,
    ) -> Result<Epoch, ConnectError> {
        self.machine.can_connect().map_err(refused)?;
        self.set_route(connect.check(&self.policy)?);
        self.step(Input::Connect, ctx).map_err(refused)?;
        Ok(self.machine.epoch())
    }

    pub(super) fn reconnect(&mut self, ctx: &mut ConnectionContext) -> Result<(), ConnectError> {
        self.judge_reconnect()?;
        self.step(Input::Reconnect, ctx).map_err(refused)
    }

    pub(super) fn disconnect(&mut self, frame: CloseFrame, ctx: &mut ConnectionContext) {
        // The machine refuses no Disconnect.
        let _ = self.step(Input::Disconnect(frame), ctx);
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.machine.is_at_rest()
    }

    /// Asks the state machine, and does what it says.
    fn step(&mut self, input: Input, ctx: &mut ConnectionContext) -> Result<(), Busy> {
        let actions = with_entropy(|rng| self.machine.step(input, now(), calendar(), rng))?;
        for action in actions {
            match action {
                Action::Dial(epoch, urgency) => self.dial(epoch, urgency),
                Action::DialBeside(epoch) => self.dial_beside(epoch),
                Action::HandOver { old } => self.hand_over(old),
                Action::TakeOver => self.take_over(),
                Action::EndBeside(reason) => self.end_beside(reason),
                Action::DropBeside(reason) => self.drop_beside(&reason),
                Action::Abort => self.seat.abort(),
                Action::Close(frame) => {
                    if let Some(link) = &self.seat.link {
                        link.request_close(frame);
                    }
                }
                Action::Discard(reason) => {
                    if let Some(link) = &self.seat.link {
                        link.settle(&reason);
                    }
                }
                Action::Emit(epoch, event) => self.emit(epoch, &event),
                other => self.bond.raise(other),
            }
        }
        self.admit_senders();
        self.arm_timer();
        self.report(ctx);
        Ok(())
    }

    pub(super) fn emit(&mut self, epoch: Epoch, event: &LifecycleEvent) {
        if let LifecycleEvent::GaveUp { .. } = event {
            tracing::warn!(connection = %self.id, %epoch, "{event}");
        } else {
            tracing::info!(connection = %self.id, %epoch, "{event}");
        }
        if let LifecycleEvent::ConnectionError { reason, class }
        | LifecycleEvent::Disconnected { reason, class, .. }
        | LifecycleEvent::RotationFailed { reason, class, .. } = event
        {
            self.last_exit = Some(Box::new((reason.clone(), *class)));
            let route = match (event, &self.beside) {
                (LifecycleEvent::RotationFailed { .. }, Some(beside)) => Some(&beside.route),
                _ => self.route.as_ref(),
            };
            self.slow_down_others(route, reason, *class);
        }
        self.fanout.emit(epoch, event);
    }

    /// Nobody has this connection's address any more.
    fn abandon(&mut self, ctx: &mut ConnectionContext) {
        self.disconnect(CloseFrame::normal(), ctx);
    }
}

impl Actor for Connection {
    type Context = ConnectionContext;

    fn started(&mut self, ctx: &mut ConnectionContext) {
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

    fn stopped(&mut self, _: &mut ConnectionContext) {
        self.cut();
    }
}

const fn refused(busy: Busy) -> ConnectError {
    match busy {
        Busy::InProgress => ConnectError::ConnectionInProgress,
        Busy::NeverConnected => ConnectError::Failed("Reconnect needs a Connect before it"),
        Busy::Waning => ConnectError::Failed("its supervisor has ended or is ending; restart that"),
    }
}
