//! The connections under test.

use std::{fmt::Debug, time::Duration};

use actix::Addr;
use wsvisor::{
    AccessPolicy, Backoff, Connection, ConnectionSpec, Disconnect, SendBinary, SendJson,
    SendString, StartConnection, Supervisor, testing::Recorder,
};

/// Nothing that a test waits for takes this long; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `work`, and fails with `what` when it does not come.
pub(crate) async fn soon<T>(what: impl Debug, work: impl Future<Output = T>) -> T {
    let in_vain = |_| panic!("waited {PATIENCE:?} in vain for {what:?}");
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(in_vain)
}

/// A supervised connection, and what it tells.
pub(crate) struct Client {
    connection: Addr<Connection>,
    pub(crate) events: Recorder,
    _supervisor: Addr<Supervisor>,
}

impl Client {
    pub(crate) async fn start(spec: ConnectionSpec) -> Self {
        let rules = ["allow ws://127.0.0.1:*", "allow wss://localhost:*"];
        let policy = AccessPolicy::from_rules(rules).expect("the rules are valid");
        let supervisor = Supervisor::builder().policy(policy).start().unwrap();
        let events = Recorder::start();
        let quick = Backoff::between(Duration::from_millis(1), Duration::from_millis(50));
        let spec = spec
            .backoff(quick.expect("the bounds are valid"))
            .subscribe(events.lifecycle())
            .subscribe(events.messages());
        let started = supervisor.send(StartConnection(spec)).await;
        let connection = started.expect("the supervisor lives").expect("the spec is accepted");
        Self { connection, events, _supervisor: supervisor }
    }

    /// A connection that is up.
    pub(crate) async fn connected(url: String) -> Self {
        Self::connected_as(ConnectionSpec::string("client", url)).await
    }

    /// A connection that was asked for so, and is up.
    pub(crate) async fn connected_as(spec: ConnectionSpec) -> Self {
        let mut client = Self::start(spec).await;
        client.events.expect("1 Connected").await;
        client
    }

    pub(crate) async fn send_text(&self, text: &str) {
        let sent = self.connection.send(SendString::new(text)).await;
        sent.expect("the connection lives").expect("it is connected");
    }

    pub(crate) async fn send_binary(&self, bytes: &[u8]) {
        let sent = self.connection.send(SendBinary::new(bytes.to_vec())).await;
        sent.expect("the connection lives").expect("it is connected");
    }

    /// Whatever becomes of it.
    pub(crate) async fn try_send_binary(&self, bytes: Vec<u8>) {
        let _ = self.connection.send(SendBinary::new(bytes)).await.expect("the connection lives");
    }

    pub(crate) async fn send_json(&self, value: &serde_json::Value) {
        let message = SendJson::new(value).expect("a value is JSON");
        let sent = self.connection.send(message).await;
        sent.expect("the connection lives").expect("it is connected");
    }

    pub(crate) async fn disconnect(&self, disconnect: Disconnect) {
        self.connection.send(disconnect).await.expect("the connection lives");
    }
}
