//! Children that are started again together.

use std::{cell::RefCell, rc::Rc, time::Instant};

use actix::{ActorFutureExt as _, AsyncContext as _, Context, SpawnHandle, WrapFuture as _};

use super::{
    Supervisor,
    subordinate::{Stop, Subordinate},
};
use crate::{
    actor::superior::Release,
    lifecycle::{ConnectionId, ExitClass},
    supervision::{CascadeOn, Strategy},
};

/// A group on its way from a failure to its next start.
pub(super) struct Regroup {
    /// Who is held and then started. Those that are stopped meanwhile are in it no more.
    members: Rc<RefCell<Vec<ConnectionId>>>,
    due: Instant,
    pub(super) task: SpawnHandle,
}

/// Which ends are failures of the group; none where each is for itself.
pub(super) const fn cascades(strategy: Strategy, on: CascadeOn) -> Option<fn(ExitClass) -> bool> {
    match (strategy, on) {
        (Strategy::OneForOne | Strategy::Dynamic(_), _) => None,
        (_, CascadeOn::Exit) => Some(|class| matches!(class, ExitClass::Crash)),
        (_, CascadeOn::SessionLost) => Some(|_| true),
    }
}

impl Supervisor {
    /// A child failed, and its group is to start again when its backoff is over: one backoff for
    /// all of them. Those that are to be started with it are stopped one after the other, last to
    /// first; then all are started, first to last.
    pub(super) fn regroup(&mut self, failed: &ConnectionId, due: Instant, ctx: &mut Context<Self>) {
        if !self.is_up() {
            return;
        }
        let order: Vec<_> = self.children.ids().cloned().collect();
        let mut regrouping = self.strategy.regroup(&order, failed);
        let mut due = due;
        if let Some(earlier) = self.regrouping.take() {
            // Two failures are one, at the later time. Whoever is held by now is started with them,
            // also if the one that had failed first was deleted meanwhile.
            ctx.cancel_future(earlier.task);
            due = due.max(earlier.due);
            regrouping = regrouping.and(&earlier.members.borrow(), &order, failed);
        }
        let stop = self.subordinates(&regrouping.stop);
        let members = Rc::new(RefCell::new(regrouping.start));
        let members_left = Rc::clone(&members);
        let stopped = async move {
            for (id, child) in stop {
                if members_left.borrow().contains(&id) {
                    child.stop(Stop::Hold(due)).await;
                }
            }
            tokio::time::sleep_until(due.into()).await;
        };
        let task = ctx.spawn(stopped.into_actor(self).map(|(), supervisor, _| {
            let Some(group) = supervisor.regrouping.take() else { return };
            for (_, child) in supervisor.subordinates(&group.members.borrow()) {
                child.tell(Release);
            }
        }));
        self.regrouping = Some(Regroup { members, due, task });
    }

    /// One that is stopped while its group waits to start again stays as it is: that cancels a restart
    /// (OTP: `supervisor:terminate_child/2` of a child that is `restarting`).
    pub(super) fn leave_group(&self, id: &ConnectionId) {
        if let Some(group) = &self.regrouping {
            group.members.borrow_mut().retain(|other| other != id);
        }
    }

    fn subordinates(&self, ids: &[ConnectionId]) -> Vec<(ConnectionId, Subordinate)> {
        let with_id = |id: &ConnectionId| Some((id.clone(), self.children.get(id)?.subordinate()));
        ids.iter().filter_map(with_id).collect()
    }
}
