//! Fleets of connections in a world of faults, in virtual time: from a seed come supervisors,
//! connections, subscribers, servers that do whatever servers do, and users who command anything at
//! any moment. What must hold all the same is checked at each event: the invariants of the
//! connection's life, the order of events, the fate of each message, the bounds of memory, and that
//! everything recovers.
//!
//! ```sh
//! cargo test --test simulation                                     # as many fresh seeds as below
//! SIMULATION_SEEDS=20000 cargo test --release --test simulation    # more of them
//! SIMULATION_SEED=42 cargo test --test simulation one_seed -- --nocapture --ignored
//! ```
//!
//! | | what holds | looked at in |
//! | --- | --- | --- |
//! | I1 | a connection has one socket, or two in a rotation | `watch.rs` |
//! | I2 | an end is told once, and one consequence of it | `life.rs` |
//! | I3 | there is a timer where, and only where, the next attempt waits | `checks.rs` |
//! | I4 | a delay is as long as a server asked, and else no longer than the backoff's | `life.rs` |
//! | I5 | what is terminated or shut down has ended in time, with its sockets | `fleet.rs`, `world.rs` |
//! | I6 | nothing is dialled once a shutdown has begun | `watch.rs` |
//! | I7 | a session's messages come in its time | `life.rs` |
//! | I8 | an address is valid as long as its connection is known | `fleet.rs` |
//! | I9 | events come in order, none is lost or comes twice | `life.rs` |
//! | I10 | a peer that is silent is given up | `watch.rs` |
//! | I11 | messages are written in order; what is confirmed has been read, once and in order, when it is told; what is told as not written never was | `fates.rs` |
//! | I12 | nothing is written twice, or after its end was told: what is replaced or expires leaves the stream | `fates.rs` |
//! | I13 | nothing is written after its deadline; it is told then, and not before | `fates.rs` |
//! | I14 | the greeting is first, and what waits for readiness is behind that | `watch.rs` |
//! | I15 | what waits is bounded, written messages that are to be confirmed among it | `bounds.rs` |
//! | I16 | the send limit is kept | `watch.rs` |
//! | I17 | no data is behind a close frame | `watch.rs` |
//! | I18 | a session sleeps when there is nothing to do | `watch.rs` |
//! | I19 | what a session has written is settled by its end | `fates.rs` |
//! | I20 | a request has its own answer, once, when it comes | `send.rs`, `fates.rs` |
//! | I21 | what is for one session is written in no other | `fates.rs` |
//! | I22 | a server's messages are replied to in order, each once | `servers.rs` |
//! | I23 | a session that becomes ready and ends tells both, in this order | `life.rs` |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bounds;
mod chance;
mod checks;
mod fates;
mod fleet;
mod journal;
mod life;
mod openings;
mod plan;
mod seat;
mod send;
mod servers;
mod shrink;
mod start;
mod tap;
mod terms;
mod watch;
mod witness;
mod world;

use std::{
    env, panic,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use plan::Plan;
use shrink::shrink;
use world::run;

/// Seeds that failed once.
const FAILED_ONCE: &str = include_str!("seeds.txt");
const FRESH_SEEDS: u64 = 2_000;
/// What a panic that a plan asks for says.
const TOLD_TO_PANIC: &str = "told to panic";

/// Panics that a plan asks for are no news; a message of each, with its trace, would take more time than
/// all the rest.
fn hush_panics_that_were_asked_for() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() != Some(TOLD_TO_PANIC) {
                tell(panic);
            }
        }));
    });
}

fn check(seed: u64) {
    hush_panics_that_were_asked_for();
    let plan = Plan::of(seed);
    if run(&plan).violations.is_empty() {
        return;
    }
    let smallest = shrink(&plan);
    let outcome = run(&smallest);
    panic!(
        "seed {seed} fails; put it into tests/simulation/seeds.txt\n\nthe shortest plan that fails:\n{smallest}\nits history:\n{}\n\nwhat is wrong:\n{}",
        outcome.history.join("\n"),
        outcome.violations.join("\n"),
    );
}

#[test]
fn seeds_that_failed_once() {
    for line in FAILED_ONCE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let seed = line.split_whitespace().next().unwrap_or_default();
        check(seed.parse().unwrap_or_else(|error| panic!("{line:?} has no seed: {error}")));
    }
}

#[test]
fn fresh_seeds() {
    let count = env::var("SIMULATION_SEEDS").map_or(FRESH_SEEDS, |n| n.parse().expect("a number"));
    let first = u64::from(rand::random::<u32>());
    println!("seeds {first} to {}", first + count - 1);
    let next = AtomicU64::new(first);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            check(seed);
        }
    };
    let workers = thread::available_parallelism().map_or(2, usize::from).min(4);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn a_seed_gives_the_same_history_again() {
    for seed in 0..20 {
        let plan = Plan::of(seed);
        let (first, second) = (run(&plan).history, run(&plan).history);
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        assert!(
            differs.is_none() && first.len() == second.len(),
            "seed {seed} differs at {differs:?}: {:?} / {:?}",
            differs.map(|at| &first[at]),
            differs.map(|at| &second[at]),
        );
    }
}

/// For a person who looks into one.
#[test]
#[ignore = "shows the history of SIMULATION_SEED"]
fn one_seed() {
    let seed = env::var("SIMULATION_SEED").expect("SIMULATION_SEED").parse().expect("a number");
    let plan = Plan::of(seed);
    let outcome = run(&plan);
    println!("{plan}\n{}", outcome.history.join("\n"));
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}
