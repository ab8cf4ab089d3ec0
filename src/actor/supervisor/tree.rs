//! Supervisors below a supervisor.

use std::sync::Arc;

use actix::{
    ActorFutureExt as _, Addr, Context, Handler, MessageResult, ResponseActFuture, ResponseFuture,
    WrapFuture as _,
};

use super::{Supervisor, builder::build, children::Post, keeper::keep};
use crate::{
    actor::superior::{Discard, Rerun, Terminate},
    error::{ChildError, StartError},
    lifecycle::ConnectionId,
    message::{
        DeleteSupervisor, RestartSupervisor, StartSupervisor, SupervisorInfo, TerminateSupervisor,
        WhichSupervisors,
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
        let superior = self.superior_of(Arc::clone(&supervision), serial, ctx);
        let supervised = superior.supervised.clone();
        let address = keep(build(spec.inherit(self), supervised, Some(superior)));
        let post = Post::Supervisor { address: address.clone() };
        self.children.insert(id, post, &supervision, serial);
        Ok(address)
    }

    /// The supervisor on which an operation may go on.
    fn supervisor_on(
        &self,
        operation: Operation,
        id: &ConnectionId,
    ) -> Result<(Addr<Self>, u64), ChildError> {
        self.children.on(operation, id, |child| child.supervisor().cloned())
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

impl Handler<TerminateSupervisor> for Supervisor {
    type Result = ResponseFuture<Result<(), ChildError>>;

    fn handle(
        &mut self,
        TerminateSupervisor(id): TerminateSupervisor,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let found = self.supervisor_on(Operation::Terminate, &id);
        Box::pin(async move {
            // An actor that is gone has no children.
            let _ = found?.0.send(Terminate).await;
            Ok(())
        })
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
        let found = self.supervisor_on(Operation::Restart, &id);
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
        let found = self.supervisor_on(Operation::Delete, &id);
        let discarded = async move {
            let (address, serial) = found?;
            match address.send(Discard).await {
                Ok(true) | Err(_) => Ok((id, serial)),
                Ok(false) => Err(ChildError::Running(id)),
            }
        };
        Box::pin(discarded.into_actor(self).map(|discarded, supervisor, _| {
            let (id, serial) = discarded?;
            supervisor.children.forget(&id, serial);
            Ok(())
        }))
    }
}
