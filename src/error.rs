//! What a command can fail with.

use std::time::Duration;

use crate::{
    lifecycle::{ConnectionId, Epoch, ExitReason},
    policy::{ConnectionFailed, Denied, InvalidUrl, PolicyDenied},
    protocol::InvalidHeader,
};

/// Why `Connect` or `Reconnect` did not start an attempt. Nothing was dialled, and no event
/// follows.
///
/// The checks are made in this order, and the first that fails is reported: the connection's
/// state, the URL, the access policy, subprotocols, headers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A connection exists, or is being made or closed. It is not harmed, and the parameters of
    /// this command are forgotten.
    #[error("a connection is in progress; disconnect first")]
    ConnectionInProgress,
    /// The URL is not a WebSocket URL that can be dialled.
    #[error("invalid URL: {0}")]
    InvalidUrl(#[source] InvalidUrl),
    /// The access policy does not allow the URL.
    #[error("the URL is blocked: {0}")]
    UrlBlocked(#[source] Denied),
    /// There is no URL at all.
    #[error("no endpoint: give at least one URL")]
    NoEndpoint,
    /// A header, a credential or a subprotocol cannot be sent.
    #[error("invalid headers: {0}")]
    InvalidHeaders(#[source] InvalidHeader),
    /// The attempt cannot start, for a reason that is not in its parameters.
    #[error("cannot start connecting: {0}")]
    Failed(&'static str),
}

impl ConnectError {
    /// The same failure without its reason, for callers who are not trusted.
    #[must_use]
    pub const fn opaque(&self) -> ConnectionFailed {
        ConnectionFailed
    }
}

impl From<PolicyDenied> for ConnectError {
    fn from(denied: PolicyDenied) -> Self {
        match denied {
            PolicyDenied::Url(denied) => denied.into(),
            PolicyDenied::Address { .. } => Self::Failed("its address is blocked"),
        }
    }
}

impl From<Denied> for ConnectError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::InvalidUrl(error) => Self::InvalidUrl(error),
            denied => Self::UrlBlocked(denied),
        }
    }
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// All its bytes were handed to the socket. Whether the peer received them is not known.
    Written,
    /// The peer has read it: the pong came to a ping that was written after it (RFC 6455 §5.5.2). Most
    /// peers' libraries answer pings by themselves, so that this says that the bytes arrived and were
    /// decoded, not that the application behind has dealt with them.
    Confirmed,
}

/// Why a message was not sent, or may not have been.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It was never accepted.
    #[error("the message was refused: {0}")]
    Refused(#[from] Refusal),
    /// It was accepted, and none of its bytes reached the socket, nor will: it is safe to send it
    /// again.
    #[error("the message was not written: {0}")]
    NotWritten(#[source] Unwritten),
    /// Some of its bytes or all were handed to the socket: the peer may have received it or not.
    #[error("the message was written, at least in part, and its receipt is unknown: {0}")]
    WrittenUnknown(#[source] Unconfirmed),
}

/// Why an accepted message was not written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritten {
    /// The session ended that it was for.
    #[error("the session ended: {0}")]
    SessionEnded(#[source] ExitReason),
    /// The connection came to rest, or its actor ended, and nothing is written any more.
    #[error("the connection ended")]
    ConnectionEnded,
    /// Its deadline came first.
    #[error("its deadline came first")]
    Expired,
    /// A newer message with the same key took its place.
    #[error("a newer message with the same key replaced it")]
    Replaced,
}

/// Why it is not known whether a written message was received.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unconfirmed {
    /// The session ended before all its bytes were handed over, or before the pong came that was
    /// to confirm it.
    #[error("the session ended: {0}")]
    SessionEnded(#[source] ExitReason),
    /// Its deadline came before.
    #[error("its deadline came first")]
    Expired,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no session, or it is being closed; for a message that may wait: there is none to
    /// come either.
    #[error("the connection is not connected; wait for Connected")]
    NotConnected,
    /// The message is for the session of one epoch, and that is not the one that is up or being
    /// made.
    #[error("the message is for the session of epoch {asked}, and that is not the present one")]
    OtherSession {
        /// The epoch that was asked for.
        asked: Epoch,
    },
    /// The outbox is full in messages or bytes.
    #[error(
        "the outbox is full ({messages} messages, {bytes} bytes wait); wait for earlier sends to resolve"
    )]
    OutboxFull {
        /// Messages that wait, to be written or to be confirmed.
        messages: usize,
        /// Payload bytes that wait.
        bytes: usize,
    },
    /// The message's deadline had passed when it came.
    #[error("the message had expired before it was accepted")]
    Expired,
    /// By the [`SendLimit`](crate::SendLimit) it would wait past its deadline.
    #[error("by the send limit the message would wait for {would_wait:?}, past its deadline")]
    TooSlow {
        /// How long it would have had to wait.
        would_wait: Duration,
    },
    /// A request with the same key is in flight.
    #[error("a request with the same key is in flight; use another key")]
    KeyInFlight,
    /// As many requests are in flight as messages may wait in the outbox.
    #[error("{in_flight} requests are in flight; wait for their answers")]
    TooManyRequests {
        /// Requests that are in flight.
        in_flight: usize,
    },
    /// A JSON connection sends JSON only.
    #[error("this is a JSON connection: send JSON, by SendJson or send_json")]
    NotJson,
}

/// Why a supervisor did not start a connection or a supervisor below it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A child with this id runs. OTP: `already_started`.
    #[error("{0} is already started")]
    AlreadyStarted(ConnectionId),
    /// A child with this id is known and does not run: restart or delete it. OTP:
    /// `already_present`.
    #[error("{0} is already present; restart it, or delete it first")]
    AlreadyPresent(ConnectionId),
    /// The connection could not be told to connect: its URL, headers or policy refuse it.
    #[error("connection {id} cannot start: {source}")]
    Connect {
        /// The connection.
        id: ConnectionId,
        /// What refused it.
        source: ConnectError,
    },
    /// The spec contradicts itself.
    #[error("the spec of {id} is wrong: {source}")]
    Spec {
        /// Whose it is.
        id: ConnectionId,
        /// Which part is wrong.
        source: InvalidSpec,
    },
    /// A part of a supervisor's tree cannot be; nothing of it was started. OTP:
    /// `failed_to_start_child`.
    #[error("the children of supervisor {supervisor} cannot start: {source}")]
    Child {
        /// Whose child it is.
        supervisor: ConnectionId,
        /// Which child, and why.
        source: Box<Self>,
    },
    /// The dynamic supervisor keeps as many children as it may. Elixir: `max_children`.
    #[error("the supervisor keeps {max} children, as many as it may; delete one first")]
    MaxChildren {
        /// How many it may keep.
        max: usize,
    },
    /// The supervisor does not run: it was terminated, has ended, or is about to be started again.
    #[error("supervisor {0} does not run; restart it, or wait until it has been")]
    NotRunning(ConnectionId),
    /// The supervisor is ending.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The connection's arbiter is gone.
    #[error("the connection's actor could not start: its arbiter has stopped")]
    ArbiterGone,
}

/// Why a connection was not given another spec. It keeps the one it has.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// No connection has this id.
    #[error("connection {0} is not known")]
    NotFound(ConnectionId),
    /// The restart type or the kind is another. They are for a connection's whole life.
    #[error(
        "the restart type and the kind of connection {0} are fixed; delete it and start another"
    )]
    Fixed(ConnectionId),
    /// The spec contradicts itself.
    #[error("the new spec of connection {id} is wrong: {source}")]
    Spec {
        /// The connection.
        id: ConnectionId,
        /// Which part is wrong.
        source: InvalidSpec,
    },
    /// It could not connect as the new spec says.
    #[error("connection {id} could not connect with the new spec: {source}")]
    Connect {
        /// The connection.
        id: ConnectionId,
        /// What refused it.
        source: ConnectError,
    },
}

/// Which part of a spec is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSpec {
    /// The id is empty, too long, or has a control character.
    #[error("id: {0}")]
    Id(&'static str),
    /// Two children have the same id.
    #[error("children: two have the id {0}; an id is unique within its supervisor")]
    DuplicateId(ConnectionId),
    /// A time limit is zero.
    #[error("{0} is zero: nothing could finish in time")]
    ZeroTimeout(&'static str),
    /// A time limit is no limit. OTP's `infinity` is for supervisors only.
    #[error("{0} is longer than 24 hours: a peer that never answers would be waited for")]
    EndlessTimeout(&'static str),
    /// Each session would count as stable at once, and a server that accepts and closes would be
    /// dialled in a hot loop.
    #[error("stable_after is zero: each session would be stable; choose a time, or `Ready`")]
    AlwaysStable,
    /// A dynamic supervisor cannot do what it is asked to.
    #[error("strategy: {0}")]
    Dynamic(&'static str),
    /// With this backoff there are never so many restarts within the period.
    #[error(
        "backoff: its delays let {max_restarts} restarts never come within {period:?}, so that the supervisor's intensity is no limit; choose a longer period or a shorter backoff"
    )]
    UnreachableIntensity {
        /// Restarts that the intensity allows.
        max_restarts: u32,
        /// Its period.
        period: Duration,
    },
    /// There is no backoff, and nothing else that ends a loop of attempts.
    #[error(
        "backoff: without one, a failing server is dialled in a hot loop; choose a backoff, or let the supervisor's intensity count all restarts"
    )]
    HotLoop,
    /// It is marked as significant, and that can mean nothing.
    #[error("significant: {0}")]
    Significant(&'static str),
    /// A limit leaves nothing.
    #[error("{0} is zero: that leaves nothing")]
    ZeroLimit(&'static str),
}

/// Why a supervisor's administration refused a command: OTP's error names.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// No child of the kind that was asked for has this id.
    #[error("{0} is not known")]
    NotFound(ConnectionId),
    /// It runs: terminate it first.
    #[error("{0} is running; terminate it first")]
    Running(ConnectionId),
    /// It waits to be started again: terminate it first.
    #[error("{0} is restarting; terminate it first")]
    Restarting(ConnectionId),
    /// The connection was found and could not be started again.
    #[error("connection {id} cannot start: {source}")]
    Connect {
        /// The connection.
        id: ConnectionId,
        /// What refused it.
        source: ConnectError,
    },
    /// The supervisor is shutting down.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
}
