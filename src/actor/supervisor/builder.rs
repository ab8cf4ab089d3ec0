use std::sync::Arc;

use actix::{Actor as _, Addr, Arbiter};

use super::{Supervisor, children::Children, group::cascades};
use crate::{
    event::Subscription,
    lifecycle::{Intensity, Restraint},
    policy::AccessPolicy,
    supervision::{CascadeOn, DialGate, HostBreaker, Strategy},
    transport::{Dialler, Gate, SharedDialler},
};

/// Builds a [`Supervisor`].
#[derive(Clone, Debug)]
pub struct SupervisorBuilder {
    policy: AccessPolicy,
    dialler: Option<SharedDialler>,
    arbiters: usize,
    subscriptions: Vec<Subscription>,
    intensity: Intensity,
    dial_gate: DialGate,
    host_breaker: Option<HostBreaker>,
    max_connections: usize,
    strategy: Strategy,
    cascade_on: CascadeOn,
}

impl Default for SupervisorBuilder {
    fn default() -> Self {
        Self {
            policy: AccessPolicy::default(),
            dialler: None,
            arbiters: 0,
            subscriptions: Vec::new(),
            intensity: Intensity::default(),
            dial_gate: DialGate::default(),
            host_breaker: Some(HostBreaker::default()),
            max_connections: usize::MAX,
            strategy: Strategy::default(),
            cascade_on: CascadeOn::default(),
        }
    }
}

impl SupervisorBuilder {
    /// Sets which URLs its connections may dial. Default: none.
    #[must_use]
    pub fn policy(mut self, policy: AccessPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets what opens the byte streams of connections whose [`Settings`](crate::Settings) name
    /// nothing else. Default: [`Tcp`](crate::Tcp).
    #[must_use]
    pub fn dialler(mut self, dialler: impl Dialler) -> Self {
        self.dialler = Some(SharedDialler::new(dialler));
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
        Supervisor {
            policy: self.policy,
            dialler: self.dialler,
            arbiters: (0..self.arbiters).map(|_| Arbiter::new()).collect(),
            children: Children::default(),
            max_connections: self.max_connections,
            subscriptions: self.subscriptions,
            restraint: Arc::new(Restraint::new(
                self.intensity,
                cascades(self.strategy, self.cascade_on),
            )),
            gate: Gate::new(self.dial_gate, self.host_breaker),
            strategy: self.strategy,
            regrouping: None,
            shutting_down: false,
        }
        .start()
    }
}
