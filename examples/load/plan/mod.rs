//! What is to be done: everything that can be wrong with it is found before anything is dialled.
//! Pure: no clock, no sockets.

mod messages;
mod phase;
mod rate;
mod schedule;
mod target;
mod template;
mod threshold;

use std::time::Duration;

pub(crate) use self::{
    messages::{InvalidMessages, Message, Messages},
    phase::{Phase, Timetable},
    rate::Rate,
    schedule::Schedule,
    target::{InvalidTarget, Target},
    template::{InvalidTemplate, Place},
    threshold::{Bound, Clock, Metric, Statistic, Threshold},
};

/// A whole run.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) connections: usize,
    /// Connections opened a second; none: all at once.
    pub(crate) connect_rate: Option<f64>,
    /// How long connections may take after the last was due.
    pub(crate) connect_patience: Duration,
    pub(crate) idle: Duration,
    pub(crate) timetable: Timetable,
    /// Connections that are closed and opened again each second of the churn phase.
    pub(crate) churn_rate: f64,
    /// How long answers are waited for when nothing is sent any more.
    pub(crate) drain: Duration,
    pub(crate) pace: Pace,
    pub(crate) messages: Messages,
    pub(crate) answers: Answers,
    /// After this, an answer does not count.
    pub(crate) timeout: Duration,
    /// Threads, each with its share of the connections.
    pub(crate) workers: usize,
    pub(crate) thresholds: Vec<Threshold>,
}

/// What makes a message due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Closed loop: the answer to one before, and a pause.
    Answers { in_flight: usize, think: Duration },
    /// Open loop: time.
    Rate(Rate),
}

/// Which message of a server is the answer to which of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Each one answers the oldest without an answer on its connection.
    Next,
    /// It holds the id of ours at this JSON pointer (RFC 6901).
    ById(String),
    /// There are none: a message is done when it was handed to the socket.
    None,
}

impl Plan {
    /// When connections are due.
    pub(crate) fn connects(&self) -> Option<Schedule> {
        let rate = self.connect_rate?;
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 connections")]
        let length = Duration::from_secs_f64((self.connections as f64 + 1.0) / rate);
        let timetable = Timetable { message: length, ..Timetable::default() };
        Some(Schedule::of(&timetable, Rate { from: rate, to: rate }))
    }

    /// When a connection is to be closed and opened again.
    pub(crate) fn churns(&self) -> Schedule {
        Schedule::only_in(Phase::Churn, &self.timetable, self.churn_rate)
    }

    pub(crate) fn sends(&self) -> Option<Schedule> {
        match self.pace {
            Pace::Answers { .. } => None,
            Pace::Rate(rate) => Some(Schedule::of(&self.timetable, rate)),
        }
    }
}
