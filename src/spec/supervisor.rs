use std::{collections::BTreeSet, sync::Arc, time::Duration};

use actix::Addr;

use super::{ConnectionSpec, check_id};
use crate::{
    Supervisor, SupervisorBuilder,
    error::{InvalidSpec, StartError},
    lifecycle::{Backoff, ConnectionId, RestartPolicy, RetryBudget, Supervision},
    policy::AccessPolicy,
};

/// A supervisor that another one is asked to keep, with the children it starts with: OTP's child spec
/// of the type `supervisor`.
///
/// ```
/// use wsvisor::{ConnectionSpec, RestartPolicy, Strategy, Supervisor, SupervisorSpec};
///
/// let bot = SupervisorSpec::new("bot", Supervisor::builder().strategy(Strategy::RestForOne))
///     .restart(RestartPolicy::Transient)
///     .child(ConnectionSpec::json("session", "wss://stream.example.com/session"))
///     .child(ConnectionSpec::json("trades", "wss://stream.example.com/trades"));
/// ```
#[derive(Clone)]
pub struct SupervisorSpec {
    pub(crate) id: ConnectionId,
    pub(crate) builder: SupervisorBuilder,
    pub(crate) supervision: Arc<Supervision>,
    pub(crate) stop_within: Option<Duration>,
    pub(crate) children: Vec<ChildSpec>,
}

/// What a supervisor starts with.
#[derive(Clone)]
#[non_exhaustive]
pub enum ChildSpec {
    /// A connection.
    Connection(Box<ConnectionSpec>),
    /// A supervisor, with children of its own.
    Supervisor(Box<SupervisorSpec>),
}

impl SupervisorSpec {
    /// A supervisor that is built so. What the builder does not say, the supervisor above says: the
    /// access policy, the dialler. It dials through the gate of the one above, and those who
    /// subscribed there hear of its connections too.
    #[must_use]
    pub fn new(id: impl Into<ConnectionId>, builder: SupervisorBuilder) -> Self {
        Self {
            id: id.into(),
            builder,
            supervision: Arc::default(),
            stop_within: None,
            children: Vec::new(),
        }
    }

    /// Sets when it is started again. Default: permanent.
    ///
    /// Its end is abnormal when it gave up or its own code panicked, and normal when it ended with its
    /// significant children ([`AutoShutdown`](crate::AutoShutdown)). OTP differs: a supervisor that
    /// gives up ends there with the reason `shutdown`, and a transient one is not started again.
    #[must_use]
    pub fn restart(mut self, restart: RestartPolicy) -> Self {
        Arc::make_mut(&mut self.supervision).restart = restart;
        self
    }

    /// Marks it as significant: its end by itself may be that of the supervisor above. It must be
    /// transient or temporary.
    #[must_use]
    pub fn significant(mut self) -> Self {
        Arc::make_mut(&mut self.supervision).significant = true;
        self
    }

    /// Sets how long it waits before it is started again after it gave up. After a panic it does not
    /// wait, for its connections run on.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        Arc::make_mut(&mut self.supervision).backoff = backoff;
        self
    }

    /// Sets how often in a row it may give up before it is left alone. Default: no end but the
    /// intensity of the supervisor above.
    #[must_use]
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        Arc::make_mut(&mut self.supervision).budget = budget;
        self
    }

    /// Sets how long its children may take to stop, all together; then their sockets are dropped. Zero
    /// is OTP's `brutal_kill`. Default: as long as their close timeouts allow, one after the other
    /// (OTP: `infinity`).
    #[must_use]
    pub const fn stop_within(mut self, within: Duration) -> Self {
        self.stop_within = Some(within);
        self
    }

    /// Adds a child that it starts with, after those added before.
    #[must_use]
    pub fn child(mut self, child: impl Into<ChildSpec>) -> Self {
        self.children.push(child.into());
        self
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// Starts it on the current arbiter with its children and with nobody above it. Its restart type,
    /// its backoff and its budget mean nothing then: when it gives up it ends.
    ///
    /// # Errors
    /// When a part of the tree cannot be; then nothing is started.
    pub fn start(self) -> Result<Addr<Supervisor>, StartError> {
        self.check(&AccessPolicy::deny_all())?;
        Ok(Supervisor::start_at_the_top(self))
    }

    /// Checks the whole tree before anything of it is started; `above` holds where it says nothing.
    pub(crate) fn check(&self, above: &AccessPolicy) -> Result<(), StartError> {
        let policy = self.builder.policy.as_ref().unwrap_or(above);
        check_id(&self.id)
            .and_then(|()| self.supervision.check())
            .and_then(|()| self.builder.check(self.children.len()))
            .and_then(|()| self.check_ids())
            .map_err(|source| StartError::Spec { id: self.id.clone(), source })?;
        for child in &self.children {
            self.check_child(child, policy).map_err(|source| StartError::Child {
                supervisor: self.id.clone(),
                source: Box::new(source),
            })?;
        }
        Ok(())
    }

    fn check_ids(&self) -> Result<(), InvalidSpec> {
        let mut known = BTreeSet::new();
        match self.children.iter().find(|child| !known.insert(child.id())) {
            Some(child) => Err(InvalidSpec::DuplicateId(child.id().clone())),
            None => Ok(()),
        }
    }

    fn check_child(&self, child: &ChildSpec, policy: &AccessPolicy) -> Result<(), StartError> {
        let spec = |source| StartError::Spec { id: child.id().clone(), source };
        let supervision = match child {
            ChildSpec::Connection(connection) => {
                connection.check_for(&self.builder.intensity).map_err(spec)?;
                connection
                    .connect
                    .check(policy)
                    .map_err(|source| StartError::Connect { id: connection.id.clone(), source })?;
                &connection.supervision
            }
            ChildSpec::Supervisor(supervisor) => {
                supervisor.check(policy)?;
                &supervisor.supervision
            }
        };
        supervision.check_significance(self.builder.auto_shutdown).map_err(spec)
    }
}

impl ChildSpec {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &ConnectionId {
        match self {
            Self::Connection(spec) => &spec.id,
            Self::Supervisor(spec) => &spec.id,
        }
    }
}

impl From<ConnectionSpec> for ChildSpec {
    fn from(spec: ConnectionSpec) -> Self {
        Self::Connection(Box::new(spec))
    }
}

impl From<SupervisorSpec> for ChildSpec {
    fn from(spec: SupervisorSpec) -> Self {
        Self::Supervisor(Box::new(spec))
    }
}
