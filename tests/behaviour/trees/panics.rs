//! A supervisor whose own code panics: what is below it does not notice, or starts again with it.

use super::*;

#[test]
fn sessions_run_on_when_their_supervisor_panics() {
    virtual_time(1, async {
        let server = listen();
        let (top, mut events) = top(Supervisor::builder().dialler(network()));
        let below = branch(&top, "below", Supervisor::builder()).await;
        let (connection, mut peer) = connect(&below, "a", &server).await;
        events.expect(connected().of("a")).await;

        assert!(below.send(Bug).await.is_err(), "it panics");
        connection.send(SendString::new("what bug?")).await.unwrap().unwrap();
        assert_eq!(peer.read().await.payload, b"what bug?");
        let (next, restarts) = latest(&top).await;
        assert_eq!(restarts, 1);
        let counts = next.send(CountConnections).await.unwrap();
        assert_eq!((counts.specs, counts.connected), (1, 1));

        // It is supervised as before.
        peer.reset();
        let _peer = server.open().await;
        events.until(connected().of("a").epoch(2)).await;
        assert_eq!(next.send(CountConnections).await.unwrap().connected, 1);
    });
}

/// Who waits for its group waits for a supervisor that may be another by then.
#[test]
fn a_group_that_waits_is_started_by_the_next_supervisor() {
    virtual_time(1, async {
        let (first, second) = (listen(), listen());
        let (top, mut events) = top(Supervisor::builder().dialler(network()));
        let group =
            Supervisor::builder().strategy(Strategy::OneForAll).cascade_on(CascadeOn::SessionLost);
        let below = branch(&top, "below", group).await;
        let (_a, mut peer_a) = connect(&below, "a", &first).await;
        let spec = ConnectionSpec::string("b", second.url());
        below.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut peer_b = second.open().await;
        // Service restart: the group waits for at least five seconds.
        let began = tokio::time::Instant::now();
        peer_b.close(1012).await;
        drop(peer_b);
        peer_a.read_close().await;
        peer_a.close(1000).await;
        drop(peer_a);
        events.until(disconnected().of("a")).await;
        assert!(below.send(Bug).await.is_err(), "it panics while its group waits");
        let _peers = [first.open().await, second.open().await];
        assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
        events.until(connected().of("a").epoch(2)).await;
        events.until(connected().of("b").epoch(2)).await;
    });
}

/// What it stopped before starts again with it, whatever happened to its own code meanwhile.
#[test]
fn one_that_panics_while_it_waits_to_be_started_again_starts_its_children_then() {
    virtual_time(1, async {
        let (crashes, server) = (Arc::new(AtomicUsize::new(0)), listen());
        let dialler = Crashes(network(), Arc::clone(&crashes));
        let (top, mut events) = top(Supervisor::builder().dialler(dialler));
        let minute = Duration::from_mins(1);
        let spec = SupervisorSpec::new("below", brittle())
            .backoff(Backoff::between(minute, minute).unwrap());
        let below = top.send(StartSupervisor(spec)).await.unwrap().unwrap();
        let (_held, mut peer) = connect(&below, "held", &server).await;
        crashes.store(1, Ordering::Relaxed);
        let spec = ConnectionSpec::string("bad", server.url());
        below.send(StartConnection(spec)).await.unwrap().unwrap();
        peer.read_close().await;
        peer.close(1000).await;
        drop(peer);
        events.until(disconnected().of("held")).await;
        while top.send(WhichSupervisors).await.unwrap()[0].state != SupervisorState::Restarting {
            tokio::task::yield_now().await;
        }
        assert!(below.send(Bug).await.is_err(), "it panics while it waits");
        let _peers = [server.open().await, server.open().await];
        events.until(connected().of("held").epoch(2)).await;
        events.until(connected().of("bad").epoch(2)).await;
        assert_eq!(below.send(CountConnections).await.unwrap().connected, 2);
    });
}
