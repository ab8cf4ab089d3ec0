//! What users tell a connection and a supervisor.

mod administration;
mod ask_ready;
mod batch;
mod connect;
mod explanation;
mod liveness;
mod outcomes;
mod outgoing;
mod request;
mod send;
mod sender;
mod set_policy;
mod supervisor_explanation;

use std::time::Duration;

use actix::Message;
use bytestring::ByteString;

pub use self::{
    administration::{
        ConnectionInfo, CountConnections, Counts, DeleteConnection, DeleteSupervisor,
        ExplainConnection, RestartConnection, RestartSupervisor, Shutdown, StartConnection,
        StartSupervisor, SupervisorInfo, SupervisorState, TerminateConnection, TerminateSupervisor,
        UpdateSpec, WhichConnections, WhichSupervisors,
    },
    ask_ready::AskReady,
    batch::SendBatch,
    connect::{Connect, Connecting},
    explanation::Explanation,
    liveness::{SetHeartbeat, SetWatchdog},
    outcomes::{BatchError, Outcomes},
    outgoing::Outgoing,
    request::{Answer, JsonRpcError, Request, RequestError},
    send::{SendBinary, SendJson, SendString},
    sender::{GetSender, Sender, Sending},
    set_policy::{PolicySet, SetPolicy, SetPolicyError},
    supervisor_explanation::{ExplainSupervisor, SupervisorExplanation},
};
pub(crate) use self::{
    connect::{CheckedAuth, CheckedConnect},
    liveness::Tempo,
    outcomes::Tally,
    sender::{Account, Fetched, Inlet, keep_memory},
};
use crate::{
    error::ConnectError,
    event::Subscription,
    lifecycle::{ConnectionId, Epoch, ExitReason, RotateError, State, SubscriptionId},
    protocol::{CloseFrame, InvalidClose},
};

/// Closes the session: what is queued is written, then a close frame, and the peer's answer is
/// waited for. Cancels an attempt, or the wait for the next one. Does nothing where there is
/// nothing to close. A supervised connection is not restarted after it.
///
/// ```
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().expect_text("last words").answer_close()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// # let mut recorder = Recorder::start();
/// # let spec = ConnectionSpec::string("bot", server.url()).subscribe(recorder.lifecycle());
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// # recorder.expect("1 Connected").await;
/// // What was accepted before goes out before the close frame.
/// let last = bot.send(SendString::new("last words"));
/// bot.send(Disconnect::with(4000, "until tomorrow")?).await?;
/// assert_eq!(last.await??, Delivery::Written);
/// let late = bot.send(SendString::new("too late")).await?;
/// assert!(matches!(late, Err(SendError::Refused(Refusal::NotConnected))));
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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

/// Replaces the session by another, make before break: the next one takes over once it is ready, and then
/// the old one drains. Answered at once with the successor's epoch, or with why there is none; what
/// becomes of it is told by lifecycle events. To be opted in to: [`Rotation`](crate::Rotation) says what
/// holds meanwhile.
///
/// ```
/// # use actix::prelude::*;
/// use wsvisor::{Connection, Rotate, RotateError, Rotating};
///
/// /// Moves to another session before the server ends this one.
/// async fn renew(ticker: &Addr<Connection>) -> Result<(), Box<dyn std::error::Error>> {
///     match ticker.send(Rotate).await? {
///         Ok(Rotating { epoch }) => println!("the session of epoch {epoch} is to take over"),
///         Err(RotateError::InProgress) => println!("that is under way already"),
///         Err(error) => return Err(error.into()),
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Rotating, RotateError>")]
pub struct Rotate;

/// A successor is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotating {
    /// Its epoch.
    pub epoch: Epoch,
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
/// Where [`StableAfter::Ready`](crate::StableAfter::Ready) was chosen, the backoff starts again; where
/// its [`Readiness`](crate::Readiness) waits for a mark, this is one.
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
    /// The session is up, and ready for the messages that wait for that.
    pub ready: bool,
    /// The attempt or session that is to take over from the one that is up, in a
    /// [`Rotation`](crate::Rotation).
    pub successor: Option<Epoch>,
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
    /// From the latest ping that was answered to its pong. Kept over reconnects.
    pub round_trip: Option<Duration>,
}

/// Asks a connection why it is in its state.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Explanation")]
pub struct Explain;
