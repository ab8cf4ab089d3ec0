//! Supervisors below a supervisor.

use std::sync::Arc;

use actix::{Addr, Context, Handler, MessageResult, ResponseActFuture, ResponseFuture};

use super::{
    Supervisor,
    builder::build,
    children::{Child, Post},
    keeper::keep,
    operations::SUPERVISOR,
};
use crate::{
    actor::superior::{GiveAccount, Rerun},
    clock::now,
    error::{ChildError, StartError},
    message::{
        DeleteSupervisor, ExplainSupervisor, RestartSupervisor, StartSupervisor,
        SupervisorExplanation, SupervisorInfo, TerminateSupervisor, WhichSupervisors,
    },
    spec::SupervisorSpec,
    supervision::Operation,
};

impl Supervisor {
    pub(super) fn start_supervisor(
        &mut self,
        spec: SupervisorSpec,
        ctx: &Context<Self>,
    ) -> Result<Addr<Self>, StartError> {
        let id = spec.id.clone();
        self.admits(&id)?;
        spec.check(&self.policy)?;
        spec.supervision
            .check_significance(self.auto_shutdown)
            .map_err(|source| StartError::Spec { id: id.clone(), source })?;
        let serial = self.children.take_serial();
        let supervision = Arc::clone(&spec.supervision);
        let supervised = self.terms_of(Arc::clone(&supervision));
        let superior = self.superior_of(serial, ctx);
        let address = keep(build(spec.inherit(self), supervised, Some(superior)));
        let post = Post::Supervisor { address: address.clone() };
        self.children.insert(id, post, &supervision, serial);
        Ok(address)
    }
}

impl Handler<StartSupervisor> for Supervisor {
    type Result = Result<Addr<Self>, StartError>;

    fn handle(
        &mut self,
        StartSupervisor(spec): StartSupervisor,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        self.start_supervisor(spec, ctx)
    }
}

impl Handler<WhichSupervisors> for Supervisor {
    type Result = MessageResult<WhichSupervisors>;

    fn handle(&mut self, _: WhichSupervisors, _: &mut Context<Self>) -> Self::Result {
        let supervisors: Vec<SupervisorInfo> = self.children.supervisors();
        MessageResult(supervisors)
    }
}

impl Handler<ExplainSupervisor> for Supervisor {
    type Result = ResponseFuture<Result<SupervisorExplanation, ChildError>>;

    fn handle(
        &mut self,
        ExplainSupervisor(id): ExplainSupervisor,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let below = self.children.get(&id).and_then(Child::supervisor).cloned();
        Box::pin(async move {
            let explained = match below {
                Some(below) => below.send(GiveAccount).await.ok(),
                None => None,
            };
            explained.ok_or(ChildError::NotFound(id))
        })
    }
}

impl Handler<GiveAccount> for Supervisor {
    type Result = MessageResult<GiveAccount>;

    fn handle(&mut self, _: GiveAccount, _: &mut Context<Self>) -> Self::Result {
        self.machine.settle(now());
        let state = self.machine.state();
        let (last_exit, last_class) = self.last_exit.clone().unzip();
        let due = self.machine.next_attempt();
        MessageResult(SupervisorExplanation {
            id: self.id.clone(),
            state: state.into(),
            restarts: self.machine.epoch().get().saturating_sub(1),
            children: self.children.counts(),
            last_exit,
            last_class,
            next_start_in: due.map(|due| due.saturating_duration_since(now())),
            waits_for_group: self.machine.is_held(),
            budgets: self.machine.budgets(now()),
        })
    }
}

impl Handler<TerminateSupervisor> for Supervisor {
    type Result = ResponseFuture<Result<(), ChildError>>;

    fn handle(
        &mut self,
        TerminateSupervisor(id): TerminateSupervisor,
        _: &mut Context<Self>,
    ) -> Self::Result {
        self.terminate(&id, SUPERVISOR)
    }
}

impl Handler<RestartSupervisor> for Supervisor {
    type Result = ResponseFuture<Result<(), ChildError>>;

    fn handle(
        &mut self,
        RestartSupervisor(id): RestartSupervisor,
        _: &mut Context<Self>,
    ) -> Self::Result {
        if !self.is_up() {
            return Box::pin(async { Err(ChildError::ShuttingDown) });
        }
        let found = self.children.on(Operation::Restart, &id, |child| child.supervisor().cloned());
        Box::pin(async move {
            let restarted = found?.0.send(Rerun).await;
            restarted.map_err(|_| ChildError::NotFound(id))
        })
    }
}

impl Handler<DeleteSupervisor> for Supervisor {
    type Result = ResponseActFuture<Self, Result<(), ChildError>>;

    fn handle(
        &mut self,
        DeleteSupervisor(id): DeleteSupervisor,
        _: &mut Context<Self>,
    ) -> Self::Result {
        self.delete(id, SUPERVISOR)
    }
}
