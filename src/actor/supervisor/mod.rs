mod builder;
mod children;
mod commands;
mod group;
mod keeper;
mod life;
mod obedience;
mod operations;
mod policy;
mod stopping;
mod subordinate;
mod tree;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Arbiter, ArbiterHandle, AsyncContext as _, Context, SpawnHandle};

pub use self::builder::SupervisorBuilder;
use self::{
    children::{Children, Post},
    group::Regroup,
    stopping::Winding,
};
use super::{
    bond::Bond,
    connection::Connection,
    makings::Makings,
    superior::{Above, Enforce, Remains, Superior},
};
use crate::{
    error::StartError,
    event::Subscription,
    lifecycle::{
        ConnectionId, ExitClass, ExitReason, Input, Intensity, Machine, RestartPolicy, Restraint,
        State, Supervised, Supervision,
    },
    policy::AccessPolicy,
    spec::{ChildSpec, ConnectionSpec, Familiar, Proxies, Settings},
    supervision::{AutoShutdown, Operation, Refused, Strategy},
    transport::{Gate, SharedDialler, SharedResolver},
};

/// Keeps connections alive: starts them, knows them by id, and brings them back when they end, as
/// each one's restart type and backoff say. Supervisors may stand below it as well.
///
/// A connection that fails or panics does not touch the others. When the supervisor stops, by
/// [`Shutdown`](crate::Shutdown) or because its last address is dropped, its connections are closed.
/// A panic of the supervisor's own code costs the answer of the command that met it: its connections
/// run on, and its address stays valid.
///
/// ```no_run
/// # use actix::prelude::*;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use wsvisor::{AccessPolicy, ConnectionSpec, StartConnection, Supervisor};
///
/// let supervisor = Supervisor::builder()
///     .policy(AccessPolicy::from_rules(["allow wss://*.example.com"])?)
///     .start()?;
/// let ticker = supervisor
///     .send(StartConnection(ConnectionSpec::json("ticker", "wss://stream.example.com/v1")))
///     .await??;
/// # Ok(()) }
/// ```
pub struct Supervisor {
    id: ConnectionId,
    policy: AccessPolicy,
    /// Where the connection that was started last leads.
    familiar: Familiar,
    dialler: Option<SharedDialler>,
    resolver: Option<SharedResolver>,
    proxies: Option<Proxies>,
    subscriptions: Vec<Subscription>,
    gate: Gate,
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    intensity: Intensity,
    cascades: Option<fn(ExitClass) -> bool>,

    /// Its own life, as a child of the supervisor above.
    machine: Machine,
    restart: RestartPolicy,
    last_exit: Option<(ExitReason, ExitClass)>,
    bond: Bond,
    /// How long its children may take to stop.
    stop_within: Option<Duration>,
    /// The same, of the shutdown that is under way.
    deadline: Option<Duration>,
    /// It is ending.
    winding: Option<Winding>,

    children: Children,
    /// How they see this supervisor, once there are any.
    above: Option<Arc<Above>>,
    /// Those that it starts with.
    first_children: Vec<ChildSpec>,

    /// The next incarnation follows a panic of this one, and finds its children as they are.
    children_run_on: bool,
    restraint: Arc<Restraint>,
    timer: Option<Instant>,
    winding_task: Option<SpawnHandle>,
    /// A group is being started again.
    regrouping: Option<Regroup>,
}

impl Supervisor {
    /// Builds a supervisor.
    #[must_use]
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder::default()
    }

    fn start_connection(
        &mut self,
        mut spec: ConnectionSpec,
        ctx: &Context<Self>,
    ) -> Result<Addr<Connection>, StartError> {
        let id = spec.id.clone();
        self.admits(&id)?;
        spec.check_for(&self.intensity)
            .and_then(|()| spec.supervision.check_significance(self.auto_shutdown))
            .map_err(|source| StartError::Spec { id: id.clone(), source })?;
        let first = spec
            .connect
            .check_among(&mut self.familiar, &self.policy)
            .map_err(|source| StartError::Connect { id: id.clone(), source })?;

        let serial = self.children.take_serial();
        let settings = self.settings_of(&spec);
        let ConnectionSpec { connect, kind, supervision, subscriptions: own, .. } = spec;
        let mut subscriptions = self.subscriptions.clone();
        subscriptions.extend(own);
        let policy = self.policy.clone();
        let makings = Makings { id: id.clone(), kind, policy, settings };
        let machine = Machine::new(Some(self.terms_of(Arc::clone(&supervision))));
        let superior = self.superior_of(serial, ctx);
        let make = move || {
            let fanout = makings.fanout(subscriptions);
            Connection::new(makings, fanout, machine, Some(superior)).with_route(first)
        };
        let address = match self.children.arbiter(serial) {
            Some(arbiter) => Connection::start_on(&arbiter, make),
            None => make().start_here(),
        };
        if !address.connected() {
            return Err(StartError::ArbiterGone);
        }
        let post = Post::Connection { address: address.downgrade(), connect, kind };
        self.children.insert(id, post, &supervision, serial);
        Ok(address)
    }

    /// Whether a child of this id may be started now.
    fn admits(&self, id: &ConnectionId) -> Result<(), StartError> {
        if !self.is_up() {
            return Err(match self.machine.state() {
                State::Idle | State::BackingOff | State::Disconnected | State::Failed => {
                    StartError::NotRunning(self.id.clone())
                }
                _ => StartError::ShuttingDown,
            });
        }
        match Operation::Start.on(self.children.standing(id)) {
            Ok(()) => {}
            Err(Refused::AlreadyStarted) => return Err(StartError::AlreadyStarted(id.clone())),
            Err(_) => return Err(StartError::AlreadyPresent(id.clone())),
        }
        match self.strategy {
            Strategy::Dynamic(dynamic) if self.children.len() >= dynamic.most() => {
                Err(StartError::MaxChildren { max: dynamic.most() })
            }
            _ => Ok(()),
        }
    }

    /// What holds for one of its children.
    fn terms_of(&self, supervision: Arc<Supervision>) -> Supervised {
        Supervised { supervision, restraint: Arc::clone(&self.restraint) }
    }

    /// This supervisor, as one of its children sees it.
    fn superior_of(&mut self, serial: u64, ctx: &Context<Self>) -> Superior {
        let above = self.above.get_or_insert_with(|| {
            let reports = ctx.address().downgrade().recipient();
            Arc::new(Above { gate: self.gate.clone(), reports })
        });
        Superior { above: Arc::clone(above), serial }
    }

    fn settings_of(&self, spec: &ConnectionSpec) -> Arc<Settings> {
        let Settings { proxies, dialler, resolver, .. } = &*spec.settings;
        let lacks_dialler = dialler.is_none() && self.dialler.is_some();
        let lacks_resolver = resolver.is_none() && self.resolver.is_some();
        let lacks_proxies = proxies.is_none() && self.proxies.is_some();
        if !lacks_dialler && !lacks_resolver && !lacks_proxies {
            return Arc::clone(&spec.settings);
        }
        let dialler = dialler.clone().or_else(|| self.dialler.clone());
        let resolver = resolver.clone().or_else(|| self.resolver.clone());
        let proxies = proxies.clone().or_else(|| self.proxies.clone());
        Arc::new(Settings { proxies, dialler, resolver, ..Settings::clone(&spec.settings) })
    }

    fn arbiter(&self, serial: u64) -> ArbiterHandle {
        self.children.arbiter(serial).unwrap_or_else(Arbiter::current)
    }

    /// Goes on with a connection whose arbiter stopped, on another one. Its address is another.
    fn take_in(&mut self, remains: Remains, serial: u64, ctx: &Context<Self>) {
        let id = remains.makings.id.clone();
        if self.machine.wanes() || !self.children.knows(&id, serial) {
            return;
        }
        tracing::warn!(connection = %id, "its arbiter has stopped; it goes on elsewhere");
        let superior = self.superior_of(serial, ctx);
        let address = Connection::start_on(&self.arbiter(serial), move || {
            Connection::revive(remains, superior)
        });
        // It may have changed meanwhile.
        address.do_send(Enforce(self.policy.clone()));
        self.children.move_to(&id, address.downgrade());
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.machine.state() == State::Idle {
            let _ = self.step(Input::Connect, ctx);
        } else {
            self.recover(ctx);
        }
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        actix_rt::spawn(std::mem::take(&mut self.children).stop());
    }
}
