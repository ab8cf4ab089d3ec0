//! What users tell a supervisor.

use std::time::Duration;

use actix::{Addr, Message};

use super::Explanation;
use crate::{
    Connection, ConnectionSpec, Supervisor, SupervisorBuilder,
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
/// when its socket is gone. Cancels a restart that is waiting. A temporary connection is forgotten.
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
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), UpdateError>")]
pub struct UpdateSpec(pub ConnectionSpec);

/// Asks a supervisor why a connection is in its state.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Explanation, ChildError>")]
pub struct ExplainConnection(pub ConnectionId);

/// One line of [`WhichConnections`]. The address is another only where the arbiter stopped on which the
/// connection ran.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The connection.
    pub id: ConnectionId,
    /// Where it was at its last change.
    pub state: State,
    /// Its latest attempt.
    pub epoch: Epoch,
    /// Where to send commands.
    pub address: Addr<Connection>,
}

/// Starts a supervisor below another one, under an id that no other child of it has.
///
/// What its builder does not say, the supervisor above says: the access policy, the dialler. Its
/// connections dial through the gate of the one above, and those who subscribed there hear of them too.
///
/// When it gives up ([`OnExceeded::ShutdownSupervisor`](crate::OnExceeded)) or panics, it is started
/// again, and has the same connections: their addresses stay valid. After a panic their sessions run
/// on; after giving up all of them are started again, by turns. Its end counts as a crash against the
/// intensity of the one above, so that failure may go up the tree.
#[derive(Clone, Message)]
#[rtype(result = "Result<Addr<Supervisor>, StartError>")]
pub struct StartSupervisor {
    pub(crate) id: ConnectionId,
    pub(crate) builder: SupervisorBuilder,
}

impl StartSupervisor {
    /// A supervisor that is built so.
    pub fn new(id: impl Into<ConnectionId>, builder: SupervisorBuilder) -> Self {
        Self { id: id.into(), builder }
    }
}

/// Lists the supervisors below one, by id. The address of one that was started again is another.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<SupervisorInfo>")]
pub struct WhichSupervisors;

/// One line of [`WhichSupervisors`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorInfo {
    /// Its id.
    pub id: ConnectionId,
    /// Where to send commands.
    pub address: Addr<Supervisor>,
    /// How often it failed and was started again.
    pub restarts: u32,
}

/// Shuts a supervisor below another one down, with all its connections. It is forgotten.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), ChildError>")]
pub struct TerminateSupervisor(pub ConnectionId);

/// Counts the connections by state, in constant time (OTP: `supervisor:count_children/1`).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Counts")]
pub struct CountConnections;

/// How many connections are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All that are known.
    pub specs: usize,
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

/// Closes all connections at once and then stops the supervisor. Nothing is dialled after it
/// began. The answer comes when the last socket is gone.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    pub(crate) deadline: Option<Duration>,
}

impl Shutdown {
    /// Takes no longer than the longest close timeout.
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
