//! What connections and supervisors are told alike, by id.

use actix::{ActorFutureExt as _, ResponseActFuture, ResponseFuture, WrapFuture as _};

use super::{Supervisor, children::Child, subordinate::Subordinate};
use crate::{
    actor::superior::{Discard, Terminate},
    error::ChildError,
    lifecycle::ConnectionId,
    supervision::Operation,
};

/// Which kind of child a command is for; of the other kind none is found.
pub(super) type OfKind = fn(&Child) -> Option<Subordinate>;

pub(super) const CONNECTION: OfKind =
    |child| child.connection().cloned().map(Subordinate::Connection);
pub(super) const SUPERVISOR: OfKind =
    |child| child.supervisor().cloned().map(Subordinate::Supervisor);

impl Supervisor {
    pub(super) fn terminate(
        &self,
        id: &ConnectionId,
        kind: OfKind,
    ) -> ResponseFuture<Result<(), ChildError>> {
        let found = self.children.on(Operation::Terminate, id, kind);
        if found.is_ok() {
            self.leave_group(id);
        }
        Box::pin(async move {
            // An actor that is gone has no socket, and no children.
            found?.0.ask(Terminate).await;
            Ok(())
        })
    }

    pub(super) fn delete(
        &self,
        id: ConnectionId,
        kind: OfKind,
    ) -> ResponseActFuture<Self, Result<(), ChildError>> {
        let found = self.children.on(Operation::Delete, &id, kind);
        let discarded = async move {
            let (child, serial) = found?;
            // An actor that is gone is at rest.
            match child.ask(Discard).await {
                Some(true) | None => Ok((id, serial)),
                Some(false) => Err(ChildError::Running(id)),
            }
        };
        Box::pin(discarded.into_actor(self).map(|discarded, supervisor, _| {
            let (id, serial) = discarded?;
            supervisor.children.forget(&id, serial);
            Ok(())
        }))
    }
}
