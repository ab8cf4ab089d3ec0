//! Connections whose actor is lost, because its arbiter stopped.

use std::sync::Arc;

use super::{
    builder::ConnectionBuilder,
    connection::Connection,
    fanout::Fanout,
    superior::{Alarm, Remains, Report, Superior},
};
use crate::lifecycle::{ExitReason, Machine, Side, Supervised};

impl Connection {
    /// Goes on with a connection whose actor is lost.
    pub(super) fn revive(remains: Remains, superior: Superior) -> Self {
        let Remains { id, kind, policy, settings, machine, checked, fanout, .. } = remains;
        let subscriptions = Vec::new();
        let builder = ConnectionBuilder { id, kind, policy, settings, subscriptions };
        let mut connection = Self::new(builder, Some(superior));
        connection.machine = machine;
        connection.fanout.replace(fanout);
        if let Some(asked) = checked {
            connection.set_route(asked);
        }
        connection
    }

    /// What another actor needs to go on with this connection.
    fn leave_behind(&mut self, supervised: Supervised) -> Option<Remains> {
        let fanout = Fanout::new(self.id.clone(), self.kind, None);
        let supervised_machine = Machine::new(Some(supervised.clone()));
        Some(Remains {
            id: self.id.clone(),
            kind: self.kind,
            policy: self.policy.clone(),
            settings: Arc::clone(&self.settings),
            machine: std::mem::replace(&mut self.machine, supervised_machine),
            checked: self.route.as_ref().map(|route| route.asked.clone()),
            // Its session may be lost in the middle of a delivery.
            fanout: std::mem::replace(&mut *self.fanout.try_borrow_mut().ok()?, fanout),
            supervised,
        })
    }
}

/// An actor is dropped before its connection is at rest when its arbiter stops.
impl Drop for Connection {
    fn drop(&mut self) {
        let reason = &ExitReason::ArbiterStopped;
        self.links().for_each(|link| link.settle(reason));
        if let Ok(mut fanout) = self.fanout.try_borrow_mut() {
            // What is sent in part is known to this thread only.
            fanout.tell_rest();
            fanout.lose_requests(Side::Beside, reason);
            fanout.lose_requests(Side::Up, reason);
        }
        self.machine.lose_beside();
        self.outbox.end();
        if self.is_at_rest() {
            return;
        }
        let Some(Superior { supervised, reports, serial, .. }) = self.bond.superior.take() else {
            return;
        };
        let (state, epoch) = (self.machine.state(), self.machine.epoch());
        let (Some(remains), Some(supervisor)) = (self.leave_behind(supervised), reports.upgrade())
        else {
            return;
        };
        let (id, alarm) = (self.id.clone(), Some(Box::new(Alarm::Orphaned(Box::new(remains)))));
        supervisor.do_send(Report { id, serial, state, epoch, alarm });
    }
}
