//! Supervisors below a supervisor.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix::{
    ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, MessageResult, ResponseFuture,
    WrapFuture as _,
};

use futures_util::future::join_all;

use super::{Supervisor, SupervisorBuilder, children::Children};
use crate::{
    actor::{
        clock::now,
        superior::{Adopt, Enforce, Retire},
    },
    error::{ChildError, StartError},
    lifecycle::{Backoff, ConnectionId, ExitClass, ExitReason, Ledger, OnExceeded},
    message::{Shutdown, StartSupervisor, SupervisorInfo, TerminateSupervisor, WhichSupervisors},
    transport::with_entropy,
};

/// A supervisor below this one. Its connections outlive it when it fails.
pub(super) struct Branch {
    pub(super) address: Addr<Supervisor>,
    blueprint: SupervisorBuilder,
    pub(super) children: Arc<Mutex<Children>>,
    /// Which start this is: an end of an earlier one says nothing.
    serial: u64,
    failures: u32,
    restarts: Option<Box<Ledger>>,
}

impl Branch {
    /// Ends it with all its connections, also where it has failed and was about to be started again.
    pub(super) async fn shut_down(self, shutdown: Shutdown) {
        let _ = self.address.send(shutdown).await;
        let left = self.children.lock().unwrap_or_else(PoisonError::into_inner).take_all();
        join_all(left.iter().map(|address| address.send(Retire))).await;
    }
}

impl Supervisor {
    fn start_branch(
        &mut self,
        StartSupervisor { id, builder }: StartSupervisor,
        ctx: &mut Context<Self>,
    ) -> Result<Addr<Self>, StartError> {
        if self.shutting_down {
            return Err(StartError::ShuttingDown);
        }
        if self.branches.contains_key(&id) || self.children().get(&id).is_some() {
            return Err(StartError::AlreadyStarted(id));
        }
        let blueprint = builder.below(self);
        let children = Children::on_arbiters(blueprint.arbiter_count());
        let serial = self.children().take_serial();
        let address = self.raise(&id, serial, blueprint.clone(), Arc::clone(&children), ctx);
        let branch = Branch {
            address: address.clone(),
            blueprint,
            children,
            serial,
            failures: 0,
            restarts: None,
        };
        self.branches.insert(id, branch);
        Ok(address)
    }

    /// Runs a supervisor for these children, and hears of its end, a panic included.
    fn raise(
        &self,
        id: &ConnectionId,
        serial: u64,
        blueprint: SupervisorBuilder,
        children: Arc<Mutex<Children>>,
        ctx: &mut Context<Self>,
    ) -> Addr<Self> {
        let context = Context::new();
        let address = context.address();
        let task = actix_rt::spawn(context.into_future(blueprint.build(children, true)));
        let id = id.clone();
        ctx.spawn(task.into_actor(self).map(move |ended, above, ctx| {
            let panicked = ended.is_err_and(|error| error.is_panic());
            above.branch_ended(&id, serial, panicked, ctx);
        }));
        address
    }

    /// A supervisor below has ended. Giving up is an abnormal end, other than in OTP, where it looks
    /// like a shutdown and a transient supervisor would not come back.
    fn branch_ended(
        &mut self,
        id: &ConnectionId,
        serial: u64,
        panicked: bool,
        ctx: &mut Context<Self>,
    ) {
        let Some(branch) = self.branches.get_mut(id).filter(|branch| branch.serial == serial)
        else {
            return;
        };
        let gave_up =
            branch.children.lock().unwrap_or_else(PoisonError::into_inner).gave_up.clone();
        let reason = match gave_up {
            Some(reason) => reason,
            None if panicked => ExitReason::Crashed("the supervisor panicked".into()),
            None => return drop(self.branches.remove(id)),
        };
        branch.failures += 1;
        // After a panic its connections run on, and want a supervisor at once.
        let mut delay = if panicked {
            Duration::ZERO
        } else {
            with_entropy(|rng| Backoff::default().delay(branch.failures, None, rng))
        };
        match self.restraint.record(&mut branch.restarts, ExitClass::Crash, now()) {
            None => {}
            Some(OnExceeded::Delay(least)) => delay = delay.max(least),
            Some(OnExceeded::Quarantine) => return self.abandon_branch(id, &reason),
            Some(OnExceeded::ShutdownSupervisor) => {
                self.abandon_branch(id, &reason);
                return self.give_up(id, &reason, ctx);
            }
        }
        tracing::warn!(supervisor = %id, %reason, ?delay, "a supervisor is started again");
        let id = id.clone();
        ctx.run_later(delay, move |above, ctx| above.restart_branch(&id, serial, ctx));
    }

    fn restart_branch(&mut self, id: &ConnectionId, serial: u64, ctx: &mut Context<Self>) {
        let next = self.children().take_serial();
        let Some(branch) = self.branches.get_mut(id).filter(|branch| branch.serial == serial)
        else {
            return;
        };
        branch.serial = next;
        let (blueprint, children) = (branch.blueprint.clone(), Arc::clone(&branch.children));
        let address = self.raise(id, next, blueprint, children, ctx);
        if let Some(branch) = self.branches.get_mut(id) {
            branch.address = address;
        }
    }

    /// It failed too often: its connections end.
    fn abandon_branch(&mut self, id: &ConnectionId, reason: &ExitReason) {
        let Some(branch) = self.branches.remove(id) else { return };
        tracing::error!(supervisor = %id, %reason, "a supervisor failed too often, and is given up");
        let addresses = branch.children.lock().unwrap_or_else(PoisonError::into_inner).take_all();
        for address in addresses {
            address.do_send(Retire);
        }
    }

    /// Takes over the connections of an incarnation before this one. They run on; where it gave up,
    /// all of them are started again, and the gate lets them dial by turns.
    pub(super) fn adopt(&mut self, ctx: &Context<Self>) {
        let (gave_up, addresses): (_, Vec<_>) = {
            let mut children = self.children();
            (children.gave_up.take(), children.addresses().cloned().collect())
        };
        for address in addresses {
            address.do_send(Adopt {
                reports: ctx.address().downgrade().recipient(),
                restraint: Arc::clone(&self.restraint),
                starts_again: gave_up.is_some(),
            });
            // One that was being moved to another arbiter may have missed it.
            address.do_send(Enforce(self.policy.clone()));
        }
    }
}

impl Handler<StartSupervisor> for Supervisor {
    type Result = Result<Addr<Self>, StartError>;

    fn handle(&mut self, start: StartSupervisor, ctx: &mut Context<Self>) -> Self::Result {
        self.start_branch(start, ctx)
    }
}

impl Handler<WhichSupervisors> for Supervisor {
    type Result = MessageResult<WhichSupervisors>;

    fn handle(&mut self, _: WhichSupervisors, _: &mut Context<Self>) -> Self::Result {
        let info = |(id, branch): (&ConnectionId, &Branch)| SupervisorInfo {
            id: id.clone(),
            address: branch.address.clone(),
            restarts: branch.failures,
        };
        MessageResult(self.branches.iter().map(info).collect())
    }
}

impl Handler<TerminateSupervisor> for Supervisor {
    type Result = ResponseFuture<Result<(), ChildError>>;

    fn handle(
        &mut self,
        TerminateSupervisor(id): TerminateSupervisor,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let branch = self.branches.remove(&id).ok_or(ChildError::NotFound(id));
        Box::pin(async move {
            branch?.shut_down(Shutdown::gracefully()).await;
            Ok(())
        })
    }
}
