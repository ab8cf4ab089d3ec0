//! What a connection answers when it is asked about itself.

use super::connection::Connection;
use crate::{
    clock::now,
    lifecycle::State,
    message::{Explanation, Status},
    policy::Allowed,
};

impl Connection {
    pub(super) fn status(&mut self) -> Status {
        self.machine.settle(now());
        let fanout = &self.fanout;
        let next_attempt_in = match self.machine.state() {
            State::BackingOff => {
                self.machine.next_attempt().map(|due| due.saturating_duration_since(now()))
            }
            _ => None,
        };
        Status {
            id: self.id.clone(),
            state: self.machine.state(),
            epoch: self.machine.epoch(),
            attempt: self.machine.attempt(),
            stable: self.machine.is_stable(),
            ready: self.is_ready(),
            successor: self.machine.successor(),
            next_attempt_in,
            last_exit: self.last_exit.as_deref().map(|(reason, _)| reason.clone()),
            queued: self.outbox.queued(),
            received: fanout.received,
            unheard: fanout.unheard,
            not_json: fanout.not_json,
            round_trip: fanout.round_trip,
        }
    }

    pub(super) fn explain(&mut self) -> Explanation {
        let allowed = self.route.as_ref().and_then(|route| route.endpoint());
        let (host_is_down, waiting_for_host) = match (&self.bond.superior, &allowed) {
            (Some(superior), Some(allowed)) => superior.above.gate.look(allowed.url().origin()),
            _ => (false, 0),
        };
        let is_connecting = self.machine.state() == State::Connecting;
        Explanation {
            status: self.status(),
            allowed_by: allowed.as_ref().map(|allowed| allowed.rule().to_string()),
            url: allowed.map(Allowed::into_url),
            last_class: self.last_exit.as_deref().map(|(_, class)| *class),
            decided_by: self
                .last_exit
                .as_deref()
                .map(|(reason, class)| self.machine.rule_of(reason, *class)),
            at_the_gate: self
                .route
                .as_ref()
                .filter(|_| is_connecting)
                .and_then(|route| route.place()),
            waits_for_group: self.machine.is_held(),
            host_is_down,
            waiting_for_host,
            budgets: self.machine.budgets(now()),
        }
    }
}
