use std::sync::Arc;

use actix::Addr;

use super::{Supervisor, children::Children, group::cascades, keeper::keep};
use crate::{
    actor::{bond::Bond, superior::Superior},
    error::InvalidSpec,
    event::Subscription,
    lifecycle::{Intensity, Machine, Restraint, StableAfter, Supervised, Supervision},
    policy::AccessPolicy,
    spec::{Familiar, Proxies, SupervisorSpec},
    supervision::{AutoShutdown, CascadeOn, DialGate, HostBreaker, Strategy},
    transport::{Dialler, Gate, Resolver, SharedDialler, SharedResolver},
};

/// Builds a [`Supervisor`].
#[derive(Clone)]
pub struct SupervisorBuilder {
    pub(crate) policy: Option<AccessPolicy>,
    dialler: Option<SharedDialler>,
    resolver: Option<SharedResolver>,
    proxies: Option<Proxies>,
    arbiters: usize,
    subscriptions: Vec<Subscription>,
    pub(crate) intensity: Intensity,
    gate: Option<Gate>,
    dial_gate: DialGate,
    host_breaker: Option<HostBreaker>,
    strategy: Strategy,
    cascade_on: CascadeOn,
    pub(crate) auto_shutdown: AutoShutdown,
}

impl Default for SupervisorBuilder {
    fn default() -> Self {
        Self {
            policy: None,
            dialler: None,
            resolver: None,
            proxies: None,
            arbiters: 0,
            subscriptions: Vec::new(),
            intensity: Intensity::default(),
            gate: None,
            dial_gate: DialGate::default(),
            host_breaker: Some(HostBreaker::default()),
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

    /// Sets which proxy leads to the servers of connections whose settings say nothing of it.
    #[must_use]
    pub fn proxy(mut self, proxies: impl Into<Proxies>) -> Self {
        self.proxies = Some(proxies.into());
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

    /// Tells a recipient of [`Lifecycle`](crate::Lifecycle), [`Received`](crate::Received) or
    /// [`ReceivedBatch`](crate::ReceivedBatch) what happens to all connections.
    #[must_use]
    pub fn subscribe(mut self, to: impl Into<Subscription>) -> Self {
        self.subscriptions.push(to.into());
        self
    }

    /// Starts the supervisor on the current arbiter, without children and with nobody above it;
    /// [`SupervisorSpec::start`] starts one with children.
    ///
    /// After more than five panics of its own code within a minute it ends with all its children.
    ///
    /// # Errors
    /// When what was chosen contradicts itself; then nothing is started.
    pub fn start(self) -> Result<Addr<Supervisor>, InvalidSpec> {
        self.check(0)?;
        Ok(Supervisor::start_at_the_top(SupervisorSpec::new("top", self)))
    }

    /// Whether it can be, with so many children to start with.
    pub(crate) fn check(&self, children: usize) -> Result<(), InvalidSpec> {
        self.intensity.check()?;
        match self.strategy {
            Strategy::Dynamic(_) if self.auto_shutdown != AutoShutdown::Never => Err(
                InvalidSpec::Dynamic("a dynamic supervisor has no auto_shutdown; choose another"),
            ),
            Strategy::Dynamic(dynamic) if dynamic.most() == 0 => {
                Err(InvalidSpec::ZeroLimit("max_children"))
            }
            Strategy::Dynamic(dynamic) if dynamic.most() < children => {
                Err(InvalidSpec::Dynamic("there are more children than max_children"))
            }
            _ => Ok(()),
        }
    }
}

impl Supervisor {
    /// Nobody is above.
    pub(crate) fn start_at_the_top(spec: SupervisorSpec) -> Addr<Self> {
        // No time makes it stable: a timer would keep it alive when nobody else does.
        let supervision =
            Supervision { stable_after: StableAfter::Ready, ..Supervision::default() };
        let restraint = Arc::new(Restraint::default());
        let supervised = Supervised { supervision: Arc::new(supervision), restraint };
        let mut top = build(spec, supervised, None);
        top.bond.stops_at_rest = true;
        keep(top)
    }
}

pub(super) fn build(
    spec: SupervisorSpec,
    supervised: Supervised,
    superior: Option<Superior>,
) -> Supervisor {
    let SupervisorSpec { id, builder, stop_within, children, .. } = spec;
    let cascades = cascades(builder.strategy, builder.cascade_on);
    let restart = supervised.supervision.restart;
    let machine = Machine::new(Some(supervised));
    Supervisor {
        id,
        policy: builder.policy.unwrap_or_default(),
        familiar: Familiar::default(),
        dialler: builder.dialler,
        resolver: builder.resolver,
        proxies: builder.proxies,
        subscriptions: builder.subscriptions,
        gate: builder.gate.unwrap_or_else(|| Gate::new(builder.dial_gate, builder.host_breaker)),
        strategy: builder.strategy,
        auto_shutdown: builder.auto_shutdown,
        intensity: builder.intensity,
        cascades,
        restart,
        bond: Bond::to(superior, &machine),
        machine,
        last_exit: None,
        stop_within,
        deadline: None,
        winding: None,
        children: Children::on_arbiters(builder.arbiters),
        above: None,
        first_children: children,
        children_run_on: false,
        restraint: Arc::new(Restraint::new(builder.intensity, cascades)),
        timer: None,
        winding_task: None,
        regrouping: None,
    }
}

impl SupervisorSpec {
    /// What it does not say itself, the supervisor above says; and they share one gate.
    pub(super) fn inherit(mut self, above: &Supervisor) -> Self {
        let builder = &mut self.builder;
        builder.policy.get_or_insert_with(|| above.policy.clone());
        builder.dialler = builder.dialler.take().or_else(|| above.dialler.clone());
        builder.resolver = builder.resolver.take().or_else(|| above.resolver.clone());
        builder.proxies = builder.proxies.take().or_else(|| above.proxies.clone());
        builder.gate = Some(above.gate.clone());
        builder.subscriptions.splice(0..0, above.subscriptions.iter().cloned());
        self
    }
}
