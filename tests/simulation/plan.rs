//! What happens in one run: a fleet, and moves at their times. Pure: a seed gives one plan.

use std::{fmt, time::Duration};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use wsvisor::{CascadeOn, Kind, Overflow, RestartPolicy, StableAfter, Strategy};

use crate::{
    chance::{
        draw_greetings, draw_pressure, draw_replies, draw_requests, draw_rotations, draw_terms,
        strategy,
    },
    terms::{Manners, Terms},
};

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The strategy of each.
    pub(crate) supervisors: Vec<(Strategy, CascadeOn)>,
    /// Whether they stand below another one.
    pub(crate) tree: bool,
    /// Whether they give up at the first crash, where one above starts them again.
    pub(crate) brittle: bool,
    pub(crate) servers: usize,
    /// Bytes that a stream holds in each direction.
    pub(crate) pipes: usize,
    pub(crate) members: Vec<Member>,
    /// In the order of their times.
    pub(crate) moves: Vec<(Duration, Move)>,
    /// When the faults stop.
    pub(crate) length: Duration,
}

/// One connection of the fleet.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) home: Home,
    pub(crate) server: usize,
    pub(crate) kind: Kind,
    pub(crate) restart: RestartPolicy,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) stable_after: StableAfter,
    pub(crate) close_timeout: Duration,
    pub(crate) outbox_messages: usize,
    /// How long its subscriber takes for a message.
    pub(crate) subscriber_takes: Duration,
    /// How often a ping goes out, and how long its answer may take.
    pub(crate) ping: (Duration, Duration),
    /// Another subscriber, that takes long for each message and may lose some: what is lost, and how
    /// many it may have in flight.
    pub(crate) choosy: Option<(Overflow, usize)>,
    pub(crate) manners: Manners,
    pub(crate) outbox_bytes: usize,
    pub(crate) rotates: Option<Rotates>,
    /// It sends requests.
    pub(crate) asks: bool,
    /// It replies to each of the server's messages at once.
    pub(crate) replies: bool,
}

/// How the sessions of a connection are replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotates {
    pub(crate) ready_within: Duration,
    pub(crate) max_age: Option<Duration>,
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Home {
    Alone,
    Supervisor(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Move {
    Fault { server: usize, fault: Fault },
    Command { member: usize, command: Command },
}

/// What becomes of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It does to each connection what chance says.
    Storm,
    /// It serves each connection well.
    Calm,
    /// It is killed: all streams are reset, and nothing listens.
    Kill,
    /// It listens again.
    Start,
    /// Dials neither succeed nor fail.
    Swallow,
    /// All streams end, without a close frame.
    DropAll,
    /// All streams are reset.
    ResetAll,
    /// It reads nothing for so long.
    Doze(Duration),
}

/// What a user does with a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Send {
        messages: usize,
        size: usize,
        /// By turns.
        terms: [Terms; 2],
    },
    Ask {
        requests: usize,
        within: Duration,
        /// How long after it has read one the server answers it, each time that it does. By turns.
        answers: [&'static [u64]; 2],
        terms: Terms,
    },
    Connect,
    Reconnect,
    Disconnect(u16),
    MarkReady,
    Rotate,
    Status,
    Start,
    Terminate,
    Restart,
    Delete,
    Count,
    /// Its supervisor has a bug.
    Bug,
    /// Its session is lost, and its next dial panics.
    Crash,
    /// Another subscriber comes, and goes a while later.
    Visit(Duration),
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let supervisors: Vec<_> = (0..rng.random_range(1..=3)).map(|_| strategy(rng)).collect();
        let servers = rng.random_range(1..=4);
        // Most fleets are small, so that many are tried; some are large.
        let largest = if rng.random_ratio(1, 25) { 50 } else { 6 };
        let members: Vec<_> = (0..rng.random_range(1..=largest))
            .map(|_| Member::draw(rng, supervisors.len(), servers))
            .collect();
        let watches = &mut ChaCha8Rng::seed_from_u64(!seed);
        let members: Vec<_> = members
            .into_iter()
            .map(|mut member: Member| {
                member.draw_watches(watches);
                member
            })
            .collect();
        let length = Duration::from_secs(rng.random_range(5..=120));
        let mut moves: Vec<_> = (0..rng.random_range(5..=80))
            .map(|_| {
                let at = Duration::from_millis(rng.random_range(0..length.as_secs() * 1_000));
                (at, Move::draw(rng, servers, members.len()))
            })
            .collect();
        moves.sort_by_key(|(at, _)| *at);
        let mut members = members;
        draw_terms(seed, &mut members, &mut moves);
        draw_rotations(seed, &mut members, &mut moves, length);
        draw_greetings(seed, &mut members);
        draw_replies(seed, &mut members);
        draw_requests(seed, &mut members, &mut moves, length);
        let pipes = draw_pressure(seed, &members, &mut moves, length);
        let (tree, brittle) = (rng.random_ratio(1, 3), rng.random_ratio(1, 3));
        Self { seed, supervisors, tree, brittle, servers, pipes, members, moves, length }
    }
}

/// The plan as a person reads it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, supervisors, tree, brittle, servers, pipes, members, moves, length } =
            self;
        writeln!(
            f,
            "seed {seed}: supervisors {supervisors:?}, tree {tree}, brittle {brittle}, {servers} servers, pipes of {pipes}, {length:?}"
        )?;
        for (number, member) in members.iter().enumerate() {
            writeln!(f, "  c{number}: {member:?}")?;
        }
        for (at, what) in moves {
            writeln!(f, "  at {at:?}: {what:?}")?;
        }
        Ok(())
    }
}
