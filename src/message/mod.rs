//! What users tell a connection and a supervisor.

mod administration;
mod ask_ready;
mod batch;
mod explanation;
mod liveness;
mod outcomes;
mod outgoing;
mod request;
mod send;
mod set_policy;
mod supervisor_explanation;

use std::{fmt, time::Duration};

use actix::Message;
use bytestring::ByteString;
use secrecy::SecretString;

pub use self::{
    administration::{
        ConnectionInfo, CountConnections, Counts, DeleteConnection, DeleteSupervisor,
        ExplainConnection, RestartConnection, RestartSupervisor, Shutdown, StartConnection,
        StartSupervisor, SupervisorInfo, SupervisorState, TerminateConnection, TerminateSupervisor,
        UpdateSpec, WhichConnections, WhichSupervisors,
    },
    ask_ready::AskReady,
    batch::SendBatch,
    explanation::Explanation,
    liveness::{SetHeartbeat, SetWatchdog},
    outcomes::{BatchError, Outcomes},
    outgoing::Outgoing,
    request::{Answer, JsonRpcError, Request, RequestError},
    send::{SendBinary, SendJson, SendString},
    set_policy::{PolicySet, SetPolicy, SetPolicyError},
    supervisor_explanation::{ExplainSupervisor, SupervisorExplanation},
};
pub(crate) use self::{batch::Pieces, liveness::Tempo, outcomes::Tally};
use crate::{
    error::ConnectError,
    event::Subscription,
    lifecycle::{ConnectionId, Epoch, ExitReason, RotateError, State, SubscriptionId},
    policy::AccessPolicy,
    protocol::{CloseFrame, InvalidClose, InvalidHeader},
    spec::{
        CheckedEndpoints, CredentialProvider, Credentials, Endpoints, Header, Headers,
        SharedCredentialProvider, check_subprotocols,
    },
};

/// Starts an attempt to connect. An answer of `Ok(Connecting)` is followed by exactly one of the
/// lifecycle events `Connected` and `ConnectionError`; after an error nothing follows.
#[derive(Clone, Message)]
#[rtype(result = "Result<Connecting, ConnectError>")]
pub struct Connect {
    endpoints: Endpoints,
    /// Boxed because most want nothing more, and a supervisor keeps it of each connection.
    wishes: Option<Box<ConnectWishes>>,
}

/// What the handshake is to carry, and where it may lead.
#[derive(Clone)]
struct ConnectWishes {
    subprotocols: Vec<String>,
    subprotocol_required: bool,
    headers: Vec<Header>,
    auth: Auth,
    redirects: u8,
}

impl Default for ConnectWishes {
    fn default() -> Self {
        Self {
            subprotocols: Vec::new(),
            subprotocol_required: false,
            headers: Vec::new(),
            auth: Auth::Fixed(Credentials::none()),
            redirects: 0,
        }
    }
}

/// What proves who connects.
#[derive(Clone)]
enum Auth {
    Fixed(Credentials),
    Provided(SharedCredentialProvider),
}

/// The attempt of this epoch has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connecting {
    /// The attempt's epoch.
    pub epoch: Epoch,
}

impl Connect {
    /// Connects to a `ws` or `wss` URL, one of several, or one that is asked for.
    #[must_use]
    pub fn to(endpoints: impl Into<Endpoints>) -> Self {
        Self { endpoints: endpoints.into(), wishes: None }
    }

    fn wishes(&mut self) -> &mut ConnectWishes {
        self.wishes.get_or_insert_default()
    }

    /// Offers a subprotocol to the server, after those offered before. An empty one is none.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.wishes().subprotocols.push(name.into());
        self
    }

    /// Fails the handshake when the server picks none of the subprotocols that are offered, as
    /// browsers do. Without it, such a server is connected to, and `Connected` tells that there is no
    /// subprotocol. One that was not offered always fails (RFC 6455 §4.1).
    #[must_use]
    pub fn require_subprotocol(mut self) -> Self {
        self.wishes().subprotocol_required = true;
        self
    }

    /// Follows so many redirects in one attempt; by default none are. Each hop is judged by the access
    /// policy as the first URL was, and so is the address that it leads to. From `wss` none leads to
    /// `ws`.
    ///
    /// Credentials, cookies and all other headers but `User-Agent` and `Origin` go along within the scheme,
    /// host and port of the URL alone; subprotocols go along everywhere. The next attempt begins at the
    /// URL again.
    #[must_use]
    pub fn follow_redirects(mut self, most: u8) -> Self {
        self.wishes().redirects = most;
        self
    }

    /// Adds a header to the handshake. Its value is never shown.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.wishes().headers.push((name.into(), value.into()));
        self
    }

    /// Sends `Authorization: Bearer …` with the handshake (RFC 6750).
    #[must_use]
    pub fn bearer_auth(self, token: impl Into<SecretString>) -> Self {
        self.credentials(Credentials::bearer(token))
    }

    /// Sends `Authorization: Basic …` with the handshake (RFC 7617).
    #[must_use]
    pub fn basic_auth(
        self,
        user: impl Into<SecretString>,
        password: impl Into<SecretString>,
    ) -> Self {
        self.credentials(Credentials::basic(user, password))
    }

    /// Sends these credentials with the handshake. The last choice of credentials holds.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.wishes().auth = Auth::Fixed(credentials);
        self
    }

    /// Asks `provider` for the credentials of each attempt. The last choice of credentials holds.
    #[must_use]
    pub fn auth(mut self, provider: impl CredentialProvider) -> Self {
        self.wishes().auth = Auth::Provided(SharedCredentialProvider::new(provider));
        self
    }

    /// Checks everything that can be known without the network, in the documented order.
    pub(crate) fn check(&self, policy: &AccessPolicy) -> Result<CheckedConnect, ConnectError> {
        let endpoints = self.endpoints.check(policy)?;
        let checked = self.wishes.as_deref().map(ConnectWishes::check).transpose();
        let wishes = checked.map_err(ConnectError::InvalidHeaders)?.map(Box::new);
        Ok(CheckedConnect { endpoints, wishes })
    }
}

impl ConnectWishes {
    fn check(&self) -> Result<CheckedWishes, InvalidHeader> {
        let subprotocols = check_subprotocols(&self.subprotocols)?;
        let subprotocol_required = self.subprotocol_required;
        if subprotocol_required && subprotocols.is_empty() {
            return Err(InvalidHeader::SubprotocolRequired);
        }
        let (headers, auth) = self.check_headers()?;
        let redirects = self.redirects;
        Ok(CheckedWishes { subprotocols, subprotocol_required, redirects, headers, auth })
    }

    fn check_headers(&self) -> Result<(Headers, CheckedAuth), InvalidHeader> {
        let headers = Headers::check(&self.headers)?;
        let auth = match &self.auth {
            Auth::Fixed(credentials) => CheckedAuth::Fixed(credentials.headers()?),
            Auth::Provided(provider) => {
                if let Some(name) = headers.first_of(provider.0.header_names().iter().copied()) {
                    return Err(InvalidHeader::SetByProvider(name.to_owned()));
                }
                CheckedAuth::Provided(provider.clone())
            }
        };
        if let CheckedAuth::Fixed(credentials) = &auth {
            credentials.joined_with(&headers)?;
        }
        Ok((headers, auth))
    }
}

/// What is left of a [`Connect`] once nothing can be wrong with it.
#[derive(Clone)]
pub(crate) struct CheckedConnect {
    pub(crate) endpoints: CheckedEndpoints,
    /// Boxed because most want nothing more.
    wishes: Option<Box<CheckedWishes>>,
}

impl CheckedConnect {
    pub(crate) fn wishes(&self) -> &CheckedWishes {
        static NONE: CheckedWishes = CheckedWishes {
            subprotocols: Vec::new(),
            subprotocol_required: false,
            redirects: 0,
            headers: Headers::NONE,
            auth: CheckedAuth::Fixed(Headers::NONE),
        };
        self.wishes.as_deref().unwrap_or(&NONE)
    }
}

/// What the handshake carries, and where it may lead.
#[derive(Clone)]
pub(crate) struct CheckedWishes {
    pub(crate) subprotocols: Vec<String>,
    pub(crate) subprotocol_required: bool,
    /// Redirects that an attempt follows.
    pub(crate) redirects: u8,
    /// What the caller adds, without the credentials.
    pub(crate) headers: Headers,
    pub(crate) auth: CheckedAuth,
}

/// Credentials that can be sent, or a provider of them.
#[derive(Clone)]
pub(crate) enum CheckedAuth {
    Fixed(Headers),
    Provided(SharedCredentialProvider),
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a secret in its query, and so may a header's value or a subprotocol.
        let wishes = self.wishes.as_deref();
        let names: Vec<_> =
            wishes.iter().flat_map(|wishes| &wishes.headers).map(|(name, _)| name).collect();
        f.debug_struct("Connect")
            .field("subprotocols", &wishes.map_or(0, |wishes| wishes.subprotocols.len()))
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

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
