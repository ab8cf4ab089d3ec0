mod builder;
mod children;
mod commands;
mod group;
mod policy;
mod tree;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, Arbiter, ArbiterHandle, AsyncContext as _,
    Context, WrapFuture as _,
};
use futures_util::future::{join, join_all};

pub use self::builder::SupervisorBuilder;
use self::{children::Children, group::Regroup, tree::Branch};
use super::{
    builder::ConnectionBuilder,
    connection::Connection,
    superior::{Cut, Enforce, Hold, Remains, Retire, Superior},
};
use crate::{
    error::StartError,
    event::Subscription,
    lifecycle::{ConnectionId, ExitReason, Restraint, Supervised},
    message::Shutdown,
    policy::AccessPolicy,
    spec::{ConnectionSpec, Settings},
    supervision::{AutoShutdown, Operation, Refused, Strategy},
    transport::{Gate, SharedDialler, SharedResolver},
};

/// Keeps connections alive: starts them, knows them by id, and brings them back when they end, as
/// each one's restart type and backoff say.
///
/// A connection that fails or panics does not touch the others. When the supervisor stops, by
/// [`Shutdown`](crate::Shutdown) or because its last address is dropped, its connections are closed.
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
    resolver: Option<SharedResolver>,
    /// Outlives this actor where it has a supervisor above that starts it again.
    children: Arc<Mutex<Children>>,
    max_connections: usize,
    subscriptions: Vec<Subscription>,
    restraint: Arc<Restraint>,
    gate: Gate,
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    /// A group is being started again.
    regrouping: Option<Regroup>,
    branches: BTreeMap<ConnectionId, Branch>,
    /// There is a supervisor above, which starts this one again when it fails.
    is_branch: bool,
    shutting_down: bool,
}

impl Supervisor {
    /// Builds a supervisor.
    #[must_use]
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder::default()
    }

    /// A panic while it was locked leaves it whole: each change is a few assignments.
    fn children(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Err(refused) = Operation::Start.on(self.children().standing(&id)) {
            return Err(match refused {
                Refused::AlreadyStarted => StartError::AlreadyStarted(id),
                _ => StartError::AlreadyPresent(id),
            });
        }
        if self.children().len() >= self.max_connections {
            return Err(StartError::TooManyConnections { max: self.max_connections });
        }
        spec.check()
            .and_then(|()| spec.check_against(self.restraint.intensity()))
            .and_then(|()| spec.check_significance(self.auto_shutdown))
            .map_err(|source| StartError::Spec { id: id.clone(), source })?;
        let first = spec
            .connect
            .check(&self.policy)
            .map_err(|source| StartError::Connect { id: id.clone(), source })?;

        let serial = self.children().take_serial();
        let builder = ConnectionBuilder {
            id: id.clone(),
            kind: spec.kind,
            policy: self.policy.clone(),
            settings: self.settings_of(&spec),
            subscriptions: [self.subscriptions.as_slice(), &spec.subscriptions].concat(),
        };
        let superior = Superior {
            supervised: Supervised {
                supervision: Arc::clone(&spec.supervision),
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
        self.children().insert(id, address.clone(), spec, serial);
        Ok(address)
    }

    fn settings_of(&self, spec: &ConnectionSpec) -> Arc<Settings> {
        let Settings { dialler, resolver, .. } = &*spec.settings;
        let lacks_dialler = dialler.is_none() && self.dialler.is_some();
        let lacks_resolver = resolver.is_none() && self.resolver.is_some();
        if !lacks_dialler && !lacks_resolver {
            return Arc::clone(&spec.settings);
        }
        let dialler = dialler.clone().or_else(|| self.dialler.clone());
        let resolver = resolver.clone().or_else(|| self.resolver.clone());
        Arc::new(Settings { dialler, resolver, ..Settings::clone(&spec.settings) })
    }

    fn arbiter(&self, serial: u64) -> ArbiterHandle {
        self.children().arbiter(serial).unwrap_or_else(Arbiter::current)
    }

    /// Goes on with a connection whose arbiter stopped, on another one. Its address is another.
    fn take_in(&mut self, remains: Remains, serial: u64, ctx: &Context<Self>) {
        let id = remains.id.clone();
        if self.shutting_down || !self.children().knows(&id, serial) {
            return;
        }
        tracing::warn!(connection = %id, "its arbiter has stopped; it goes on elsewhere");
        let superior = Superior {
            supervised: remains.supervised.clone(),
            gate: self.gate.clone(),
            reports: ctx.address().downgrade().recipient(),
            serial,
        };
        let address = Connection::start_in_arbiter(&self.arbiter(serial), move |_| {
            Connection::revive(remains, superior)
        });
        // It may have changed meanwhile.
        address.do_send(Enforce(self.policy.clone()));
        self.children().move_to(&id, address);
    }

    /// There were too many restarts: it ends, as in OTP. Alone, all its connections end with it. Where
    /// there is a supervisor above, they are held until that has started this one again.
    fn give_up(&mut self, by: &ConnectionId, reason: &ExitReason, ctx: &mut Context<Self>) {
        if self.shutting_down {
            return;
        }
        tracing::error!(%by, %reason, "the supervisor gives up and ends");
        if !self.is_branch {
            let wound_down = self.wind_down(None).into_actor(self);
            ctx.spawn(wound_down.map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
            return;
        }
        self.shutting_down = true;
        let addresses: Vec<_> = {
            let mut children = self.children();
            children.gave_up = Some(reason.clone());
            children.addresses().cloned().collect()
        };
        let now = super::clock::now();
        let held = async move { join_all(addresses.iter().map(|it| it.send(Hold(now)))).await };
        ctx.spawn(held.into_actor(self).map(|_, _, ctx: &mut Context<Self>| ctx.stop()));
    }

    /// A significant connection has ended by itself.
    fn significant_end(&mut self, id: &ConnectionId, ctx: &mut Context<Self>) {
        let left = self.children().significant_left();
        if self.shutting_down || !self.auto_shutdown.is_due(left) {
            return;
        }
        tracing::info!(%id, "the supervisor ends, because a significant connection has");
        let wound_down = self.wind_down(None).into_actor(self);
        ctx.spawn(wound_down.map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
    }

    /// Closes all connections, waits until their sockets are gone, and stops their actors. Those
    /// that take longer than `within` are cut.
    fn wind_down(&mut self, within: Option<Duration>) -> impl Future<Output = ()> + use<> {
        self.shutting_down = true;
        let addresses = self.children().take_all();
        let branches = std::mem::take(&mut self.branches);
        let shutdown = Shutdown { deadline: within };
        async move {
            let branches = branches.into_values().map(|branch| branch.shut_down(shutdown));
            let connections = addresses.iter().map(|address| address.send(Retire));
            let retired = join(join_all(branches), join_all(connections));
            let Some(within) = within else { return drop(retired.await) };
            let mut retired = std::pin::pin!(retired);
            if tokio::time::timeout(within, &mut retired).await.is_err() {
                for address in &addresses {
                    address.do_send(Cut);
                }
                retired.await;
            }
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.adopt(ctx);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        // A panic of ours, or too many restarts: the connections are for the next incarnation.
        let has_failed = std::thread::panicking() || self.children().gave_up.is_some();
        if self.is_branch && has_failed {
            return;
        }
        let wound_down = self.wind_down(None);
        let arbiters = std::mem::take(&mut self.children().arbiters);
        actix_rt::spawn(async move {
            wound_down.await;
            for arbiter in arbiters {
                arbiter.stop();
            }
        });
    }
}
