//! Connections that are started again together.

use std::time::Instant;

use actix::{ActorFutureExt as _, Addr, AsyncContext as _, Context, SpawnHandle, WrapFuture as _};

use super::Supervisor;
use crate::{
    actor::{
        connection::Connection,
        superior::{Hold, Release},
    },
    lifecycle::{ConnectionId, ExitClass},
    supervision::{CascadeOn, Strategy},
};

/// A group on its way from a failure to its next start.
pub(super) struct Regroup {
    failed: ConnectionId,
    due: Instant,
    task: SpawnHandle,
}

/// Which ends are failures of the group; none where each is for itself.
pub(super) const fn cascades(strategy: Strategy, on: CascadeOn) -> Option<fn(ExitClass) -> bool> {
    match (strategy, on) {
        (Strategy::OneForOne, _) => None,
        (_, CascadeOn::Exit) => Some(|class| matches!(class, ExitClass::Crash)),
        (_, CascadeOn::SessionLost) => Some(|_| true),
    }
}

impl Supervisor {
    /// A connection failed, and its group is to start again when its backoff is over: one backoff for
    /// all of them. Those that are to be started with it are stopped one after the other, last to
    /// first; then all are started, first to last.
    pub(super) fn regroup(&mut self, failed: &ConnectionId, due: Instant, ctx: &mut Context<Self>) {
        if self.shutting_down {
            return;
        }
        let order = self.children().in_start_order();
        let (failed, due) = match self.regrouping.take() {
            None => (failed.clone(), due),
            // Two failures are one: from the earlier connection on, at the later time.
            Some(Regroup { failed: other, due: other_due, task }) => {
                ctx.cancel_future(task);
                let place = |id: &ConnectionId| order.iter().position(|known| known == id);
                let first = if place(&other) < place(failed) { other } else { failed.clone() };
                (first, due.max(other_due))
            }
        };
        let regrouping = self.strategy.regroup(&order, &failed);
        let stop = self.addresses(&regrouping.stop);
        let start = regrouping.start;
        let stopped = async move {
            for address in stop {
                // One that is gone is stopped.
                let _ = address.send(Hold(due)).await;
            }
            tokio::time::sleep_until(due.into()).await;
        };
        let task = ctx.spawn(stopped.into_actor(self).map(move |(), supervisor, _| {
            supervisor.regrouping = None;
            for address in supervisor.addresses(&start) {
                address.do_send(Release::Group);
            }
        }));
        self.regrouping = Some(Regroup { failed, due, task });
    }

    fn addresses(&self, ids: &[ConnectionId]) -> Vec<Addr<Connection>> {
        let children = self.children();
        ids.iter().filter_map(|id| Some(children.get(id)?.address.clone())).collect()
    }
}
