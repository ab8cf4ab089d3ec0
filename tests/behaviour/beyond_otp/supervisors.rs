//! B21 to B27: supervisors, and how they end.

use actix::Addr;
use tokio::time::{Instant, sleep};
use wsvisor::{
    AutoShutdown, CascadeOn, ConnectionSpec, CountConnections, Dynamic, Intensity, InvalidSpec,
    OnExceeded, RestartPolicy, SendString, Settings, Shutdown, StartConnection, StartError,
    StartSupervisor, Strategy, Supervisor, SupervisorBuilder, SupervisorInfo, SupervisorSpec,
    SupervisorState, TerminateConnection, Timeouts, WhichSupervisors,
    testing::{
        Bug, Peer, Script, backoff_scheduled, connected, disconnected, gave_up, virtual_time,
    },
};

use super::{Crashes, NOBODY, builder, exact, secs, start, watched};
use crate::support::{listen, network};

/// Gives up at the first crash.
fn brittle() -> SupervisorBuilder {
    let none = Intensity::new(0, secs(60)).per_supervisor();
    Supervisor::builder().intensity(none.on_exceeded(OnExceeded::ShutdownSupervisor))
}

async fn below(above: &Addr<Supervisor>, spec: SupervisorSpec) -> Addr<Supervisor> {
    above.send(StartSupervisor(spec)).await.unwrap().unwrap()
}

async fn info(above: &Addr<Supervisor>) -> SupervisorInfo {
    above.send(WhichSupervisors).await.unwrap().remove(0)
}

async fn connected_below(supervisor: &Addr<Supervisor>) -> (usize, usize) {
    let counts = supervisor.send(CountConnections).await.unwrap();
    (counts.specs, counts.connected)
}

/// It is closed by us, and answers.
async fn answer_close(mut peer: Peer) {
    peer.read_close().await;
    peer.close(1000).await;
}

#[test]
fn b21_a_transient_supervisor_that_gave_up_is_started_again() {
    virtual_time(1, async {
        for (restart, comes_back) in [
            (RestartPolicy::Permanent, true),
            (RestartPolicy::Transient, true),
            (RestartPolicy::Temporary, false),
        ] {
            let (crashes, server) = (Crashes::default(), listen());
            let (top, mut events) = watched(crashes.builder());
            let spec = SupervisorSpec::new("below", brittle()).restart(restart);
            let supervisor = below(&top, spec.backoff(exact())).await;
            let spec = ConnectionSpec::string("a", server.url()).backoff(exact());
            let connection = start(&supervisor, spec).await;
            crashes.next(1);
            server.open().await.reset();
            events.until(gave_up()).await;
            if comes_back {
                assert_eq!(info(&top).await.state, SupervisorState::Restarting, "{restart:?}");
                let _peer = server.open().await;
                events.until(connected().epoch(3)).await;
                assert!(connection.connected(), "{restart:?}: the same address");
                assert_eq!(info(&top).await.state, SupervisorState::Running);
                assert_eq!(info(&top).await.restarts, 1);
            } else {
                events.expect_none(secs(600)).await;
                assert!(top.send(WhichSupervisors).await.unwrap().is_empty(), "forgotten");
                assert!(!connection.connected());
            }
        }
    });
}

#[test]
fn b22_dynamic_children_outlive_their_supervisor() {
    virtual_time(1, async {
        for retain in [true, false] {
            let (crashes, server) = (Crashes::default(), listen());
            let (top, mut events) = watched(crashes.builder());
            let dynamic = Strategy::Dynamic(Dynamic::default().retain(retain));
            let spec = SupervisorSpec::new("fleet", brittle().strategy(dynamic));
            let fleet = below(&top, spec.backoff(exact())).await;
            let mut peers = Vec::new();
            for number in 0..3 {
                let spec = ConnectionSpec::string(format!("c{number}"), server.url());
                start(&fleet, spec.backoff(exact())).await;
                peers.push(server.open().await);
                events.expect(connected()).await;
            }
            crashes.next(1);
            peers.remove(0).reset();
            events.until(gave_up().of("c0")).await;
            for peer in peers {
                answer_close(peer).await;
            }
            let expected = if retain {
                let _peers = [server.open().await, server.open().await, server.open().await];
                for _ in 0..3 {
                    events.until(connected()).await;
                }
                (3, 3)
            } else {
                events.until("1 Stopped…").await;
                events.until("1 Stopped…").await;
                events.expect_none(secs(600)).await;
                (0, 0)
            };
            assert_eq!(info(&top).await.restarts, 1);
            if retain {
                // They were let go with the peers that a moment ago were there.
                assert_eq!(connected_below(&fleet).await.0, expected.0);
            } else {
                assert_eq!(connected_below(&fleet).await, expected);
            }
        }
    });
}

#[test]
fn b23_a_panic_of_a_supervisors_own_code_costs_one_answer() {
    virtual_time(1, async {
        let server = listen();
        let (top, mut events) = watched(builder());
        let middle = below(&top, SupervisorSpec::new("middle", Supervisor::builder())).await;
        let lowest = below(&middle, SupervisorSpec::new("lowest", Supervisor::builder())).await;
        let mut peers = Vec::new();
        let mut connections = Vec::new();
        for (supervisor, id) in [(&top, "a"), (&middle, "b"), (&lowest, "c")] {
            connections.push(start(supervisor, ConnectionSpec::string(id, server.url())).await);
            peers.push(server.open().await);
            events.expect(connected()).await;
        }
        for supervisor in [&top, &middle, &lowest, &top] {
            assert!(supervisor.send(Bug).await.is_err(), "this one has no answer");
            // It answers again, and knows what it knew.
            assert_eq!(connected_below(supervisor).await, (1, 1));
        }
        assert_eq!(info(&top).await.restarts, 1);
        assert_eq!(info(&middle).await.id.as_str(), "lowest", "nobody below is lost");
        for (connection, peer) in connections.iter().zip(&mut peers) {
            connection.send(SendString::new("what bug?")).await.unwrap().unwrap();
            assert_eq!(peer.read().await.payload, b"what bug?");
        }
        // They are supervised as before.
        peers.remove(0).reset();
        let _again = server.open().await;
        events.until(connected().of("a").epoch(2)).await;
        start(&lowest, ConnectionSpec::string("d", server.url())).await;
        let _d = server.open().await;
        events.until(connected().of("d")).await;

        // A bug that does not go away ends the one at the top, and all below it.
        for _ in 0..4 {
            assert!(top.send(Bug).await.is_err());
        }
        events.until(disconnected().of("b")).await;
        events.until(disconnected().of("c")).await;
        sleep(secs(60)).await;
        for supervisor in [top, middle, lowest] {
            assert!(supervisor.send(CountConnections).await.is_err(), "it has ended");
        }
    });
}

#[test]
fn b24_supervisors_are_members_of_their_group_in_its_order() {
    virtual_time(1, async {
        // first | pair: (x, y) | last, where each depends on those before it.
        let servers = [listen(), listen(), listen(), listen()];
        let ids = ["first", "x", "y", "last"];
        let spec = |index: usize| {
            ConnectionSpec::string(ids[index], servers[index].url()).backoff(exact())
        };
        let group = builder().strategy(Strategy::RestForOne).cascade_on(CascadeOn::SessionLost);
        let (top, mut events) = watched(group);
        start(&top, spec(0)).await;
        let pair = SupervisorSpec::new("pair", Supervisor::builder()).child(spec(1)).child(spec(2));
        below(&top, pair).await;
        start(&top, spec(3)).await;
        let mut peers = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            peers.push(server_peer(&servers[index]).await);
            events.until(connected().of(*id)).await;
        }
        // Last to first: the pair before `first`, and `y` before `x`.
        peers.remove(0).reset();
        events.until(disconnected().of("first")).await;
        events.until(backoff_scheduled().of("first")).await;
        for (peer, id) in peers.into_iter().rev().zip(["last", "y", "x"]) {
            events.expect_none(secs(0)).await;
            answer_close(peer).await;
            events.expect(disconnected().of(id).clean(true)).await;
            events.expect(backoff_scheduled().of(id)).await;
        }
        assert_eq!(info(&top).await.state, SupervisorState::Restarting);
        // First to last.
        let mut peers = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            peers.push(server_peer(&servers[index]).await);
            events.until(connected().of(*id).epoch(2)).await;
        }
        assert_eq!(info(&top).await.restarts, 1);

        // And so it is at the end of all.
        let shutdown = actix_rt::spawn(top.send(Shutdown::gracefully()));
        for (peer, id) in peers.into_iter().rev().zip(["last", "y", "x", "first"]) {
            answer_close(peer).await;
            events.expect(disconnected().of(id).clean(true)).await;
            events.expect("2 Stopped…").await;
        }
        shutdown.await.unwrap().unwrap();
    });
}

async fn server_peer(server: &wsvisor::testing::Server) -> Peer {
    server.open().await
}

#[test]
fn b25_max_children_counts_those_that_back_off() {
    virtual_time(1, async {
        let dynamic = Strategy::Dynamic(Dynamic::default().max_children(2));
        let (supervisor, mut events) = watched(builder().strategy(dynamic));
        for id in ["a", "b"] {
            start(&supervisor, ConnectionSpec::string(id, NOBODY)).await;
        }
        events.until(backoff_scheduled().of("b")).await;
        let c = || supervisor.send(StartConnection(ConnectionSpec::string("c", NOBODY)));
        assert_eq!(c().await.unwrap(), Err(StartError::MaxChildren { max: 2 }));
        let spec = SupervisorSpec::new("d", Supervisor::builder());
        let d = supervisor.send(StartSupervisor(spec)).await.unwrap();
        assert_eq!(d, Err(StartError::MaxChildren { max: 2 }));
        // One that was terminated counts until it is deleted.
        supervisor.send(TerminateConnection("a".into())).await.unwrap().unwrap();
        assert_eq!(c().await.unwrap(), Err(StartError::MaxChildren { max: 2 }));
        supervisor.send(wsvisor::DeleteConnection("a".into())).await.unwrap().unwrap();
        c().await.unwrap().unwrap();
    });
}

#[test]
fn b26_every_stop_is_bounded_and_nothing_is_dialled_after_it_began() {
    virtual_time(1, async {
        // Peers that answer nothing, below two supervisors, and one that backs off.
        let server = listen();
        let url = server.url();
        let _played = server.play((0..9).map(|_| Script::new().accept().vanish()));
        let (top, mut events) = watched(builder());
        let middle = below(&top, SupervisorSpec::new("middle", Supervisor::builder())).await;
        for (supervisor, id) in [(&top, "a"), (&middle, "b"), (&middle, "c")] {
            start(supervisor, ConnectionSpec::string(id, &url)).await;
            events.expect(connected()).await;
        }
        start(&middle, ConnectionSpec::string("d", NOBODY).backoff(exact())).await;
        events.until(backoff_scheduled().of("d")).await;
        let (began, dials) = (Instant::now(), network().dials(NOBODY));
        top.send(Shutdown::within(secs(7))).await.unwrap();
        // The first takes its whole close timeout of 5 s, and what is left of the time is for the rest.
        assert_eq!(began.elapsed(), secs(7));
        assert_eq!(network().live(&url), 0);
        assert_eq!(network().dials(NOBODY), dials);
        assert!(middle.send(CountConnections).await.is_err());

        // No time is endless: a peer may never answer.
        let endless = Timeouts { close: std::time::Duration::MAX, ..Timeouts::default() };
        let (supervisor, _events) = watched(builder());
        let spec = ConnectionSpec::string("a", NOBODY);
        let spec = spec.settings(Settings::default().timeouts(endless));
        let refused = supervisor.send(StartConnection(spec)).await.unwrap().unwrap_err();
        let source = InvalidSpec::EndlessTimeout("timeouts.close");
        assert_eq!(refused, StartError::Spec { id: "a".into(), source });
    });
}

#[test]
fn b27_a_supervisor_ends_with_its_significant_children() {
    virtual_time(1, async {
        // How the significant connection ends, and whether that is an end by itself.
        for (how, ends) in [("1000", true), ("1008", true), ("reset", false), ("terminate", false)]
        {
            let server = listen();
            let (top, mut events) = watched(builder());
            let auto = Supervisor::builder().auto_shutdown(AutoShutdown::AnySignificant);
            let unit = SupervisorSpec::new("unit", auto).restart(RestartPolicy::Transient);
            let unit = below(&top, unit).await;
            let main = ConnectionSpec::string("main", server.url()).backoff(exact());
            let main = main.restart(RestartPolicy::Transient).significant();
            start(&unit, ConnectionSpec::string("helper", server.url())).await;
            let helper = server.open().await;
            start(&unit, main).await;
            let mut peer = server.open().await;
            events.until(connected().of("main")).await;
            match how {
                "reset" => peer.reset(),
                "terminate" => {
                    let terminate = unit.send(TerminateConnection("main".into()));
                    let ((), terminated) = tokio::join!(answer_close(peer), terminate);
                    terminated.unwrap().unwrap();
                }
                code => {
                    peer.close(code.parse().unwrap()).await;
                    drop(peer);
                }
            }
            events.until(disconnected().of("main")).await;
            if ends {
                answer_close(helper).await;
                events.until(disconnected().of("helper")).await;
                events.until("1 Stopped…").await;
                // Its end is normal, and a transient supervisor rests after it.
                assert_eq!(info(&top).await.state, SupervisorState::Stopped, "{how}");
            } else {
                events
                    .until(if how == "reset" { "1 BackoffScheduled…" } else { "1 Stopped…" })
                    .await;
                events.expect_none(secs(1)).await;
                assert_eq!(info(&top).await.state, SupervisorState::Running, "{how}");
                drop(helper);
            }
        }
    });
}
