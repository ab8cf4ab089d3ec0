//! What users tell a supervisor.

use std::{fmt, time::Duration};

use actix::{Addr, Message, WeakAddr};

use super::Explanation;
use crate::{
    Connection, ConnectionSpec, Supervisor, SupervisorSpec,
    error::{ChildError, StartError, UpdateError},
    lifecycle::{ConnectionId, Epoch, State},
};

/// Starts a connection and keeps it (OTP: `supervisor:start_child/2`). The answer comes when its
/// first attempt has started, not when it is connected: a server that is down is no reason to
/// fail the start.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Addr<Connection>, StartError>")]
pub struct StartConnection(pub ConnectionSpec);

/// Closes a connection and keeps its spec (OTP: `supervisor:terminate_child/2`). The answer comes
/// when its socket is gone. Cancels a restart that is waiting, its own or its group's, of which the
/// others start without it; a later failure of the group starts it too, as in OTP. A temporary
/// connection is forgotten.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ChildError>")]
pub struct TerminateConnection(pub ConnectionId);

/// Starts a connection that was terminated, or that ended (OTP: `supervisor:restart_child/2`).
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ChildError>")]
pub struct RestartConnection(pub ConnectionId);

/// Forgets a connection that is not running (OTP: `supervisor:delete_child/2`). Its address is
/// closed.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ChildError>")]
pub struct DeleteConnection(pub ConnectionId);

/// Lists connections in the order in which they were started (OTP: `supervisor:which_children/1`),
/// all of them or a page.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<ConnectionInfo>")]
pub struct WhichConnections {
    pub(crate) after: Option<ConnectionId>,
    pub(crate) limit: usize,
    pub(crate) state: Option<State>,
}

impl WhichConnections {
    /// All of them.
    #[must_use]
    pub const fn all() -> Self {
        Self { after: None, limit: usize::MAX, state: None }
    }

    /// Those that are in this state.
    #[must_use]
    pub const fn in_state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// At most so many.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Those that were started after this one: the last of the page before.
    #[must_use]
    pub fn after(mut self, id: impl Into<ConnectionId>) -> Self {
        self.after = Some(id.into());
        self
    }
}

/// Gives a connection another spec (OTP: `code_change`). What runs goes on as it is; the next attempt
/// uses the new one. Its restart type, its kind and its subscriptions stay as they are.
///
/// The session that is up keeps its watchdogs and its heartbeat, which
/// [`SetWatchdog`](crate::SetWatchdog) and [`SetHeartbeat`](crate::SetHeartbeat) change as before. What
/// these have changed until now, and the number that a heartbeat remembers, hold for that session and no
/// longer; a watchdog that is turned on or off from now on stays so in the sessions of the new spec, where
/// that has one of its name.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), UpdateError>")]
pub struct UpdateSpec(pub ConnectionSpec);

/// Asks a supervisor why a connection is in its state.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Explanation, ChildError>")]
pub struct ExplainConnection(pub ConnectionId);

/// One line of [`WhichConnections`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The connection.
    pub id: ConnectionId,
    /// Where it was at its last change.
    pub state: State,
    /// Its latest attempt.
    pub epoch: Epoch,
    pub(crate) address: WeakAddr<Connection>,
}

impl ConnectionInfo {
    /// Where to send commands, unless the connection has ended since and is gone. It is another than before only
    /// where the arbiter stopped on which the connection ran.
    #[must_use]
    pub fn address(&self) -> Option<Addr<Connection>> {
        self.address.upgrade()
    }
}

/// Starts a supervisor below another one, with the children of its spec. It is a child as a connection
/// is: it has a restart type and a place in the order of starts, and its id is no other child's.
///
/// When it gives up ([`OnExceeded::ShutdownSupervisor`](crate::OnExceeded)) its children are stopped,
/// and started again with it: all addresses stay valid. When its own code panics its sessions run on,
/// unless its group starts again. Either counts as a crash against the intensity of the one above, so
/// that failure may go up the tree.
#[derive(Clone, Message)]
#[rtype(result = "Result<Addr<Supervisor>, StartError>")]
pub struct StartSupervisor(pub SupervisorSpec);

/// Lists the supervisors below one, in the order in which they were started.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<SupervisorInfo>")]
pub struct WhichSupervisors;

/// One line of [`WhichSupervisors`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorInfo {
    /// Its id.
    pub id: ConnectionId,
    /// Where to send commands. It stays the same as long as the supervisor is known.
    pub address: Addr<Supervisor>,
    /// Where it was at its last change.
    pub state: SupervisorState,
    /// How often it was started again.
    pub restarts: u64,
}

/// Where a supervisor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SupervisorState {
    /// Up.
    Running,
    /// Its children are being stopped.
    Stopping,
    /// It waits to be started again, by itself or with its group.
    Restarting,
    /// At rest: terminated, or ended as intended.
    Stopped,
    /// It failed too often, and is left alone.
    Failed,
}

impl fmt::Display for SupervisorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        })
    }
}

impl From<State> for SupervisorState {
    fn from(state: State) -> Self {
        match state {
            State::Connecting | State::Connected => Self::Running,
            State::Closing => Self::Stopping,
            State::BackingOff => Self::Restarting,
            State::Idle | State::Disconnected => Self::Stopped,
            State::Failed => Self::Failed,
        }
    }
}

/// Stops a supervisor below another one with all its children, last to first, and keeps its spec and
/// theirs. The answer comes when their sockets are gone. A temporary one is forgotten.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ChildError>")]
pub struct TerminateSupervisor(pub ConnectionId);

/// Starts a supervisor that was terminated, or that ended, with all its children, first to last.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ChildError>")]
pub struct RestartSupervisor(pub ConnectionId);

/// Forgets a supervisor that is not running, with all its children.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ChildError>")]
pub struct DeleteSupervisor(pub ConnectionId);

/// Counts the connections by state, in constant time (OTP: `supervisor:count_children/1`).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Counts")]
pub struct CountConnections;

/// How many connections are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All connections that are known.
    pub specs: usize,
    /// Supervisors below, whose connections are not among these.
    pub supervisors: usize,
    /// An attempt is under way.
    pub connecting: usize,
    /// Connected.
    pub connected: usize,
    /// Being closed.
    pub closing: usize,
    /// Waiting for the next attempt; OTP calls this `restarting`.
    pub backing_off: usize,
    /// At rest: never connected, terminated, or ended.
    pub disconnected: usize,
    /// Given up.
    pub failed: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections: {}", self.specs)?;
        for (count, state) in [
            (self.connecting, "connecting"),
            (self.connected, "connected"),
            (self.closing, "closing"),
            (self.backing_off, "backing off"),
            (self.disconnected, "disconnected"),
            (self.failed, "failed"),
        ] {
            if count > 0 {
                write!(f, ", {count} {state}")?;
            }
        }
        write!(f, "; supervisors: {}", self.supervisors)
    }
}

/// Stops all children and then the supervisor: last to first, one after the other, as OTP does, and all
/// at once where it is dynamic ([`Strategy::Dynamic`](crate::Strategy)). Nothing is dialled after it
/// began. What was accepted is written before the close frames, as long as the time lasts; the rest is
/// told as not written. The answer comes when the last socket is gone.
///
/// ```
/// # use std::time::Duration;
/// # use wsvisor::{testing::{Network, Recorder, Script, connected, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().echo(1).expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// # let mut events = Recorder::start();
/// # let spec = ConnectionSpec::string("bot", server.url()).subscribe(events.lifecycle());
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// # events.expect(connected()).await;
/// let last_words = bot.send(SendString::new("goodbye"));
/// supervisor.send(Shutdown::within(Duration::from_secs(5))).await?;
/// assert_eq!(last_words.await??, Delivery::Written);
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    pub(crate) deadline: Option<Duration>,
}

impl Shutdown {
    /// Takes no longer than the close timeouts of its connections, which for a dynamic supervisor run at
    /// the same time.
    #[must_use]
    pub const fn gracefully() -> Self {
        Self { deadline: None }
    }

    /// Sockets that are still there after this time are dropped: their peers see 1006.
    #[must_use]
    pub const fn within(deadline: Duration) -> Self {
        Self { deadline: Some(deadline) }
    }
}
