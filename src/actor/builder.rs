use std::sync::Arc;

use actix::Addr;

use super::{connection::Connection, makings::Makings};
use crate::{
    error::InvalidSpec,
    event::Subscription,
    lifecycle::{ConnectionId, Machine},
    policy::AccessPolicy,
    spec::{Kind, Settings, check_id},
};

/// Builds a connection that is used alone, without a supervisor: nothing reconnects by itself.
#[derive(Clone, Debug)]
pub struct ConnectionBuilder {
    id: ConnectionId,
    kind: Kind,
    policy: AccessPolicy,
    settings: Arc<Settings>,
    subscriptions: Vec<Subscription>,
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
        let Self { id, kind, policy, settings, subscriptions } = self;
        let makings = Makings { id, kind, policy, settings };
        let fanout = makings.fanout(subscriptions);
        Ok(Connection::new(makings, fanout, Machine::new(None), None).start_here())
    }
}
