//! How a supervisor stops its children, for whatever reason.

use actix::{ActorFutureExt as _, AsyncContext as _, Context, WrapFuture as _};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{
    Supervisor,
    subordinate::{Stop, Subordinate},
};
use crate::{
    actor::superior::{Terminate, Wane},
    lifecycle::{ExitReason, Input},
    supervision::Strategy,
};

/// The children are being stopped. When they have, the supervisor has ended for this reason.
#[derive(Clone)]
pub(super) struct Winding {
    pub(super) how: Stop,
    reason: ExitReason,
}

impl Supervisor {
    /// Stops all children, and then ends.
    pub(super) fn wind(&mut self, how: Stop, reason: ExitReason, ctx: &mut Context<Self>) {
        self.children_run_on = false;
        self.winding = Some(Winding { how, reason });
        self.go_on_winding(ctx);
    }

    /// Also after a panic, which loses the task that waits for the children.
    pub(super) fn go_on_winding(&mut self, ctx: &mut Context<Self>) {
        let Some(Winding { how, .. }) = self.winding else { return };
        let tasks = [self.regrouping.take().map(|it| it.task), self.winding_task.take()];
        for task in tasks.into_iter().flatten() {
            ctx.cancel_future(task);
        }
        let stopped = self.stop_children(how).into_actor(self);
        self.winding_task = Some(ctx.spawn(stopped.map(|(), supervisor, ctx| {
            supervisor.winding_task = None;
            supervisor.wound(ctx);
        })));
    }

    fn wound(&mut self, ctx: &mut Context<Self>) {
        let Some(Winding { how, reason }) = self.winding.take() else { return };
        if let Stop::Retire = how {
            self.children.clear();
        }
        let epoch = self.machine.epoch();
        let _ = self.step(Input::Exited { epoch, reason }, ctx);
    }

    /// The time to stop is over.
    pub(super) fn cut(&self) {
        if let Some(Winding { how, .. }) = &self.winding {
            for child in self.children.all().rev() {
                child.cut(*how);
            }
        }
    }

    /// As OTP does: last to first, one after the other; all at once where the supervisor is dynamic.
    fn stop_children(&self, how: Stop) -> impl Future<Output = ()> + use<> {
        let children: Vec<_> = self.children.all().rev().collect();
        if !matches!(how, Stop::Hold(_)) {
            for child in &children {
                child.tell(Wane);
            }
        }
        let together = matches!(self.strategy, Strategy::Dynamic(_));
        let within = self.stop_within.into_iter().chain(self.deadline).min();
        async move {
            let Some(within) = within else { return stop_all(&children, how, together).await };
            let in_time = tokio::time::timeout(within, stop_all(&children, how, together)).await;
            if in_time.is_err() {
                for child in &children {
                    child.cut(how);
                }
                stop_all(&children, how, true).await;
            }
        }
    }

    /// Comes when it is at rest, with all that is below it. One that waited to be started again is so at
    /// once, but users may have connected its children meanwhile.
    pub(super) fn rest(&mut self) -> oneshot::Receiver<()> {
        let rest = self.bond.rest(&self.machine);
        if !self.machine.is_at_rest() {
            return rest;
        }
        let (told, wait) = oneshot::channel();
        let stopped = self.stop_children(Stop::Terminate);
        actix_rt::spawn(async move {
            stopped.await;
            let _ = told.send(());
        });
        wait
    }

    /// What waited for the supervisor to start again waits for nothing any more.
    pub(super) fn let_children_rest(&self) {
        for child in self.children.all().rev() {
            child.tell(Wane);
            child.tell(Terminate);
        }
    }
}

async fn stop_all(children: &[Subordinate], how: Stop, together: bool) {
    if together {
        join_all(children.iter().map(|child| child.stop(how))).await;
    } else {
        for child in children {
            child.stop(how).await;
        }
    }
}
