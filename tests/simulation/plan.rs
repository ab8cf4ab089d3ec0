//! What happens in one run: a fleet, and moves at their times. Pure: a seed gives one plan.

use std::{fmt, time::Duration};

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use wsvisor::{
    CascadeOn, Dynamic, Kind, OutboxLimits, Overflow, RestartPolicy, StableAfter, Strategy,
};

use crate::terms::{Manners, Ready, Terms};

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
        let (tree, brittle) = (rng.random_ratio(1, 3), rng.random_ratio(1, 3));
        Self { seed, supervisors, tree, brittle, servers, members, moves, length }
    }
}

impl Member {
    fn draw(rng: &mut impl Rng, supervisors: usize, servers: usize) -> Self {
        let min = *pick(rng, &[10, 100, 500]);
        let max = min * *pick(rng, &[1, 8, 60]);
        Self {
            home: match rng.random_range(0..5) {
                0 => Home::Alone,
                _ => Home::Supervisor(rng.random_range(0..supervisors)),
            },
            server: rng.random_range(0..servers),
            kind: *pick(rng, &[Kind::String, Kind::Json]),
            restart: match rng.random_range(0..10) {
                0 => RestartPolicy::Temporary,
                1 => RestartPolicy::Transient,
                _ => RestartPolicy::Permanent,
            },
            backoff: (Duration::from_millis(min), Duration::from_millis(max)),
            stable_after: *pick(
                rng,
                &[
                    StableAfter::Uptime(Duration::from_secs(1)),
                    StableAfter::Uptime(Duration::from_secs(30)),
                    StableAfter::Ready,
                ],
            ),
            close_timeout: Duration::from_millis(*pick(rng, &[50, 1_000, 5_000])),
            outbox_messages: *pick(rng, &[1, 5, 1_000]),
            subscriber_takes: Duration::from_millis(*pick(rng, &[0, 0, 0, 1, 200])),
            ping: (Duration::from_secs(20), Duration::from_secs(20)),
            choosy: None,
            manners: Manners { greets: false, ready: Ready::WithConnect, limit: None },
            outbox_bytes: OutboxLimits::default().bytes,
            rotates: None,
        }
    }

    /// Drawn by itself, so that a seed that failed once still gives the rest of its plan.
    fn draw_watches(&mut self, rng: &mut impl Rng) {
        let (interval, within) = *pick(rng, &[(20, 20), (20, 20), (3, 2), (2, 5)]);
        self.ping = (Duration::from_secs(interval), Duration::from_secs(within));
        let overflows = [Overflow::DropNewest, Overflow::DropOldest, Overflow::Unsubscribe];
        self.choosy =
            rng.random_ratio(1, 2).then(|| (*pick(rng, &overflows), *pick(rng, &[1, 2, 10, 100])));
    }
}

impl Move {
    fn draw(rng: &mut impl Rng, servers: usize, members: usize) -> Self {
        if rng.random_ratio(1, 3) {
            let server = rng.random_range(0..servers);
            let fault = match rng.random_range(0..12) {
                0..=3 => Fault::Storm,
                4 | 5 => Fault::Calm,
                6 => Fault::Kill,
                7 | 8 => Fault::Start,
                9 => Fault::Swallow,
                10 => Fault::DropAll,
                _ => Fault::ResetAll,
            };
            return Self::Fault { server, fault };
        }
        let command = match rng.random_range(0..28) {
            0..=7 => Command::Send {
                messages: *pick(rng, &[1, 1, 3, 30]),
                size: *pick(rng, &[1, 100, 3_000, 70_000]),
                terms: [Terms::default(); 2],
            },
            8 => Command::Connect,
            9 | 10 => Command::Reconnect,
            11 | 12 => Command::Disconnect(*pick(rng, &[1000, 4001])),
            13 => Command::MarkReady,
            14 | 15 => Command::Status,
            16 => Command::Start,
            17 | 18 => Command::Terminate,
            19 | 20 => Command::Restart,
            21 => Command::Delete,
            22 => Command::Count,
            23 | 24 => Command::Bug,
            25 | 26 => Command::Crash,
            _ => Command::Visit(Duration::from_secs(rng.random_range(0..20))),
        };
        Self::Command { member: rng.random_range(0..members), command }
    }
}

/// Drawn by themselves, so that a seed that failed once still gives the rest of its plan.
fn draw_terms(seed: u64, members: &mut [Member], moves: &mut [(Duration, Move)]) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(32));
    for member in members {
        member.manners = Manners::draw(rng);
        member.outbox_bytes = *pick(rng, &[OutboxLimits::default().bytes, 150_000]);
    }
    for (_, what) in moves {
        if let Move::Command { command: Command::Send { terms, .. }, .. } = what {
            *terms = [Terms::draw(rng), Terms::draw(rng)];
        }
    }
}

/// By themselves as well; in every other plan there are none.
fn draw_rotations(
    seed: u64,
    members: &mut [Member],
    moves: &mut Vec<(Duration, Move)>,
    length: Duration,
) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(16));
    if rng.random_ratio(1, 2) {
        return;
    }
    for (number, member) in members.iter_mut().enumerate() {
        if rng.random_ratio(1, 2) {
            continue;
        }
        let max_age = pick(rng, &[None, Some(5), Some(40)]).map(Duration::from_secs);
        member.rotates = Some(Rotates {
            ready_within: Duration::from_millis(*pick(rng, &[50, 2_000, 30_000])),
            // What never becomes ready is closed when it is old, again and again.
            max_age: max_age.filter(|_| member.manners.ready == Ready::WithConnect),
        });
        for _ in 0..rng.random_range(0..10) {
            let at = Duration::from_millis(rng.random_range(0..length.as_secs() * 1_000));
            moves.push((at, Move::Command { member: number, command: Command::Rotate }));
        }
    }
    moves.sort_by_key(|(at, _)| *at);
}

fn strategy(rng: &mut impl Rng) -> (Strategy, CascadeOn) {
    let dynamic = Strategy::Dynamic(Dynamic::default());
    let strategies = [dynamic, Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
    (*pick(rng, &strategies), *pick(rng, &[CascadeOn::Exit, CascadeOn::SessionLost]))
}

pub(crate) fn pick<'a, T>(rng: &mut impl Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.random_range(0..choices.len())]
}

/// The plan as a person reads it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, supervisors, tree, brittle, servers, members, moves, length } = self;
        writeln!(
            f,
            "seed {seed}: supervisors {supervisors:?}, tree {tree}, brittle {brittle}, {servers} servers, {length:?}"
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
