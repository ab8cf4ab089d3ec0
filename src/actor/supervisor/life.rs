//! A supervisor's own life. It is decided by the same machine as a connection's: to be up is to be
//! connected, to stop its children is to close, and what follows from its end follows from the terms
//! on which the supervisor above keeps it.

use std::{sync::Arc, time::Duration};

use actix::{ActorContext as _, AsyncContext as _, Context};

use super::{Supervisor, subordinate::Stop};
use crate::{
    actor::superior::Adopt,
    clock::{calendar, now},
    entropy::with_entropy,
    lifecycle::{
        Action, Busy, ConnectionId, ExitClass, ExitReason, Input, LifecycleEvent, RestartPolicy,
        Restraint, State,
    },
    protocol::CloseFrame,
    spec::ChildSpec,
    supervision::Strategy,
};

impl Supervisor {
    /// Asks the state machine, and does what it says.
    pub(super) fn step(&mut self, input: Input, ctx: &mut Context<Self>) -> Result<(), Busy> {
        let rested = self.machine.is_at_rest();
        let actions = with_entropy(|rng| self.machine.step(input, now(), calendar(), rng))?;
        for action in actions {
            match action {
                Action::Dial(..) => self.begin(ctx),
                Action::Close(_) => {
                    self.wind(self.how_to_stop(), ExitReason::ClosedByUs(None), ctx);
                }
                // It is up as soon as it begins.
                Action::Abort => {}
                Action::Emit(_, event) => self.note(event),
                other => self.bond.raise(other),
            }
        }
        if self.machine.is_at_rest() && !rested {
            self.children_run_on = false;
            self.let_children_rest();
        }
        self.arm_timer(ctx);
        if self.bond.report(&self.id, &self.machine) {
            ctx.stop();
        }
        Ok(())
    }

    /// Starts an incarnation: all children with it, first to last, and the gate lets them dial by
    /// turns. After a panic they run on. Restarts are counted anew.
    fn begin(&mut self, ctx: &mut Context<Self>) {
        let starts_again = !std::mem::take(&mut self.children_run_on);
        self.deadline = None;
        self.restraint = Arc::new(Restraint::new(self.intensity, self.cascades));
        for child in self.children.all() {
            child.tell(Adopt { restraint: Arc::clone(&self.restraint), starts_again });
        }
        let epoch = self.machine.epoch();
        let _ = self.step(Input::Opened { epoch, subprotocol: None }, ctx);
        for child in std::mem::take(&mut self.first_children) {
            let id = child.id().clone();
            let started = match child {
                ChildSpec::Connection(spec) => self.start_connection(*spec, ctx).map(drop),
                ChildSpec::Supervisor(spec) => self.start_supervisor(*spec, ctx).map(drop),
            };
            // They were checked before: only their arbiter may be gone.
            if let Err(error) = started {
                tracing::error!(child = %id, %error, "a child could not be started");
            }
        }
    }

    /// What an order from above means for the children.
    fn how_to_stop(&self) -> Stop {
        match self.machine.held_until() {
            Some(due) => Stop::Hold(due),
            None if self.bond.stops_at_rest => Stop::Retire,
            None => Stop::Terminate,
        }
    }

    /// Whether it takes children now.
    pub(super) fn is_up(&self) -> bool {
        self.machine.state() == State::Connected && !self.machine.wanes() && self.winding.is_none()
    }

    /// There were too many restarts: it ends, as in OTP. Nobody starts the one at the top again.
    pub(super) fn give_up(&mut self, by: &ConnectionId, last: ExitReason, ctx: &mut Context<Self>) {
        if !self.is_up() {
            return;
        }
        tracing::error!(supervisor = %self.id, %by, reason = %last, "the supervisor gives up");
        let reason = ExitReason::SupervisorGaveUp { last: Arc::new(last) };
        self.fail(reason, ctx);
    }

    /// A significant child has ended by itself.
    pub(super) fn significant_end(&mut self, by: ConnectionId, ctx: &mut Context<Self>) {
        let left = self.children.significant_left();
        if self.is_up() && self.auto_shutdown.is_due(left) {
            tracing::info!(supervisor = %self.id, %by, "it ends, for a significant child has");
            self.fail(ExitReason::AutoShutdown { by }, ctx);
        }
    }

    /// It ends by itself.
    fn fail(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if self.bond.superior.is_none() {
            // Nobody is above.
            return self.end(None, ctx);
        }
        let class = ExitClass::of(&reason, calendar());
        let how = match self.restart {
            _ if !self.retains_children() => Stop::Retire,
            RestartPolicy::Temporary => Stop::Retire,
            restart if restart.restarts_after(&class) => Stop::Hold(now()),
            _ => Stop::Terminate,
        };
        self.wind(how, reason, ctx);
    }

    const fn retains_children(&self) -> bool {
        match self.strategy {
            Strategy::Dynamic(dynamic) => dynamic.retains(),
            _ => true,
        }
    }

    /// Its own code panicked, and this is the next incarnation.
    pub(super) fn recover(&mut self, ctx: &mut Context<Self>) {
        if self.winding.is_some() {
            return self.go_on_winding(ctx);
        }
        match self.machine.state() {
            State::Connecting | State::Connected => {}
            State::Closing => {
                return self.wind(self.how_to_stop(), ExitReason::ClosedByUs(None), ctx);
            }
            _ => {
                let _ = self.step(Input::Tick, ctx);
                return;
            }
        }
        if self.machine.fails_group(ExitClass::Crash) || !self.retains_children() {
            // Its children start again with it.
            return self.fail(ExitReason::SupervisorPanicked, ctx);
        }
        self.children_run_on = true;
        let epoch = self.machine.epoch();
        let _ = self.step(Input::Exited { epoch, reason: ExitReason::SupervisorPanicked }, ctx);
        let _ = self.step(Input::Tick, ctx);
    }

    /// Whatever a panic may have left half done.
    pub(super) fn forget_incarnation(&mut self) {
        self.timer = None;
        self.regrouping = None;
        self.winding_task = None;
        self.children.count_again();
    }

    /// Told to end, with all that is below it.
    pub(super) fn end(&mut self, within: Option<Duration>, ctx: &mut Context<Self>) {
        self.deadline = within;
        let _ = self.step(Input::Disconnect(CloseFrame::normal()), ctx);
    }

    fn note(&mut self, event: LifecycleEvent) {
        let id = &self.id;
        match event {
            LifecycleEvent::Disconnected { reason, class, .. } => {
                tracing::info!(supervisor = %id, "ended: {reason}");
                self.last_exit = Some((reason, class));
            }
            LifecycleEvent::BackoffScheduled { delay, .. } => {
                tracing::warn!(supervisor = %id, ?delay, "it is started again");
            }
            LifecycleEvent::GaveUp { reason } => {
                tracing::error!(supervisor = %id, %reason, "it is not started again");
            }
            other => tracing::debug!(supervisor = %id, "{other}"),
        }
    }

    fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.machine.due();
        if self.timer == due {
            return;
        }
        self.timer = due;
        if let Some(due) = due {
            let wait = due.saturating_duration_since(now());
            ctx.run_later(wait, move |supervisor, ctx| {
                if supervisor.timer == Some(due) {
                    supervisor.timer = None;
                    let _ = supervisor.step(Input::Tick, ctx);
                }
            });
        }
    }
}
