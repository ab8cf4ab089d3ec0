//! What passes between a supervisor and its children: orders down, reports up.

use std::{sync::Arc, time::Instant};

use actix::{Message, WeakRecipient};

use super::{fanout::Fanout, makings::Makings};
use crate::{
    lifecycle::{ConnectionId, Epoch, ExitReason, Machine, Restraint, State, Supervision},
    message::{CheckedConnect, SupervisorExplanation},
    policy::AccessPolicy,
    spec::Settings,
    transport::Gate,
};

/// The supervisor, as its children see it.
pub(super) struct Above {
    pub(super) gate: Gate,
    pub(super) reports: WeakRecipient<Report>,
}

/// The supervisor, as one of its children sees it.
pub(super) struct Superior {
    /// Shared by all of them.
    pub(super) above: Arc<Above>,
    /// Tells this actor from an earlier one of the same id.
    pub(super) serial: u64,
}

/// A connection tells its supervisor where it is.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Report {
    pub(super) id: ConnectionId,
    pub(super) serial: u64,
    pub(super) state: State,
    pub(super) epoch: Epoch,
    pub(super) alarm: Option<Box<Alarm>>,
}

/// What an end means beyond its connection.
pub(super) enum Alarm {
    /// The group has failed, and is to start again then.
    Cascade(Instant),
    /// A significant connection has ended by itself.
    SignificantEnd,
    /// The actor is lost, and the connection is not: its arbiter stopped.
    Orphaned(Box<Remains>),
    /// It is more than the supervisor may bear.
    Escalation(ExitReason),
}

/// What is left of a connection whose actor is lost. Another actor goes on with it: its epochs, the
/// order of its events, its attempts and its subscribers are the same.
pub(super) struct Remains {
    pub(super) makings: Makings,
    pub(super) machine: Machine,
    pub(super) checked: Option<CheckedConnect>,
    pub(super) fanout: Fanout,
}

/// The supervisor ends a connection: closed with 1001, answered when its socket is gone.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Terminate;

/// The supervisor ends: the session is closed, and the actor stops once it is gone. Answered then.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Retire;

/// Another connection of the group failed: the session is closed. Answered once it is gone. The next
/// attempt waits for `Release`, which is to come at this time.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Hold(pub(super) Instant);

/// The supervisor below is asked why it is in its state.
#[derive(Clone, Copy, Message)]
#[rtype(result = "SupervisorExplanation")]
pub(super) struct GiveAccount;

/// The supervisor below is started again by hand.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Rerun;

/// The group starts again.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Release;

/// The supervisor was started again: it counts anew, and wants to be told everything.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(super) struct Adopt {
    pub(super) restraint: Arc<Restraint>,
    /// It had ended, and everything starts again, whatever state it is in.
    pub(super) starts_again: bool,
}

/// The supervisor is ending, and this one's turn to end will come. Until then nothing is dialled: what
/// is not connected ends now, and nothing follows from the end of what is.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Wane;

/// The time to end is over: the socket is dropped.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Cut;

/// The supervisor is no more, and this its last word: from now on the connection lives as long as somebody has its
/// address.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(super) struct Dismiss;

/// What the next attempt is to use.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Update {
    pub(super) checked: CheckedConnect,
    pub(super) settings: Arc<Settings>,
    pub(super) supervision: Arc<Supervision>,
}

/// This policy holds from now on. Answered with whether it lets the connection be.
#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct Enforce(pub(super) AccessPolicy);

/// The supervisor is to forget the connection: its actor stops, if it is at rest. Answered with
/// whether it is. The actor decides, because the supervisor knows its state a moment later.
#[derive(Clone, Copy, Message)]
#[rtype(result = "bool")]
pub(super) struct Discard;
