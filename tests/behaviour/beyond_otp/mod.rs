//! What supervision does where OTP's `supervisor` does something else, or nothing: 27 behaviours, each
//! a test of its own. Where the numbers lead:
//!
//! | | behaviour | instead of |
//! | --- | --- | --- |
//! | B1 | a server that is down fails no start | OTP counts failed starts, and gives up in microseconds |
//! | B2 | five thousand ends by the network cost no intensity | one counter: the supervisor would die at the second |
//! | B3 | a limit that the backoff never lets be reached is refused, as zero and reversed terms are | systemd's start limit, cancelled silently |
//! | B4 | a server that accepts and closes meets no hot loop | python-websockets and twilight reset on 101 |
//! | B5 | the backoff starts again after a stable session only | the same |
//! | B6 | every delay is within its bounds, jitter included | Pekko and gRPC add jitter after the cap |
//! | B7 | who waits for its next attempt is `restarting`, and is not lost | rabbitmq-common#201, supervisor3#24 |
//! | B8 | to terminate is to cancel the next attempt, and an attempt under way | |
//! | B9 | a fatal end stops a permanent connection | OTP restarts it for ever |
//! | B10 | who crashes too often is put in quarantine alone | OTP's supervisor ends with all its children |
//! | B11 | a timer of an older session does nothing to a newer one | |
//! | B12 | the address is the same after a crash | actix and OTP: another process |
//! | B13 | a hand that says `Reconnect` waits for nothing and costs nothing | |
//! | B14 | close 1012 is a floor of the delay: 5 to 30 s | nobody |
//! | B15 | `Retry-After` is a floor, in seconds and as a date | lost by most clients |
//! | B16 | what a server asks of one connection holds all to it | |
//! | B17 | while a host is down one connection probes it, at the time for which it asks where it answers | a storm |
//! | B18 | a group waits once, for the longest of its backoffs | OTP has none |
//! | B19 | a failure of a group counts once | as in OTP, which counts failed starts too |
//! | B20 | a lost session fails a group only where that is asked for | |
//! | B21 | a transient supervisor that gave up is started again | OTP takes it for a shutdown |
//! | B22 | dynamic children outlive their supervisor, unless that is asked for | OTP forgets them |
//! | B23 | a panic of a supervisor's own code costs one answer, at the top as well | OTP: all children |
//! | B24 | supervisors are members of their group, in its order | as in OTP |
//! | B25 | `max_children` counts those that back off | as in Elixir |
//! | B26 | every stop is bounded, nothing is dialled after it began, and no time is endless | OTP: `infinity` |
//! | B27 | a supervisor ends with its significant children, also by a fatal end | OTP knows none |

mod connections;
mod servers;
mod supervisors;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use wsvisor::{
    Backoff, Connection, ConnectionSpec, Dialler, Dialling, Jitter, LifecycleEvent, Liveness,
    Settings, StartConnection, Supervisor, SupervisorBuilder, Target,
    testing::{Network, Recorded, Recorder},
};

use crate::support::{loopback_policy, network};

/// Nothing listens here.
const NOBODY: &str = "ws://127.0.0.1:9";

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The delay of every backoff that is exact.
const DELAY: Duration = secs(3);

fn exact() -> Backoff {
    Backoff::between(DELAY, DELAY).unwrap().jitter(Jitter::None)
}

fn builder() -> SupervisorBuilder {
    Supervisor::builder().policy(loopback_policy()).dialler(network())
}

/// A supervisor, and what all its connections tell.
fn watched(builder: SupervisorBuilder) -> (Addr<Supervisor>, Recorder) {
    let events = Recorder::start();
    (builder.subscribe(events.lifecycle()).start().unwrap(), events)
}

/// The servers of these tests answer no pings.
async fn start(supervisor: &Addr<Supervisor>, spec: ConnectionSpec) -> Addr<Connection> {
    let spec = spec.settings(Settings::default().liveness(Liveness::off()));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap()
}

/// The delay that was told.
fn delay(told: &Recorded) -> Duration {
    match told.lifecycle() {
        Some(LifecycleEvent::BackoffScheduled { delay, .. }) => *delay,
        other => panic!("{other:?} has no delay"),
    }
}

/// Panics in so many dials, when it is told to.
#[derive(Clone, Default)]
struct Crashes(Arc<AtomicUsize>);

impl Crashes {
    fn next(&self, count: usize) {
        self.0.store(count, Ordering::Relaxed);
    }

    fn builder(&self) -> SupervisorBuilder {
        let dialler = CrashingDialler(network(), self.clone());
        Supervisor::builder().policy(loopback_policy()).dialler(dialler)
    }
}

struct CrashingDialler(Network, Crashes);

impl Dialler for CrashingDialler {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        let left = &self.1.0;
        let left = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        assert!(left.is_err(), "told to panic");
        self.0.dial(target)
    }
}
