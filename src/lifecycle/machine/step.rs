//! What the machine is told, and what it says is to be done.

use std::time::{Duration, Instant};

use crate::{
    lifecycle::{Epoch, ExitReason, LifecycleEvent},
    policy::PolicyDenied,
    protocol::{CloseFrame, Subprotocol},
};

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// A user's `Connect`, whose parameters were found good.
    Connect,
    /// A user's `Reconnect`.
    Reconnect,
    /// A user's `Disconnect` or the supervisor's end, with the close frame to send.
    Disconnect(CloseFrame),
    /// A user's `Rotate`, or the session is as old as it may become: it is to be replaced by another,
    /// which has so long to become ready. Nothing where it cannot be.
    Rotate { ready_within: Duration },
    /// The application says that the session is ready.
    MarkReady,
    /// The session of this epoch finished its opening handshake.
    Opened { epoch: Epoch, subprotocol: Option<Subprotocol> },
    /// The session of this epoch is greeted and whatever else it waits for has come.
    SuccessorReady(Epoch),
    /// The attempt or session of this epoch ended; its socket is gone.
    Exited { epoch: Epoch, reason: ExitReason },
    /// Time passed.
    Tick,
    /// Another connection of the group failed: end the session, and wait for `Release`, which is to
    /// be at this time.
    Hold(Instant),
    /// All of the group that had to end have ended, and its backoff is over. Or the supervisor was
    /// started again, and everything with it.
    Release { everything: bool },
    /// The access policy does not allow the connection any more.
    Forbid(PolicyDenied),
    /// The access policy does not allow what is beside the session that is up.
    ForbidBeside(PolicyDenied),
    /// The supervisor is ending: nothing is dialled any more, and nothing follows from the next end.
    Wane,
}

/// What to do about it.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start the attempt of this epoch.
    Dial(Epoch, Urgency),
    /// Start the attempt of this epoch, beside the session that is up.
    DialBeside(Epoch),
    /// The session beside the one that is up takes its place, and the old one drains; its `Exited` will
    /// come.
    HandOver { old: Epoch },
    /// What is beside takes the place of the session that has ended.
    TakeOver,
    /// End the session beside the one that is up, for this reason; its `Exited` will come.
    EndBeside(ExitReason),
    /// Drop what is beside, for this reason. Nothing more is to come of it.
    DropBeside(ExitReason),
    /// Drop the attempt that is under way; its `Exited` will come.
    Abort,
    /// Begin the closing handshake of the session; its `Exited` will come.
    Close(CloseFrame),
    /// Write nothing of what is queued, and tell its senders why.
    Discard(ExitReason),
    /// Tell the subscribers of something in this epoch.
    Emit(Epoch, LifecycleEvent),
    /// Tell the supervisor that the group has failed, and is to start again at this time.
    Cascade(Instant),
    /// Tell the supervisor that a significant connection has ended by itself.
    SignificantEnd,
    /// Tell the supervisor that it has to end, and why.
    Escalate(ExitReason),
}

/// Whether an attempt may be kept waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// As long as it takes.
    Patient,
    /// A person said now.
    Now,
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// A connection exists or is being made or closed.
    InProgress,
    /// `Reconnect` without a `Connect` before it.
    NeverConnected,
    /// Its supervisor has ended or is ending.
    Waning,
}
