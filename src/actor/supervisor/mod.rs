mod builder;
mod children;
mod commands;
mod group;

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, Arbiter, ArbiterHandle, AsyncContext as _,
    Context, WrapFuture as _,
};
use futures_util::future::join_all;

pub use self::builder::SupervisorBuilder;
use self::{children::Children, group::Regroup};
use super::{
    builder::ConnectionBuilder,
    commands::{Cut, Retire},
    connection::{Connection, Superior},
};
use crate::{
    error::StartError,
    event::Subscription,
    lifecycle::{ConnectionId, ExitReason, Restraint, Supervised},
    policy::AccessPolicy,
    spec::{ConnectionSpec, Settings},
    supervision::{Operation, Refused, Strategy},
    transport::{Gate, SharedDialler},
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
    children: Children,
    max_connections: usize,
    subscriptions: Vec<Subscription>,
    restraint: Arc<Restraint>,
    gate: Gate,
    strategy: Strategy,
    /// A group is being started again.
    regrouping: Option<Regroup>,
    shutting_down: bool,
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
        if let Err(refused) = Operation::Start.on(self.children.standing(&id)) {
            return Err(match refused {
                Refused::AlreadyStarted => StartError::AlreadyStarted(id),
                _ => StartError::AlreadyPresent(id),
            });
        }
        if self.children.len() >= self.max_connections {
            return Err(StartError::TooManyConnections { max: self.max_connections });
        }
        spec.check()
            .and_then(|()| spec.check_against(self.restraint.intensity()))
            .map_err(|source| StartError::Spec { id: id.clone(), source })?;
        let first = spec
            .connect
            .check(&self.policy)
            .map_err(|source| StartError::Connect { id: id.clone(), source })?;

        let serial = self.children.take_serial();
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
        self.children.insert(id, address.clone(), spec, serial);
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

    /// There were too many restarts: it ends, with all its connections, as in OTP.
    fn give_up(&mut self, by: &ConnectionId, reason: &ExitReason, ctx: &mut Context<Self>) {
        if self.shutting_down {
            return;
        }
        tracing::error!(connection = %by, %reason, "the supervisor gives up and ends");
        let wound_down = self.wind_down(None).into_actor(self);
        ctx.spawn(wound_down.map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
    }

    /// Closes all connections, waits until their sockets are gone, and stops their actors. Those
    /// that take longer than `within` are cut.
    fn wind_down(&mut self, within: Option<Duration>) -> impl Future<Output = ()> + use<> {
        self.shutting_down = true;
        let addresses = self.children.take_all();
        async move {
            let retired = join_all(addresses.iter().map(|address| address.send(Retire)));
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

    fn stopped(&mut self, _: &mut Context<Self>) {
        let wound_down = self.wind_down(None);
        let arbiters = std::mem::take(&mut self.arbiters);
        actix_rt::spawn(async move {
            wound_down.await;
            for arbiter in arbiters {
                arbiter.stop();
            }
        });
    }
}
