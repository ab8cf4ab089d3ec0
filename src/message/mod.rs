//! What users tell a connection and a supervisor.

mod explanation;

use std::{fmt, time::Duration};

use actix::{Addr, Message};
use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

pub use self::explanation::Explanation;
use crate::{
    Connection, ConnectionSpec, Supervisor, SupervisorBuilder,
    error::{ChildError, ConnectError, Delivery, SendError, StartError, UpdateError},
    event::{Subscription, SubscriptionId},
    lifecycle::{ConnectionId, Epoch, ExitReason, State},
    policy::{AccessPolicy, Allowed},
    protocol::{CloseFrame, InvalidClose},
    spec::{Headers, check_subprotocols},
};

/// Starts an attempt to connect. An answer of `Ok(Connecting)` is followed by exactly one of the
/// lifecycle events `Connected` and `ConnectionError`; after an error nothing follows.
#[derive(Clone, Message)]
#[rtype(result = "Result<Connecting, ConnectError>")]
pub struct Connect {
    url: String,
    subprotocols: Vec<String>,
    headers: Vec<(String, String)>,
}

/// The attempt of this epoch has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connecting {
    /// The attempt's epoch.
    pub epoch: Epoch,
}

impl Connect {
    /// Connects to a `ws` or `wss` URL.
    #[must_use]
    pub fn to(url: impl Into<String>) -> Self {
        Self { url: url.into(), subprotocols: Vec::new(), headers: Vec::new() }
    }

    /// Offers a subprotocol to the server, after those offered before. An empty one is none.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Adds a header to the handshake. Its value is never shown.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends `Authorization: Bearer …` with the handshake (RFC 6750).
    #[must_use]
    pub fn bearer_auth(self, token: impl AsRef<str>) -> Self {
        self.header("Authorization", format!("Bearer {}", token.as_ref()))
    }

    /// Checks everything that can be known without the network, in the documented order.
    pub(crate) fn check(&self, policy: &AccessPolicy) -> Result<CheckedConnect, ConnectError> {
        let allowed = policy.check(&self.url)?;
        let subprotocols =
            check_subprotocols(&self.subprotocols).map_err(ConnectError::InvalidHeaders)?;
        let headers = Headers::check(&self.headers).map_err(ConnectError::InvalidHeaders)?;
        Ok(CheckedConnect { allowed, subprotocols, headers })
    }
}

/// What is left of a [`Connect`] once nothing can be wrong with it.
pub(crate) struct CheckedConnect {
    pub(crate) allowed: Allowed,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) headers: Headers,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a secret in its query, and so may a header's value or a subprotocol.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Connect")
            .field("subprotocols", &self.subprotocols.len())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// Closes the session: what is queued is written, then a close frame, and the peer's answer is
/// waited for. Cancels an attempt, or the wait for the next one. Does nothing where there is
/// nothing to close. A supervised connection is not restarted after it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Disconnect(pub(crate) CloseFrame);

impl Disconnect {
    /// Closes with 1000 and no reason.
    #[must_use]
    pub fn normally() -> Self {
        Self(CloseFrame::normal())
    }

    /// Closes with a code of yours: 1000 or 3000 to 4999, and a reason of at most 123 bytes.
    ///
    /// # Errors
    /// When the code is another or the reason is longer.
    pub fn with(code: u16, reason: impl Into<ByteString>) -> Result<Self, InvalidClose> {
        CloseFrame::new(code, reason).map(Self)
    }
}

impl Default for Disconnect {
    fn default() -> Self {
        Self::normally()
    }
}

/// Starts another attempt with the parameters of the last accepted `Connect`, checked again.
///
/// Alone, only a disconnected connection reconnects. A supervised connection skips the rest of its
/// backoff, or closes its session and starts the next one at once.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), ConnectError>")]
pub struct Reconnect;

/// Sends a value as JSON, in a text message.
///
/// ```
/// # use wsvisor::SendJson;
/// let message = SendJson::new(&serde_json::json!({"op": "subscribe", "channel": "trades"}))?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Message)]
#[rtype(result = "Result<Delivery, SendError>")]
pub struct SendJson(pub(crate) ByteString);

impl SendJson {
    /// Serialises `value`.
    ///
    /// # Errors
    /// When the value cannot be JSON: a map with keys that are not strings, or a failing
    /// `Serialize`.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(|text| Self(text.into()))
    }
}

/// Sends a text message. A JSON connection refuses it.
#[derive(Clone, Message)]
#[rtype(result = "Result<Delivery, SendError>")]
pub struct SendString(pub(crate) ByteString);

impl SendString {
    /// A message of this text.
    pub fn new(text: impl Into<ByteString>) -> Self {
        Self(text.into())
    }
}

/// Sends a binary message. A JSON connection refuses it.
#[derive(Clone, Message)]
#[rtype(result = "Result<Delivery, SendError>")]
pub struct SendBinary(pub(crate) Bytes);

impl SendBinary {
    /// A message of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

/// Subscribes a recipient to a connection, or to all connections of a supervisor, those that are
/// started later included. A supervisor's subscribers miss nothing of a connection started later.
#[derive(Clone, Debug, Message)]
#[rtype(result = "SubscriptionId")]
pub struct Subscribe(pub(crate) Subscription);

impl Subscribe {
    /// Subscribes a recipient of [`Lifecycle`](crate::Lifecycle), [`Received`](crate::Received)
    /// or [`ReceivedBatch`](crate::ReceivedBatch).
    pub fn new(to: impl Into<Subscription>) -> Self {
        Self(to.into())
    }
}

/// Ends a subscription. Events that are in the subscriber's mailbox still come.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Unsubscribe(pub SubscriptionId);

/// The application is satisfied with this session: it logged in, its subscriptions are there.
/// Where [`StableAfter::Ready`](crate::StableAfter::Ready) was chosen, the backoff starts again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct MarkReady;

/// Asks a connection how it is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Status")]
pub struct GetStatus;

/// How a connection is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The connection.
    pub id: ConnectionId,
    /// Where it is in its life.
    pub state: State,
    /// The latest attempt.
    pub epoch: Epoch,
    /// Attempts in a row that failed or did not become stable.
    pub attempt: u32,
    /// The session has been up for long enough, or was marked ready.
    pub stable: bool,
    /// Until the next attempt, while it backs off.
    pub next_attempt_in: Option<Duration>,
    /// Why the last attempt or session ended.
    pub last_exit: Option<ExitReason>,
    /// Messages and payload bytes that wait to be written.
    pub queued: (usize, usize),
    /// Messages received and delivered.
    pub received: u64,
    /// Messages that nobody had subscribed to.
    pub unheard: u64,
    /// Messages of a JSON connection that were not JSON.
    pub not_json: u64,
}

/// Asks a connection why it is in its state.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Explanation")]
pub struct Explain;

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

macro_rules! show_length_only {
    ($($message:ident),*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // A payload may hold a secret.
                write!(f, concat!(stringify!($message), "({} bytes)"), self.0.len())
            }
        }
    )*};
}

show_length_only!(SendJson, SendString, SendBinary);
