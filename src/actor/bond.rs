use tokio::sync::oneshot;

use super::superior::{Adopt, Alarm, Report, Superior};
use crate::lifecycle::{Action, ConnectionId, Epoch, Input, Machine, RestartPolicy, State};

/// What ties an actor, a connection's or a supervisor's, to the supervisor above it: what that was
/// told, and who waits for the actor's rest.
pub(super) struct Bond {
    /// Absent where nobody is above.
    pub(super) superior: Option<Superior>,
    reported_state: State,
    reported_epoch: Epoch,
    /// Boxed because it is rare.
    rare: Option<Box<Rare>>,
    /// The actor stops when it comes to rest: it is temporary, or what is above it ends.
    pub(super) stops_at_rest: bool,
}

/// Nothing was reported.
const UNKNOWN: (State, Epoch) = (State::Idle, Epoch::NONE);

/// Where a supervisor takes a child to be that it has just started: that need not be reported.
pub(super) const STARTED: (State, Epoch) = (State::Connecting, Epoch::NONE.next());

#[derive(Default)]
struct Rare {
    /// To be told with the next report.
    alarm: Option<Box<Alarm>>,
    /// Told when the actor is at rest, or held.
    waiting_for_rest: Vec<oneshot::Sender<()>>,
}

impl Bond {
    /// The actor is new, or comes back as its machine has it.
    pub(super) fn to(superior: Option<Superior>, machine: &Machine) -> Self {
        let is_started = superior.is_some() && machine.epoch() == Epoch::NONE;
        let reported = if is_started { STARTED } else { UNKNOWN };
        Self {
            stops_at_rest: superior.is_some()
                && machine.restart_policy() == Some(RestartPolicy::Temporary),
            superior,
            reported_state: reported.0,
            reported_epoch: reported.1,
            rare: None,
        }
    }

    /// What the supervisor is to know of a step. Other actions are not its concern.
    pub(super) fn raise(&mut self, action: Action) {
        let alarm = match action {
            Action::Cascade(due) => Alarm::Cascade(due),
            Action::SignificantEnd => Alarm::SignificantEnd,
            Action::Escalate(reason) => Alarm::Escalation(reason),
            _ => return,
        };
        self.rare.get_or_insert_default().alarm = Some(Box::new(alarm));
    }

    /// Tells where the actor is, if that is new. Whether the actor is to stop.
    pub(super) fn report(&mut self, id: &ConnectionId, machine: &Machine) -> bool {
        let now = (machine.state(), machine.epoch());
        if now == (self.reported_state, self.reported_epoch) {
            return false;
        }
        (self.reported_state, self.reported_epoch) = now;
        if let Some(superior) = &self.superior {
            let ((state, epoch), id) = (now, id.clone());
            let alarm = self.rare.as_mut().and_then(|rare| rare.alarm.take());
            let serial = superior.serial;
            if let Some(supervisor) = superior.above.reports.upgrade() {
                supervisor.do_send(Report { id, serial, state, epoch, alarm });
            }
        }
        if machine.is_settled()
            && let Some(rare) = self.rare.take()
        {
            for waiting in rare.waiting_for_rest {
                let _ = waiting.send(());
            }
        }
        machine.is_at_rest() && self.stops_at_rest
    }

    /// Comes when the actor is at rest, or held.
    pub(super) fn rest(&mut self, machine: &Machine) -> oneshot::Receiver<()> {
        let (told, wait) = oneshot::channel();
        if machine.is_settled() {
            let _ = told.send(());
        } else {
            self.rare.get_or_insert_default().waiting_for_rest.push(told);
        }
        wait
    }

    /// There is a new supervisor, which is to be told everything. What to do then.
    pub(super) fn adopted(&mut self, adopt: Adopt, machine: &mut Machine) -> Option<Input> {
        machine.restrain(adopt.restraint);
        (self.reported_state, self.reported_epoch) = UNKNOWN;
        if adopt.starts_again {
            return Some(Input::Release { everything: true });
        }
        // The one before knew when its group was to start again.
        if let Some(due) = machine.held_until() {
            self.raise(Action::Cascade(due));
        } else if let Some(rare) = &mut self.rare {
            rare.alarm = None;
        }
        None
    }
}
