//! What chance puts into a plan. Each part is drawn by itself, so that a seed that failed once still gives
//! the rest of its plan.

use std::time::Duration;

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use wsvisor::{
    CascadeOn, Dynamic, Kind, OutboxLimits, Overflow, RestartPolicy, StableAfter, Strategy,
};

use crate::{
    plan::{Command, Fault, Home, Member, Move, Rotates},
    terms::{Manners, Ready, Terms},
};

impl Member {
    pub(crate) fn draw(rng: &mut impl Rng, supervisors: usize, servers: usize) -> Self {
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
            manners: Manners {
                greets: false,
                hesitates: Duration::ZERO,
                ready: Ready::WithConnect,
                limit: None,
            },
            outbox_bytes: OutboxLimits::default().bytes,
            rotates: None,
            asks: false,
            replies: false,
        }
    }

    pub(crate) fn draw_watches(&mut self, rng: &mut impl Rng) {
        let (interval, within) = *pick(rng, &[(20, 20), (20, 20), (3, 2), (2, 5)]);
        self.ping = (Duration::from_secs(interval), Duration::from_secs(within));
        let overflows = [Overflow::DropNewest, Overflow::DropOldest, Overflow::Unsubscribe];
        self.choosy =
            rng.random_ratio(1, 2).then(|| (*pick(rng, &overflows), *pick(rng, &[1, 2, 10, 100])));
    }
}

impl Move {
    pub(crate) fn draw(rng: &mut impl Rng, servers: usize, members: usize) -> Self {
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

/// On which terms messages are sent.
pub(crate) fn draw_terms(seed: u64, members: &mut [Member], moves: &mut [(Duration, Move)]) {
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

/// In every other plan there are none.
pub(crate) fn draw_rotations(
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

/// In every third plan greetings take their time.
pub(crate) fn draw_greetings(seed: u64, members: &mut [Member]) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(24));
    if rng.random_ratio(1, 3) {
        for member in members {
            member.manners.hesitates = Duration::from_millis(*pick(rng, &[0, 10, 700]));
        }
    }
}

/// In every fourth plan, half of the connections reply to what they hear.
pub(crate) fn draw_replies(seed: u64, members: &mut [Member]) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(56));
    if rng.random_ratio(1, 4) {
        for member in members {
            member.replies = rng.random();
        }
    }
}

/// In every third plan there are requests: servers answer them at once, late, again, or never.
pub(crate) fn draw_requests(
    seed: u64,
    members: &mut [Member],
    moves: &mut Vec<(Duration, Move)>,
    length: Duration,
) {
    const ANSWERS: [&[u64]; 6] = [&[0], &[0], &[40], &[0, 0], &[3_000, 3_000], &[]];
    let rng = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(8));
    if rng.random_ratio(2, 3) {
        return;
    }
    for (number, member) in members.iter_mut().enumerate() {
        member.asks = rng.random_ratio(2, 3);
        if !member.asks {
            continue;
        }
        for _ in 0..rng.random_range(1..8) {
            let at = Duration::from_millis(rng.random_range(0..length.as_secs() * 1_000));
            let command = Command::Ask {
                requests: *pick(rng, &[1, 2, 10]),
                within: Duration::from_millis(*pick(rng, &[1, 1_000, 10_000])),
                answers: [*pick(rng, &ANSWERS), *pick(rng, &ANSWERS)],
                terms: Terms::draw(rng),
            };
            moves.push((at, Move::Command { member: number, command }));
        }
    }
    moves.sort_by_key(|(at, _)| *at);
}

/// In every third plan streams hold little, and servers stop reading while they are sent much: so some
/// messages wait behind those that are encoded, which wait for the socket. Returns what a stream holds.
pub(crate) fn draw_pressure(
    seed: u64,
    members: &[Member],
    moves: &mut Vec<(Duration, Move)>,
    length: Duration,
) -> usize {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed.rotate_left(48));
    if rng.random_ratio(2, 3) {
        return 64 * 1024;
    }
    // What takes many turns of both ends takes long.
    for (_, what) in &mut *moves {
        if let Move::Command { command: Command::Send { size, .. }, .. } = what {
            *size = (*size).min(9_000);
        }
    }
    let ms = Duration::from_millis;
    for _ in 0..rng.random_range(1..=4) {
        let member = rng.random_range(0..members.len());
        let server = members[member].server;
        let mut at = ms(rng.random_range(0..length.as_secs() * 1_000));
        let doze = Fault::Doze(ms(*pick(rng, &[50, 1_000, 4_000])));
        moves.push((at, Move::Fault { server, fault: doze }));
        for _ in 0..rng.random_range(1..=4) {
            at += ms(*pick(rng, &[0, 1, 1, 10, 300]));
            let command = Command::Send {
                messages: *pick(rng, &[1, 4, 10]),
                size: *pick(rng, &[1, 400, 2_500]),
                terms: [Terms::draw(rng), Terms::draw(rng)],
            };
            moves.push((at, Move::Command { member, command }));
        }
        at += ms(*pick(rng, &[0, 1, 20, 500, 2_500]));
        let last = match rng.random_range(0..6) {
            0 => Move::Fault { server, fault: Fault::DropAll },
            1 => Move::Fault { server, fault: Fault::ResetAll },
            2 | 3 => Move::Command { member, command: Command::Reconnect },
            4 => Move::Command { member, command: Command::Rotate },
            _ => Move::Command { member, command: Command::Status },
        };
        moves.push((at, last));
    }
    moves.retain(|(at, _)| *at < length);
    moves.sort_by_key(|(at, _)| *at);
    *pick(rng, &[1_024, 4_096])
}

pub(crate) fn strategy(rng: &mut impl Rng) -> (Strategy, CascadeOn) {
    let dynamic = Strategy::Dynamic(Dynamic::default());
    let strategies = [dynamic, Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
    (*pick(rng, &strategies), *pick(rng, &[CascadeOn::Exit, CascadeOn::SessionLost]))
}

pub(crate) fn pick<'a, T>(rng: &mut impl Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.random_range(0..choices.len())]
}
