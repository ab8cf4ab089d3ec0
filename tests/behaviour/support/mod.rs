//! What the tests stand on: a server that does exactly what a test says, byte by byte, and a
//! subscriber that remembers what it was told.

mod peer;
mod recorder;

use std::{fmt::Debug, time::Duration};

use actix::Addr;
use wsvisor::{AccessPolicy, Backoff, Connection, ConnectionBuilder, ConnectionSpec, Supervisor};

pub(crate) use peer::{Frame, Head, Peer, Server, frame};
pub(crate) use recorder::{Events, Recorder};

/// Nothing that a test waits for takes this long; a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `work`, and fails with `what` when it does not come.
pub(crate) async fn soon<T>(what: impl Debug, work: impl Future<Output = T>) -> T {
    let in_vain = |_| panic!("waited {PATIENCE:?} in vain for {what:?}");
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(in_vain)
}

pub(crate) fn loopback_policy() -> AccessPolicy {
    AccessPolicy::from_rules(["allow ws://127.0.0.1:*", "allow wss://localhost:*"])
        .expect("the rules are valid")
}

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A backoff short enough for a test.
pub(crate) fn quick() -> Backoff {
    Backoff::between(ms(1), ms(20)).expect("the bounds are valid")
}

/// A connection that is used alone, and what it tells.
pub(crate) fn alone(builder: ConnectionBuilder) -> (Addr<Connection>, Events) {
    let (recorder, events) = Recorder::start();
    let connection = builder
        .policy(loopback_policy())
        .subscribe(recorder.clone().recipient::<wsvisor::Lifecycle>())
        .subscribe(recorder.recipient::<wsvisor::Received>())
        .start()
        .expect("the settings are valid");
    (connection, events)
}

pub(crate) fn supervisor() -> Addr<Supervisor> {
    Supervisor::builder().policy(loopback_policy()).start()
}

/// A spec whose events are recorded.
pub(crate) fn recorded(spec: ConnectionSpec) -> (ConnectionSpec, Events) {
    let (recorder, events) = Recorder::start();
    let spec = spec
        .backoff(quick())
        .subscribe(recorder.clone().recipient::<wsvisor::Lifecycle>())
        .subscribe(recorder.recipient::<wsvisor::Received>());
    (spec, events)
}
