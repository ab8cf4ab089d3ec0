//! Connections on threads of their own, and threads that stop. Over real sockets, for time and
//! memory are shared with nobody there.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actix::{Addr, Arbiter};
use tokio::sync::oneshot;
use wsvisor::{
    Connection, ConnectionSpec, CountConnections, Dialler, Dialling, ExitReason, Rotate, Rotation,
    SendString, Settings, StartConnection, Supervisor, Target, Tcp, WhichConnections,
    testing::{Peer, Server, backoff_scheduled, connected, connection_error, disconnected},
};

use crate::support::{loopback_policy, recorded};

/// Stops the arbiter that it runs on, when it is told to.
struct StopsArbiter(Arc<AtomicBool>, Tcp);

impl Dialler for StopsArbiter {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        if self.0.swap(false, Ordering::Relaxed) {
            Arbiter::current().stop();
        }
        self.1.dial(target)
    }
}

fn on_two_arbiters(stops: &Arc<AtomicBool>) -> Addr<Supervisor> {
    Supervisor::builder()
        .policy(loopback_policy())
        .dialler(StopsArbiter(Arc::clone(stops), Tcp::default()))
        .arbiters(2)
        .start()
        .unwrap()
}

/// The next connection that lasts.
async fn after_the_lost_one(server: &Server) -> Peer {
    loop {
        // The lost attempt may have reached the server before its thread ended.
        let mut peer = server.accept().await;
        if let Ok(request) = peer.try_request().await
            && peer.try_write(request.acceptance("")).await.is_ok()
        {
            return peer;
        }
    }
}

#[actix::test]
async fn a_connection_outlives_its_arbiter() {
    let (server, stops) = (Server::on_loopback().await.unwrap(), Arc::default());
    let supervisor = on_two_arbiters(&stops);
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let lost = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected().epoch(1)).await;

    stops.store(true, Ordering::Relaxed);
    peer.reset();
    events.expect(disconnected().epoch(1)).await;
    events.expect(backoff_scheduled()).await;
    // The next attempt is lost with its thread; it ends as any other, in the order of all events.
    let stopped = |reason: &ExitReason| matches!(reason, ExitReason::ArbiterStopped);
    events.expect(connection_error().epoch(2).because(stopped)).await;
    events.expect("2 BackoffScheduled: retry 2…").await;
    let mut peer = after_the_lost_one(&server).await;
    events.expect(connected().epoch(3)).await;
    assert!(!lost.connected(), "the actor is lost with its thread");
    let infos = supervisor.send(WhichConnections::all()).await.unwrap();
    let moved = infos[0].address().expect("it goes on");
    moved.send(SendString::new("moved")).await.unwrap().unwrap();
    assert_eq!(peer.read().await.payload, b"moved");
    let counts = supervisor.send(CountConnections).await.unwrap();
    assert_eq!((counts.specs, counts.connected), (1, 1));
}

#[actix::test]
async fn a_successor_is_lost_with_the_arbiter_and_the_connection_goes_on() {
    let (server, stops) = (Server::on_loopback().await.unwrap(), Arc::default());
    let supervisor = on_two_arbiters(&stops);
    let settings = Settings::default().rotation(Rotation::make_before_break());
    let spec = ConnectionSpec::string("a", server.url()).settings(settings);
    let (spec, mut events) = recorded(spec);
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let _peer = server.open().await;
    events.expect(connected().epoch(1)).await;

    stops.store(true, Ordering::Relaxed);
    connection.send(Rotate).await.unwrap().unwrap();
    let stopped = |reason: &ExitReason| matches!(reason, ExitReason::ArbiterStopped);
    events.expect(disconnected().epoch(1).because(stopped)).await;
    events.expect(backoff_scheduled().epoch(1)).await;
    let _peer = after_the_lost_one(&server).await;
    events.expect(connected().epoch(3)).await;
}

/// Starts a supervisor with one connection, each on a thread of its own, and returns once that is connected. The
/// first thread, and the connection's address if it is to be kept.
async fn on_a_thread_of_its_own(
    server: &Server,
    keeps: bool,
) -> (Arbiter, Peer, Option<Addr<Connection>>) {
    let arbiter = Arbiter::new();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let (started, start) = oneshot::channel();
    arbiter.spawn(async move {
        let builder = Supervisor::builder().policy(loopback_policy()).arbiters(1);
        let supervisor = builder.start().unwrap();
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let _ = started.send(keeps.then_some(connection));
        // The supervisor lives until its thread ends.
        std::future::pending::<()>().await;
        drop(supervisor);
    });
    let peer = server.open().await;
    events.expect(connected()).await;
    (arbiter, peer, start.await.unwrap())
}

#[actix::test]
async fn a_lost_supervisor_keeps_nobody_alive() {
    let server = Server::on_loopback().await.unwrap();
    let (arbiter, mut peer, _) = on_a_thread_of_its_own(&server, false).await;
    // It has a supervisor, and so it lives though nobody has its address.
    peer.ping("ping").await;
    assert_eq!(peer.read().await.payload, b"ping");
    arbiter.stop();
    assert_eq!(peer.read_close().await, 1000_u16.to_be_bytes());
}

#[actix::test]
async fn who_has_an_address_keeps_what_a_lost_supervisor_leaves() {
    let server = Server::on_loopback().await.unwrap();
    let (arbiter, mut peer, connection) = on_a_thread_of_its_own(&server, true).await;
    arbiter.stop();
    arbiter.join().unwrap();
    let connection = connection.unwrap();
    connection.send(SendString::new("alone")).await.unwrap().unwrap();
    assert_eq!(peer.read().await.payload, b"alone");
    drop(connection);
    assert_eq!(peer.read_close().await, 1000_u16.to_be_bytes());
}
