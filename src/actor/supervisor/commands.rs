//! What a supervisor does with each command.

use actix::{Addr, Context, Handler, MessageResult, ResponseActFuture, ResponseFuture};

use super::{
    Supervisor,
    children::{Child, Post},
    operations::CONNECTION,
};
use crate::{
    actor::{
        connection::Connection,
        superior::{Alarm, Report, Update},
    },
    error::{ChildError, StartError, UpdateError},
    message::{
        Connect, CountConnections, DeleteConnection, Explain, ExplainConnection, Explanation,
        RestartConnection, Shutdown, StartConnection, Subscribe, TerminateConnection, Unsubscribe,
        UpdateSpec, WhichConnections,
    },
    supervision::{Operation, Standing},
};

impl Handler<Report> for Supervisor {
    type Result = ();

    fn handle(&mut self, mut report: Report, ctx: &mut Context<Self>) {
        self.children.note(&report);
        if Standing::of(report.state) == Standing::Stopped {
            self.leave_group(&report.id);
        }
        match report.alarm.take().map(|alarm| *alarm) {
            Some(Alarm::Cascade(due)) => self.regroup(&report.id, due, ctx),
            Some(Alarm::SignificantEnd) => self.significant_end(report.id, ctx),
            Some(Alarm::Escalation(reason)) => self.give_up(&report.id, reason, ctx),
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
        self.terminate(&id, CONNECTION)
    }
}

impl Handler<RestartConnection> for Supervisor {
    type Result = ResponseFuture<Result<(), ChildError>>;

    fn handle(
        &mut self,
        RestartConnection(id): RestartConnection,
        _: &mut Context<Self>,
    ) -> Self::Result {
        if !self.is_up() {
            return Box::pin(async { Err(ChildError::ShuttingDown) });
        }
        let found = self.children.on(Operation::Restart, &id, |child| match &child.post {
            Post::Connection { address, connect, .. } => {
                Some((address.clone(), Connect::clone(connect)))
            }
            Post::Supervisor { .. } => None,
        });
        Box::pin(async move {
            let ((address, connect), _) = found?;
            let Some(address) = address.upgrade() else { return Err(ChildError::NotFound(id)) };
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
        self.delete(id, CONNECTION)
    }
}

impl Handler<WhichConnections> for Supervisor {
    type Result = MessageResult<WhichConnections>;

    fn handle(&mut self, which: WhichConnections, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.children.page(&which))
    }
}

impl Handler<ExplainConnection> for Supervisor {
    type Result = ResponseFuture<Result<Explanation, ChildError>>;

    fn handle(
        &mut self,
        ExplainConnection(id): ExplainConnection,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let address = self.children.get(&id).and_then(Child::connection).cloned();
        Box::pin(async move {
            let explained = match address.and_then(|address| address.upgrade()) {
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
        spec.check_for(&self.intensity)
            .map_err(|source| UpdateError::Spec { id: id.clone(), source })?;
        let checked = spec.connect.check(&self.policy);
        let checked = checked.map_err(|source| UpdateError::Connect { id: id.clone(), source })?;
        let settings = self.settings_of(&spec);
        let Some(Child { post: Post::Connection { address, connect, kind }, restart, .. }) =
            self.children.get_mut(&id)
        else {
            return Err(UpdateError::NotFound(id));
        };
        if *restart != spec.supervision.restart || *kind != spec.kind {
            return Err(UpdateError::Fixed(id));
        }
        *connect = spec.connect;
        if let Some(address) = address.upgrade() {
            address.do_send(Update { checked, settings, supervision: spec.supervision });
        }
        Ok(())
    }
}

impl Handler<CountConnections> for Supervisor {
    type Result = MessageResult<CountConnections>;

    fn handle(&mut self, _: CountConnections, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.children.counts())
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
        for child in self.children.all() {
            child.tell(Subscribe(subscription.clone()));
        }
        self.subscriptions.push(subscription);
        MessageResult(id)
    }
}

impl Handler<Unsubscribe> for Supervisor {
    type Result = ();

    fn handle(&mut self, Unsubscribe(id): Unsubscribe, _: &mut Context<Self>) {
        for child in self.children.all() {
            child.tell(Unsubscribe(id));
        }
        self.subscriptions.retain(|subscription| subscription.id() != id);
    }
}

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, shutdown: Shutdown, ctx: &mut Context<Self>) -> Self::Result {
        self.end(shutdown.deadline, ctx);
        let rest = self.rest();
        Box::pin(async { drop(rest.await) })
    }
}
