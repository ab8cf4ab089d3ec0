use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use actix::{Actor as _, Addr};

use super::{Supervisor, children::Children, group::cascades};
use crate::{
    event::Subscription,
    lifecycle::{Intensity, Restraint},
    policy::AccessPolicy,
    supervision::{AutoShutdown, CascadeOn, DialGate, HostBreaker, Strategy},
    transport::{Dialler, Gate, Resolver, SharedDialler, SharedResolver},
};

/// Builds a [`Supervisor`].
#[derive(Clone)]
pub struct SupervisorBuilder {
    policy: Option<AccessPolicy>,
    dialler: Option<SharedDialler>,
    resolver: Option<SharedResolver>,
    arbiters: usize,
    subscriptions: Vec<Subscription>,
    intensity: Intensity,
    gate: Option<Gate>,
    dial_gate: DialGate,
    host_breaker: Option<HostBreaker>,
    max_connections: usize,
    strategy: Strategy,
    cascade_on: CascadeOn,
    auto_shutdown: AutoShutdown,
}

impl Default for SupervisorBuilder {
    fn default() -> Self {
        Self {
            policy: None,
            dialler: None,
            resolver: None,
            arbiters: 0,
            subscriptions: Vec::new(),
            intensity: Intensity::default(),
            gate: None,
            dial_gate: DialGate::default(),
            host_breaker: Some(HostBreaker::default()),
            max_connections: usize::MAX,
            strategy: Strategy::default(),
            cascade_on: CascadeOn::default(),
            auto_shutdown: AutoShutdown::default(),
        }
    }
}

impl SupervisorBuilder {
    /// Sets which URLs its connections may dial. Default: none.
    #[must_use]
    pub fn policy(mut self, policy: AccessPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets what opens the byte streams of connections whose [`Settings`](crate::Settings) name
    /// nothing else. Default: [`Tcp`](crate::Tcp).
    #[must_use]
    pub fn dialler(mut self, dialler: impl Dialler) -> Self {
        self.dialler = Some(SharedDialler::new(dialler));
        self
    }

    /// Sets what finds the addresses of names for connections whose [`Settings`](crate::Settings)
    /// name nothing else. Default: [`SystemResolver`](crate::SystemResolver).
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Some(SharedResolver::new(resolver));
        self
    }

    /// Runs the connections on so many threads of their own, in turn. Default: 0, the arbiter that
    /// the supervisor is started on.
    #[must_use]
    pub const fn arbiters(mut self, arbiters: usize) -> Self {
        self.arbiters = arbiters;
        self
    }

    /// Sets how many restarts within which time are too many, and what follows. Default: more than
    /// five crashes of one connection within a minute put it in quarantine.
    #[must_use]
    pub const fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Sets how many connections may dial at once, and how fast.
    #[must_use]
    pub const fn dial_gate(mut self, gate: DialGate) -> Self {
        self.dial_gate = gate;
        self
    }

    /// Sets when a host counts as down, so that one connection at a time probes it while the others
    /// wait. `None` never does.
    #[must_use]
    pub fn host_breaker(mut self, breaker: impl Into<Option<HostBreaker>>) -> Self {
        self.host_breaker = breaker.into();
        self
    }

    /// Sets who is started again together when one connection fails. Default: the one that failed.
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets which end of a connection is a failure of its group. Default: a crash.
    #[must_use]
    pub const fn cascade_on(mut self, cascade_on: CascadeOn) -> Self {
        self.cascade_on = cascade_on;
        self
    }

    /// Sets whether it ends when its significant connections have. Default: never.
    #[must_use]
    pub const fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Sets how many connections it keeps at most, whatever state they are in. Default: no limit.
    #[must_use]
    pub const fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max;
        self
    }

    /// Tells a recipient of [`Lifecycle`](crate::Lifecycle), [`Received`](crate::Received) or
    /// [`ReceivedBatch`](crate::ReceivedBatch) what happens to all connections.
    #[must_use]
    pub fn subscribe(mut self, to: impl Into<Subscription>) -> Self {
        self.subscriptions.push(to.into());
        self
    }

    /// Starts the supervisor on the current arbiter.
    #[expect(clippy::must_use_candidate, reason = "its connections are started with it")]
    pub fn start(self) -> Addr<Supervisor> {
        let children = Children::on_arbiters(self.arbiters);
        self.build(children, false).start()
    }

    /// A supervisor of these children.
    pub(super) fn build(self, children: Arc<Mutex<Children>>, is_branch: bool) -> Supervisor {
        let changed = children.lock().unwrap_or_else(PoisonError::into_inner).policy.clone();
        let cascades = cascades(self.strategy, self.cascade_on);
        Supervisor {
            policy: changed.or(self.policy).unwrap_or_default(),
            dialler: self.dialler,
            resolver: self.resolver,
            children,
            max_connections: self.max_connections,
            subscriptions: self.subscriptions,
            restraint: Arc::new(Restraint::new(self.intensity, cascades)),
            gate: self.gate.unwrap_or_else(|| Gate::new(self.dial_gate, self.host_breaker)),
            strategy: self.strategy,
            auto_shutdown: self.auto_shutdown,
            regrouping: None,
            branches: BTreeMap::new(),
            is_branch,
            shutting_down: false,
        }
    }

    /// What it does not say itself, the supervisor above says; and they share one gate.
    pub(super) fn below(mut self, above: &Supervisor) -> Self {
        self.policy = self.policy.or_else(|| Some(above.policy.clone()));
        self.dialler = self.dialler.or_else(|| above.dialler.clone());
        self.resolver = self.resolver.or_else(|| above.resolver.clone());
        self.gate = Some(above.gate.clone());
        self.subscriptions = [above.subscriptions.as_slice(), &self.subscriptions].concat();
        self
    }

    pub(super) const fn arbiter_count(&self) -> usize {
        self.arbiters
    }
}
