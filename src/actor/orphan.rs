//! Connections whose actor is lost, because its arbiter stopped.

use std::sync::Arc;

use super::{
    connection::Connection,
    fanout::Fanout,
    makings::Makings,
    superior::{Alarm, Remains, Report, Superior},
};
use crate::lifecycle::{ExitReason, Machine, Side};

impl Connection {
    /// Goes on with a connection whose actor is lost.
    pub(super) fn revive(remains: Remains, superior: Superior) -> Self {
        let Remains { makings, machine, checked, fanout } = remains;
        let mut connection = Self::new(makings, fanout, machine, Some(superior));
        if let Some(asked) = checked {
            connection.set_route(asked);
        }
        connection
    }

    /// What another actor needs to go on with this connection.
    fn leave_behind(&mut self) -> Remains {
        let fanout = Fanout::new(self.id.clone(), self.kind, None);
        Remains {
            makings: Makings {
                id: self.id.clone(),
                kind: self.kind,
                policy: self.policy.clone(),
                settings: Arc::clone(&self.settings),
            },
            machine: std::mem::replace(&mut self.machine, Machine::new(None)),
            checked: self.route.as_ref().map(|route| route.asked.clone()),
            fanout: std::mem::replace(&mut self.fanout, fanout),
        }
    }
}

/// An actor is dropped before its connection is at rest when its arbiter stops.
impl Drop for Connection {
    fn drop(&mut self) {
        let reason = &ExitReason::ArbiterStopped;
        self.links().for_each(|link| link.settle(reason));
        // What is sent in part is known to this thread only.
        self.fanout.tell_rest();
        self.requests.end_session(Side::Beside, reason);
        self.requests.end_session(Side::Up, reason);
        self.machine.lose_beside();
        self.outbox.end();
        if self.is_at_rest() {
            return;
        }
        let Some(Superior { above, serial }) = self.bond.superior.take() else { return };
        let (state, epoch) = (self.machine.state(), self.machine.epoch());
        let Some(supervisor) = above.reports.upgrade() else { return };
        let remains = self.leave_behind();
        let (id, alarm) = (self.id.clone(), Some(Box::new(Alarm::Orphaned(Box::new(remains)))));
        supervisor.do_send(Report { id, serial, state, epoch, alarm });
    }
}
