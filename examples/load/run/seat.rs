use std::time::Instant;

use actix::Addr;
use wsvisor::{Connection, Sender};

use super::flights::Flights;

/// One connection, as its worker sees it.
pub(crate) struct Seat {
    /// Once its supervisor has started it.
    pub(crate) address: Option<Addr<Connection>>,
    /// The same, for the messages.
    pub(crate) sender: Option<Sender>,
    pub(crate) stage: Stage,
    /// When it was wished to be connected.
    pub(crate) wished: Instant,
    pub(crate) flights: Flights,
    /// Messages sent so far.
    pub(crate) sequence: u64,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its time to connect has not come.
    Waiting,
    /// It has not been connected yet.
    Opening,
    Up,
    /// Its session ended by itself; the supervisor brings it back.
    Down,
    /// It is to be closed and opened again, once its last answers have come.
    Leaving,
    /// It is being opened again.
    Returning,
    /// It will not be opened again.
    Lost,
}

impl Seat {
    pub(crate) fn waiting(at: Instant) -> Self {
        let (address, sender, stage) = (None, None, Stage::Waiting);
        Self { address, sender, stage, wished: at, flights: Flights::default(), sequence: 0 }
    }

    /// Whether a message may be due on it: also where it ought to be up and is not.
    pub(crate) const fn takes_messages(&self) -> bool {
        !matches!(self.stage, Stage::Leaving | Stage::Returning)
    }

    /// Whether its first attempts are over.
    pub(crate) const fn is_settled(&self) -> bool {
        !matches!(self.stage, Stage::Waiting | Stage::Opening)
    }

    pub(crate) const fn has_session(&self) -> bool {
        matches!(self.stage, Stage::Up | Stage::Leaving)
    }
}
