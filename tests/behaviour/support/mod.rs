//! What the tests share: a network in memory, recorded connections, short waits.

mod reads;
mod world;

use std::{cell::Cell, fmt::Debug, time::Duration};

use actix::Addr;
use wsvisor::{
    AccessPolicy, Backoff, Connect, Connection, ConnectionBuilder, ConnectionSpec, Settings,
    Supervisor,
    testing::{Network, Peer, Recorder, Server, connected},
};

pub(crate) use reads::watching_reads;
pub(crate) use world::World;

/// Nothing that a test waits for takes this long; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `work`, and fails with `what` when it does not come.
pub(crate) async fn soon<T>(what: impl Debug, work: impl Future<Output = T>) -> T {
    let in_vain = |_| panic!("waited {PATIENCE:?} in vain for {what:?}");
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(in_vain)
}

thread_local! {
    /// Each test has a thread of its own.
    static NETWORK: Network = Network::new();
    static NEXT_PORT: Cell<u16> = const { Cell::new(1_000) };
}

/// The test's network, to which all its connections dial.
pub(crate) fn network() -> Network {
    NETWORK.with(Clone::clone)
}

/// A server in the test's network.
pub(crate) fn listen() -> Server {
    network().listen(&format!("ws://127.0.0.1:{}", next_port()))
}

/// A port at which nobody has listened in the test's network.
pub(crate) fn next_port() -> u16 {
    NEXT_PORT.replace(NEXT_PORT.get() + 1)
}

/// Settings whose connections dial into the test's network.
pub(crate) fn settings() -> Settings {
    Settings::default().dialler(network())
}

pub(crate) fn loopback_policy() -> AccessPolicy {
    AccessPolicy::from_rules(["allow ws://127.0.0.1:*", "allow wss://localhost:*"])
        .expect("the rules are valid")
}

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A backoff short enough for a test.
pub(crate) fn quick() -> Backoff {
    Backoff::between(ms(1), ms(20)).expect("the bounds are valid")
}

/// A connection that is used alone, and what it tells.
pub(crate) fn alone(builder: ConnectionBuilder) -> (Addr<Connection>, Recorder) {
    let recorder = Recorder::start();
    let connection = builder
        .policy(loopback_policy())
        .subscribe(recorder.lifecycle())
        .subscribe(recorder.messages())
        .start()
        .expect("the settings are valid");
    (connection, recorder)
}

/// A string connection whose session is up, what it tells from then on, and the server's end.
pub(crate) async fn connected_with(settings: Settings) -> (Addr<Connection>, Recorder, Peer) {
    let server = listen();
    let (connection, mut events) = alone(Connection::string("a").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected()).await;
    (connection, events, peer)
}

/// A string connection that dials into the test's network, and what it tells.
pub(crate) fn string() -> (Addr<Connection>, Recorder) {
    alone(Connection::string("a").settings(settings()))
}

pub(crate) fn supervisor() -> Addr<Supervisor> {
    Supervisor::builder().policy(loopback_policy()).dialler(network()).start().unwrap()
}

/// A spec whose events are recorded.
pub(crate) fn recorded(spec: ConnectionSpec) -> (ConnectionSpec, Recorder) {
    let recorder = Recorder::start();
    let spec = spec.backoff(quick()).subscribe(recorder.lifecycle()).subscribe(recorder.messages());
    (spec, recorder)
}
