use std::{collections::BTreeMap, sync::Arc};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, Arbiter, ArbiterHandle, AsyncContext as _,
    Context, Handler, MessageResult, ResponseActFuture, ResponseFuture, WrapFuture as _,
};
use futures_util::future::join_all;

use super::{
    builder::ConnectionBuilder,
    commands::{Discard, Retire, Terminate},
    connection::{Connection, Report, Superior},
};
use crate::{
    error::{ChildError, StartError},
    event::Subscription,
    lifecycle::{
        ConnectionId, Epoch, ExitReason, Intensity, RestartPolicy, Restraint, State, Supervised,
    },
    message::{
        Connect, ConnectionInfo, CountConnections, Counts, DeleteConnection, RestartConnection,
        Shutdown, StartConnection, Subscribe, TerminateConnection, Unsubscribe, WhichConnections,
    },
    policy::AccessPolicy,
    spec::{ConnectionSpec, Settings},
    supervision::{DialGate, HostBreaker, Operation, Refused, Standing},
    transport::{Dialler, Gate, SharedDialler},
};

/// Keeps connections alive: starts them, knows them by id, and brings them back when they end, as
/// each one's restart type and backoff say.
///
/// A connection that fails or panics does not touch the others. When the supervisor stops, by
/// [`Shutdown`] or because its last address is dropped, its connections are closed.
///
/// ```no_run
/// # use actix::prelude::*;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use wsvisor::{AccessPolicy, ConnectionSpec, StartConnection, Supervisor};
///
/// let supervisor = Supervisor::builder()
///     .policy(AccessPolicy::from_rules(["allow wss://*.example.com"])?)
///     .start();
/// let ticker = supervisor
///     .send(StartConnection(ConnectionSpec::json("ticker", "wss://stream.example.com/v1")))
///     .await??;
/// # Ok(()) }
/// ```
pub struct Supervisor {
    policy: AccessPolicy,
    dialler: Option<SharedDialler>,
    arbiters: Vec<Arbiter>,
    children: BTreeMap<ConnectionId, Child>,
    counts: Counts,
    subscriptions: Vec<Subscription>,
    restraint: Arc<Restraint>,
    gate: Gate,
    next_serial: u64,
    shutting_down: bool,
}

struct Child {
    address: Addr<Connection>,
    /// What to dial when it is restarted. On its own, for the nodes of a map are half empty.
    connect: Box<Connect>,
    restart: RestartPolicy,
    /// Rises with each start, so that it also tells the order of starts.
    serial: u64,
    state: State,
    epoch: Epoch,
}

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
            children: BTreeMap::new(),
            counts: Counts::default(),
            subscriptions: self.subscriptions,
            restraint: Arc::new(Restraint::new(self.intensity)),
            gate: Gate::new(self.dial_gate, self.host_breaker),
            next_serial: 0,
            shutting_down: false,
        }
        .start()
    }
}

impl Supervisor {
    /// Builds a supervisor.
    #[must_use]
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder::default()
    }

    fn start_connection(
        &mut self,
        spec: ConnectionSpec,
        ctx: &Context<Self>,
    ) -> Result<Addr<Connection>, StartError> {
        let id = spec.id.clone();
        if self.shutting_down {
            return Err(StartError::ShuttingDown);
        }
        if let Err(refused) = Operation::Start.on(self.standing(&id)) {
            return Err(match refused {
                Refused::AlreadyStarted => StartError::AlreadyStarted(id),
                _ => StartError::AlreadyPresent(id),
            });
        }
        spec.check()
            .and_then(|()| spec.check_against(self.restraint.intensity()))
            .map_err(|source| StartError::Spec { id: id.clone(), source })?;
        let first = spec
            .connect
            .check(&self.policy)
            .map_err(|source| StartError::Connect { id: id.clone(), source })?;

        let serial = self.next_serial;
        self.next_serial += 1;
        let builder = ConnectionBuilder {
            id: id.clone(),
            kind: spec.kind,
            policy: self.policy.clone(),
            settings: self.settings_of(&spec),
            subscriptions: [self.subscriptions.as_slice(), &spec.subscriptions].concat(),
        };
        let restart = spec.supervision.restart;
        let superior = Superior {
            supervised: Supervised {
                supervision: spec.supervision,
                restraint: Arc::clone(&self.restraint),
            },
            gate: self.gate.clone(),
            reports: ctx.address().downgrade().recipient(),
            serial,
        };
        let address = builder.start_on(&self.arbiter(serial), superior, first);
        if !address.connected() {
            return Err(StartError::ArbiterGone);
        }
        let child = Child {
            address: address.clone(),
            connect: Box::new(spec.connect),
            restart,
            serial,
            state: State::Connecting,
            epoch: Epoch::NONE,
        };
        self.counts.specs += 1;
        *self.counts.of(child.state) += 1;
        self.children.insert(id, child);
        Ok(address)
    }

    fn settings_of(&self, spec: &ConnectionSpec) -> Arc<Settings> {
        match (&spec.settings.dialler, &self.dialler) {
            (None, Some(dialler)) => {
                let dialler = Some(dialler.clone());
                Arc::new(Settings { dialler, ..Settings::clone(&spec.settings) })
            }
            _ => Arc::clone(&spec.settings),
        }
    }

    fn arbiter(&self, serial: u64) -> ArbiterHandle {
        let count = self.arbiters.len() as u64;
        let chosen = serial.checked_rem(count).and_then(|index| usize::try_from(index).ok());
        match chosen.and_then(|index| self.arbiters.get(index)) {
            Some(arbiter) => arbiter.handle(),
            None => Arbiter::current(),
        }
    }

    fn standing(&self, id: &ConnectionId) -> Option<Standing> {
        self.children.get(id).map(|child| Standing::of(child.state))
    }

    /// The child on which an operation may go on.
    fn child(&self, operation: Operation, id: &ConnectionId) -> Result<&Child, ChildError> {
        let refused = match operation.on(self.standing(id)) {
            Ok(()) => Refused::NotFound,
            Err(refused) => refused,
        };
        match (self.children.get(id), refused) {
            (_, Refused::Running) => Err(ChildError::Running(id.clone())),
            (_, Refused::Restarting) => Err(ChildError::Restarting(id.clone())),
            (Some(child), _) => Ok(child),
            (None, _) => Err(ChildError::NotFound(id.clone())),
        }
    }

    fn forget(&mut self, id: &ConnectionId) -> Option<Child> {
        let child = self.children.remove(id)?;
        self.counts.specs -= 1;
        *self.counts.of(child.state) -= 1;
        Some(child)
    }

    fn report(&mut self, report: &Report) {
        let Some(child) = self.children.get_mut(&report.id) else { return };
        if child.serial != report.serial {
            return;
        }
        *self.counts.of(child.state) -= 1;
        child.state = report.state;
        child.epoch = report.epoch;
        *self.counts.of(child.state) += 1;
        let ended = Standing::of(child.state) == Standing::Stopped;
        if ended && child.restart == RestartPolicy::Temporary {
            self.forget(&report.id);
        }
    }

    /// There were too many restarts: it ends, with all its connections, as in OTP.
    fn give_up(&mut self, by: &ConnectionId, reason: &ExitReason, ctx: &mut Context<Self>) {
        if self.shutting_down {
            return;
        }
        tracing::error!(connection = %by, %reason, "the supervisor gives up and ends");
        let wound_down = self.wind_down().into_actor(self);
        ctx.spawn(wound_down.map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
    }

    /// Closes all connections, waits until their sockets are gone, and stops their actors.
    fn wind_down(&mut self) -> impl Future<Output = ()> + use<> {
        self.shutting_down = true;
        let addresses: Vec<_> =
            std::mem::take(&mut self.children).into_values().map(|child| child.address).collect();
        self.counts = Counts::default();
        async move {
            join_all(addresses.iter().map(|address| address.send(Retire))).await;
        }
    }
}

impl Counts {
    pub(super) const fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Connecting => &mut self.connecting,
            State::Connected => &mut self.connected,
            State::Closing => &mut self.closing,
            State::BackingOff => &mut self.backing_off,
            State::Idle | State::Disconnected => &mut self.disconnected,
            State::Failed => &mut self.failed,
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        let wound_down = self.wind_down();
        let arbiters = std::mem::take(&mut self.arbiters);
        actix_rt::spawn(async move {
            wound_down.await;
            for arbiter in arbiters {
                arbiter.stop();
            }
        });
    }
}

impl Handler<Report> for Supervisor {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Context<Self>) {
        self.report(&report);
        if let Some(reason) = report.escalation {
            self.give_up(&report.id, &reason, ctx);
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
        let address = self.child(Operation::Terminate, &id).map(|child| child.address.clone());
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
            .child(Operation::Restart, &id)
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
        let child = self.child(Operation::Delete, &id);
        let child = child.map(|child| (child.serial, child.address.clone()));
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
            if supervisor.children.get(&id).is_some_and(|child| child.serial == serial) {
                supervisor.forget(&id);
            }
            Ok(())
        }))
    }
}

impl Handler<WhichConnections> for Supervisor {
    type Result = MessageResult<WhichConnections>;

    fn handle(&mut self, _: WhichConnections, _: &mut Context<Self>) -> Self::Result {
        let mut children: Vec<_> = self.children.iter().collect();
        children.sort_unstable_by_key(|(_, child)| child.serial);
        let info = |(id, child): (&ConnectionId, &Child)| ConnectionInfo {
            id: id.clone(),
            state: child.state,
            epoch: child.epoch,
            address: child.address.clone(),
        };
        MessageResult(children.into_iter().map(info).collect())
    }
}

impl Handler<CountConnections> for Supervisor {
    type Result = MessageResult<CountConnections>;

    fn handle(&mut self, _: CountConnections, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.counts)
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
        for child in self.children.values() {
            child.address.do_send(Subscribe(subscription.clone()));
        }
        self.subscriptions.push(subscription);
        MessageResult(id)
    }
}

impl Handler<Unsubscribe> for Supervisor {
    type Result = ();

    fn handle(&mut self, Unsubscribe(id): Unsubscribe, _: &mut Context<Self>) {
        for child in self.children.values() {
            child.address.do_send(Unsubscribe(id));
        }
        self.subscriptions.retain(|subscription| subscription.id() != id);
    }
}

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Shutdown, _: &mut Context<Self>) -> Self::Result {
        let wound_down = self.wind_down().into_actor(self);
        Box::pin(wound_down.map(|(), _, ctx: &mut Context<Self>| ctx.stop()))
    }
}
