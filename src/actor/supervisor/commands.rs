//! What a supervisor does with each command.

use actix::{
    ActorContext as _, ActorFutureExt as _, Addr, Context, Handler, MessageResult,
    ResponseActFuture, ResponseFuture, WrapFuture as _,
};

use super::Supervisor;
use crate::{
    actor::{
        connection::Connection,
        superior::{Alarm, Discard, Report, Terminate, Update},
    },
    error::{ChildError, StartError, UpdateError},
    message::{
        Connect, CountConnections, DeleteConnection, Explain, ExplainConnection, Explanation,
        RestartConnection, Shutdown, StartConnection, Subscribe, TerminateConnection, Unsubscribe,
        UpdateSpec, WhichConnections,
    },
    supervision::Operation,
};

impl Handler<Report> for Supervisor {
    type Result = ();

    fn handle(&mut self, mut report: Report, ctx: &mut Context<Self>) {
        self.children().note(&report);
        match report.alarm.take().map(|alarm| *alarm) {
            Some(Alarm::Cascade(due)) => self.regroup(&report.id, due, ctx),
            Some(Alarm::SignificantEnd) => self.significant_end(&report.id, ctx),
            Some(Alarm::Escalation(reason)) => self.give_up(&report.id, &reason, ctx),
            Some(Alarm::Orphaned(remains)) => self.take_in(*remains, report.serial, ctx),
            None => {}
        }
    }
}

impl Handler<StartConnection> for Supervisor {
    type Result = Result<Addr<Connection>, StartError>;

    fn handle(
        &mut self,
        StartConnection(spec): StartConnection,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        self.start_connection(spec, ctx)
    }
}

impl Handler<TerminateConnection> for Supervisor {
    type Result = ResponseFuture<Result<(), ChildError>>;

    fn handle(
        &mut self,
        TerminateConnection(id): TerminateConnection,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let address =
            self.children().on(Operation::Terminate, &id).map(|child| child.address.clone());
        Box::pin(async move {
            // An actor that is gone has no socket.
            let _ = address?.send(Terminate).await;
            Ok(())
        })
    }
}

impl Handler<RestartConnection> for Supervisor {
    type Result = ResponseFuture<Result<(), ChildError>>;

    fn handle(
        &mut self,
        RestartConnection(id): RestartConnection,
        _: &mut Context<Self>,
    ) -> Self::Result {
        if self.shutting_down {
            return Box::pin(async { Err(ChildError::ShuttingDown) });
        }
        let child = self
            .children()
            .on(Operation::Restart, &id)
            .map(|child| (child.address.clone(), Connect::clone(&child.connect)));
        Box::pin(async move {
            let (address, connect) = child?;
            match address.send(connect).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(source)) => Err(ChildError::Connect { id, source }),
                Err(_) => Err(ChildError::NotFound(id)),
            }
        })
    }
}

impl Handler<DeleteConnection> for Supervisor {
    type Result = ResponseActFuture<Self, Result<(), ChildError>>;

    fn handle(
        &mut self,
        DeleteConnection(id): DeleteConnection,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let child = self
            .children()
            .on(Operation::Delete, &id)
            .map(|child| (child.serial, child.address.clone()));
        let discarded = async move {
            let (serial, address) = child?;
            // An actor that is gone is at rest.
            match address.send(Discard).await {
                Ok(true) | Err(_) => Ok((id, serial)),
                Ok(false) => Err(ChildError::Running(id)),
            }
        };
        Box::pin(discarded.into_actor(self).map(|discarded, supervisor, _| {
            let (id, serial) = discarded?;
            supervisor.children().forget(&id, serial);
            Ok(())
        }))
    }
}

impl Handler<WhichConnections> for Supervisor {
    type Result = MessageResult<WhichConnections>;

    fn handle(&mut self, which: WhichConnections, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.children().page(&which))
    }
}

impl Handler<ExplainConnection> for Supervisor {
    type Result = ResponseFuture<Result<Explanation, ChildError>>;

    fn handle(
        &mut self,
        ExplainConnection(id): ExplainConnection,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let address = self.children().get(&id).map(|child| child.address.clone());
        Box::pin(async move {
            let explained = match address {
                Some(address) => address.send(Explain).await.ok(),
                None => None,
            };
            explained.ok_or(ChildError::NotFound(id))
        })
    }
}

impl Handler<UpdateSpec> for Supervisor {
    type Result = Result<(), UpdateError>;

    fn handle(&mut self, UpdateSpec(spec): UpdateSpec, _: &mut Context<Self>) -> Self::Result {
        let id = spec.id.clone();
        spec.check()
            .and_then(|()| spec.check_against(self.restraint.intensity()))
            .map_err(|source| UpdateError::Spec { id: id.clone(), source })?;
        let checked = spec.connect.check(&self.policy);
        let checked = checked.map_err(|source| UpdateError::Connect { id: id.clone(), source })?;
        let settings = self.settings_of(&spec);
        let mut children = self.children();
        let Some(child) = children.get_mut(&id) else {
            return Err(UpdateError::NotFound(id));
        };
        if child.restart != spec.supervision.restart || child.kind != spec.kind {
            return Err(UpdateError::Fixed(id));
        }
        *child.connect = spec.connect;
        child.address.do_send(Update { checked, settings, supervision: spec.supervision });
        Ok(())
    }
}

impl Handler<CountConnections> for Supervisor {
    type Result = MessageResult<CountConnections>;

    fn handle(&mut self, _: CountConnections, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.children().counts())
    }
}

impl Handler<Subscribe> for Supervisor {
    type Result = MessageResult<Subscribe>;

    fn handle(
        &mut self,
        Subscribe(subscription): Subscribe,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let id = subscription.id();
        for address in self.children().addresses() {
            address.do_send(Subscribe(subscription.clone()));
        }
        self.subscriptions.push(subscription);
        MessageResult(id)
    }
}

impl Handler<Unsubscribe> for Supervisor {
    type Result = ();

    fn handle(&mut self, Unsubscribe(id): Unsubscribe, _: &mut Context<Self>) {
        for address in self.children().addresses() {
            address.do_send(Unsubscribe(id));
        }
        self.subscriptions.retain(|subscription| subscription.id() != id);
    }
}

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, shutdown: Shutdown, _: &mut Context<Self>) -> Self::Result {
        let wound_down = self.wind_down(shutdown.deadline).into_actor(self);
        Box::pin(wound_down.map(|(), _, ctx: &mut Context<Self>| ctx.stop()))
    }
}
