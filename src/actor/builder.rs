use std::sync::Arc;

use actix::{Addr, ArbiterHandle};

use super::{connection::Connection, superior::Superior};
use crate::{
    error::InvalidSpec,
    event::Subscription,
    lifecycle::{ConnectionId, Machine, Supervised},
    message::CheckedConnect,
    policy::AccessPolicy,
    spec::{Kind, Settings, check_id},
};

/// Builds a connection that is used alone, without a supervisor: nothing reconnects by itself.
#[derive(Clone, Debug)]
pub struct ConnectionBuilder {
    pub(super) id: ConnectionId,
    pub(super) kind: Kind,
    pub(super) policy: AccessPolicy,
    pub(super) settings: Arc<Settings>,
    pub(super) subscriptions: Vec<Subscription>,
}

impl Connection {
    /// A connection whose messages are JSON.
    pub fn json(id: impl Into<ConnectionId>) -> ConnectionBuilder {
        ConnectionBuilder::new(id.into(), Kind::Json)
    }

    /// A connection whose messages are text, or bytes, as they come.
    pub fn string(id: impl Into<ConnectionId>) -> ConnectionBuilder {
        ConnectionBuilder::new(id.into(), Kind::String)
    }
}

impl ConnectionBuilder {
    fn new(id: ConnectionId, kind: Kind) -> Self {
        Self {
            id,
            kind,
            policy: AccessPolicy::deny_all(),
            settings: Settings::shared_default(),
            subscriptions: Vec::new(),
        }
    }

    /// Sets which URLs may be dialled. Default: none.
    #[must_use]
    pub fn policy(mut self, policy: AccessPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets limits of time and size, and trust.
    #[must_use]
    pub fn settings(mut self, settings: impl Into<Arc<Settings>>) -> Self {
        self.settings = settings.into();
        self
    }

    /// Tells a recipient of [`Lifecycle`](crate::Lifecycle), [`Received`](crate::Received) or
    /// [`ReceivedBatch`](crate::ReceivedBatch) what happens, from the first event on.
    #[must_use]
    pub fn subscribe(mut self, to: impl Into<Subscription>) -> Self {
        self.subscriptions.push(to.into());
        self
    }

    /// Starts the actor on the current arbiter. It connects when it is told to
    /// ([`Connect`](crate::Connect)), and closes its session when its last address is dropped.
    ///
    /// # Errors
    /// When the id or a setting cannot be.
    pub fn start(self) -> Result<Addr<Connection>, InvalidSpec> {
        check_id(&self.id)?;
        self.settings.check()?;
        Ok(Connection::new(self, Machine::new(None), None).start_here())
    }

    /// Starts the actor for a supervisor, on this arbiter, with the attempt to make as soon as it runs.
    pub(super) fn start_here(
        self,
        supervised: Supervised,
        superior: Superior,
        first: CheckedConnect,
    ) -> Addr<Connection> {
        let machine = Machine::new(Some(supervised));
        Connection::new(self, machine, Some(superior)).with_route(first).start_here()
    }

    /// The same on another arbiter.
    pub(super) fn start_on(
        self,
        arbiter: &ArbiterHandle,
        supervised: Supervised,
        superior: Superior,
        first: CheckedConnect,
    ) -> Addr<Connection> {
        Connection::start_on(arbiter, move || {
            let machine = Machine::new(Some(supervised));
            Connection::new(self, machine, Some(superior)).with_route(first)
        })
    }
}
