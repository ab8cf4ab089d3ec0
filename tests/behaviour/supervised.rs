//! A connection under a supervisor: it comes back, its address stays, its events keep their order.

use actix::prelude::*;
use wsvisor::{
    Backoff, ConnectionSpec, CountConnections, Disconnect, GetStatus, Lifecycle, LifecycleEvent,
    MarkReady, Received, Reconnect, RestartPolicy, SendString, StableAfter, StartConnection, State,
    Supervisor,
};

use wsvisor::testing::{Server, backoff_scheduled, connected, connection_error, frame};

use crate::support::{listen, loopback_policy, ms, network, quick, recorded, soon, supervisor};

#[actix::test]
async fn it_comes_back_with_rising_epochs() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    drop(server.open().await);
    events
        .expect_all(["1 Connected", "1 Disconnected 1006…", "1 BackoffScheduled: retry 1…"])
        .await;
    let mut peer = server.open().await;
    events.expect_all(["2 Connected"]).await;
    peer.close(1001).await;
    drop(peer);
    events.expect_all(["2 Disconnected 1001 clean…", "2 BackoffScheduled: retry 2…"]).await;
    let _peer = server.open().await;
    events.expect_all(["3 Connected"]).await;
}

#[actix::test]
async fn the_address_survives_ten_restarts_of_the_server() {
    let mut server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for round in 0..10 {
        let mut peer = server.open().await;
        events.until(connected()).await;
        let text = format!("round {round}");
        connection.send(SendString::new(text.as_str())).await.unwrap().unwrap();
        assert_eq!(peer.read().await.payload, text.as_bytes());
        peer.text(&text).await;
        events.until(wsvisor::testing::text(text)).await;

        // Killed: its connections are reset and nothing listens any more.
        server.stop();
        peer.reset();
        events.until(backoff_scheduled()).await;
        // Dialled in vain at least once.
        events.until(connection_error()).await;
        server.start().await.unwrap();
    }
}

#[actix::test]
async fn a_hundred_and_fifty_connections_to_one_server_all_connect() {
    let server = listen();
    let supervisor = supervisor();
    let recorder = CountConnected::default().start();
    for n in 0..150 {
        let spec = ConnectionSpec::string(format!("c{n}"), server.url())
            .subscribe(recorder.clone().recipient::<Lifecycle>());
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    }
    let mut peers = Vec::new();
    for _ in 0..150 {
        peers.push(server.open().await);
    }
    assert_eq!(network().live(&server.url()), 150, "each has a socket of its own");
    // All peers are held: all are connected at the same time.
    soon("150 connected", recorder.send(WaitFor(150))).await.unwrap().unwrap();
    let counts = supervisor.send(CountConnections).await.unwrap();
    assert_eq!((counts.specs, counts.connected), (150, 150));
}

/// Counts `Connected` events.
#[derive(Default)]
struct CountConnected {
    connected: usize,
    waiting: Option<(usize, tokio::sync::oneshot::Sender<()>)>,
}

#[derive(Message)]
#[rtype(result = "Result<(), ()>")]
struct WaitFor(usize);

impl Actor for CountConnected {
    type Context = Context<Self>;
}

impl CountConnected {
    fn tell(&mut self) {
        if self.waiting.as_ref().is_some_and(|(count, _)| *count <= self.connected)
            && let Some((_, tell)) = self.waiting.take()
        {
            let _ = tell.send(());
        }
    }
}

impl Handler<Lifecycle> for CountConnected {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        if matches!(told.event, LifecycleEvent::Connected { .. }) {
            self.connected += 1;
            self.tell();
        }
    }
}

impl Handler<WaitFor> for CountConnected {
    type Result = ResponseFuture<Result<(), ()>>;

    fn handle(&mut self, WaitFor(count): WaitFor, _: &mut Context<Self>) -> Self::Result {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.waiting = Some((count, tell));
        self.tell();
        Box::pin(async { told.await.map_err(drop) })
    }
}

#[actix::test]
async fn restart_types_decide_on_a_normal_end() {
    let after_1000 = [
        (RestartPolicy::Permanent, "1 BackoffScheduled: retry 1…"),
        (RestartPolicy::Transient, "1 Stopped…"),
        (RestartPolicy::Temporary, "1 Stopped…"),
    ];
    for (restart, expected) in after_1000 {
        let server = listen();
        let supervisor = supervisor();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
        supervisor.send(StartConnection(spec.restart(restart))).await.unwrap().unwrap();
        let mut peer = server.open().await;
        peer.close(1000).await;
        drop(peer);
        events.expect_all(["1 Connected", "1 Disconnected 1000 clean…", expected]).await;
        let specs = supervisor.send(CountConnections).await.unwrap().specs;
        assert_eq!(specs, usize::from(restart != RestartPolicy::Temporary), "{restart:?}");
    }
}

#[actix::test]
async fn a_fatal_end_is_not_repeated_even_when_permanent() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    peer.request().await;
    peer.write("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    events
        .expect_all([
            "1 ConnectionError: the opening handshake failed: server answered 403…",
            "1 GaveUp: the opening handshake failed: server answered 403…",
        ])
        .await;
    assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Failed);
}

#[actix::test]
async fn a_retry_after_is_waited_for() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    peer.request().await;
    peer.write("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\n\r\n").await;
    events.expect_all(["1 ConnectionError…", "1 BackoffScheduled: retry 1…"]).await;
    let wait = connection.send(GetStatus).await.unwrap().next_attempt_in.unwrap();
    assert!((ms(110_000)..=ms(125_000)).contains(&wait), "{wait:?}");

    // A person may overrule the wait.
    connection.send(Reconnect).await.unwrap().unwrap();
    let _peer = server.open().await;
    events.expect_all(["1 Restarted…", "2 Connected"]).await;
}

#[actix::test]
async fn reconnect_cycles_a_session_at_once() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    connection.send(Reconnect).await.unwrap().unwrap();
    assert_eq!(peer.read_close().await, [0x03, 0xE8]);
    peer.close(1000).await;
    drop(peer);
    let _peer = server.open().await;
    events.expect_all(["1 Disconnected 1000 clean…", "1 Restarted…", "2 Connected"]).await;
}

#[actix::test]
async fn disconnect_stops_a_permanent_connection_and_connect_starts_it() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    connection.send(Disconnect::normally()).await.unwrap();
    peer.read_close().await;
    peer.close(1000).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean…", "1 Stopped…"]).await;

    connection.send(wsvisor::Connect::to(server.url())).await.unwrap().unwrap();
    let _peer = server.open().await;
    events.expect_all(["2 Connected"]).await;
}

#[actix::test]
async fn disconnect_cancels_the_wait_for_the_next_attempt() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let hour = Backoff::between(ms(3_600_000), ms(3_600_000)).unwrap();
    let connection = supervisor.send(StartConnection(spec.backoff(hour))).await.unwrap().unwrap();
    drop(server.open().await);
    events.expect_all(["1 Connected", "1 Disconnected…", "1 BackoffScheduled: retry 1…"]).await;
    assert_eq!(supervisor.send(CountConnections).await.unwrap().backing_off, 1);
    connection.send(Disconnect::normally()).await.unwrap();
    events.expect_all(["1 Stopped…"]).await;
    assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Disconnected);
}

#[actix::test]
async fn the_backoff_starts_again_once_the_session_is_ready() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let spec = spec.stable_after(StableAfter::Ready).backoff(quick().spread(ms(1)).unwrap());
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for attempt in 1..=2 {
        drop(server.open().await);
        events.until(format!("{attempt} BackoffScheduled: retry {attempt}…").as_str()).await;
    }
    let peer = server.open().await;
    events.expect_all(["3 Connected"]).await;
    connection.send(MarkReady).await.unwrap();
    assert!(connection.send(GetStatus).await.unwrap().stable);
    drop(peer);
    events.expect_all(["3 Disconnected…", "3 BackoffScheduled: next attempt…"]).await;
}

#[actix::test]
async fn a_connection_without_a_server_costs_no_one_else_and_connects_when_there_is_one() {
    let mut server = listen();
    server.stop();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    supervisor
        .send(StartConnection(spec))
        .await
        .unwrap()
        .expect("a dead server is no failed start");
    events.expect_all(["1 ConnectionError…", "1 BackoffScheduled: retry 1…"]).await;
    server.start().await.unwrap();
    let _peer = server.open().await;
    events.until(connected()).await;
}

/// Connections on threads of their own, told to subscribers on this one.
#[actix::test]
async fn connections_may_run_on_many_arbiters() {
    let server = Server::on_loopback().await.unwrap();
    let supervisor = Supervisor::builder().policy(loopback_policy()).arbiters(3).start().unwrap();
    let mut peers = Vec::new();
    for id in ["a", "b", "c", "d"] {
        let (spec, mut events) = recorded(ConnectionSpec::string(id, server.url()));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect_all(["1 Connected"]).await;
        connection.send(SendString::new(id)).await.unwrap().unwrap();
        assert_eq!(peer.read().await.payload, id.as_bytes());
        peer.text(id).await;
        events.expect_all([format!("1 text {id}").as_str()]).await;
        peers.push(peer);
    }
}

/// A subscriber that takes nothing holds its connection back, and TCP holds the server back;
/// nothing is lost, and nothing piles up.
#[actix::test]
async fn a_slow_subscriber_slows_its_server() {
    struct Stuck {
        held: Vec<Received>,
        seen: tokio::sync::watch::Sender<usize>,
        holding: bool,
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct LetGo;
    impl Actor for Stuck {
        type Context = Context<Self>;
    }
    impl Handler<Received> for Stuck {
        type Result = ();
        fn handle(&mut self, message: Received, _: &mut Context<Self>) {
            self.seen.send_modify(|seen| *seen += 1);
            if self.holding {
                self.held.push(message);
            }
        }
    }
    impl Handler<LetGo> for Stuck {
        type Result = ();
        fn handle(&mut self, _: LetGo, _: &mut Context<Self>) {
            self.holding = false;
            self.held.clear();
        }
    }

    const MESSAGES: usize = 2_000;
    let server = listen();
    let supervisor = supervisor();
    let (seen, mut watched) = tokio::sync::watch::channel(0);
    let stuck = Stuck { held: Vec::new(), seen, holding: true }.start();
    let spec =
        ConnectionSpec::string("a", server.url()).subscribe(stuck.clone().recipient::<Received>());
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.open().await;

    let payload = vec![b'x'; 10_000];
    let flood = actix_rt::spawn(async move {
        for _ in 0..MESSAGES {
            peer.write(frame(0x82, &payload)).await;
        }
        peer
    });
    // 4 MiB are in flight at most, and one read more: about 430 of the 2,000 messages.
    soon("the bound", watched.wait_for(|seen| *seen >= 410)).await.unwrap();
    let received = connection.send(GetStatus).await.unwrap().received;
    assert!(received <= 440, "{received} messages were read for a subscriber that holds them all");
    stuck.send(LetGo).await.unwrap();
    soon("the rest", watched.wait_for(|seen| *seen == MESSAGES)).await.unwrap();
    soon("the server", flood).await.unwrap();
}
