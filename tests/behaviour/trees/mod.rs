//! Supervisors below a supervisor: failure goes up, and connections outlive their supervisor.

mod operations;
mod panics;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use wsvisor::{
    AutoShutdown, Backoff, CascadeOn, ChildError, Connection, ConnectionSpec, CountConnections,
    DeleteSupervisor, Dialler, Dialling, Dynamic, ExplainSupervisor, GetStatus, Intensity,
    OnExceeded, RestartSupervisor, RetryBudget, SendString, Shutdown, StartConnection, StartError,
    StartSupervisor, State, Strategy, Supervisor, SupervisorBuilder, SupervisorSpec,
    SupervisorState, Target, TerminateSupervisor, WhichSupervisors,
    testing::{
        Bug, Network, Peer, Recorder, Server, backoff_scheduled, connected, disconnected, gave_up,
        virtual_time,
    },
};

use crate::support::{listen, loopback_policy, network, quick};

/// A supervisor above, whose subscriber hears of all connections below.
fn top(builder: SupervisorBuilder) -> (Addr<Supervisor>, Recorder) {
    let events = Recorder::start();
    let builder = builder.policy(loopback_policy()).subscribe(events.lifecycle());
    (builder.start().unwrap(), events)
}

async fn branch(top: &Addr<Supervisor>, id: &str, builder: SupervisorBuilder) -> Addr<Supervisor> {
    top.send(StartSupervisor(SupervisorSpec::new(id, builder))).await.unwrap().unwrap()
}

async fn connect(
    supervisor: &Addr<Supervisor>,
    id: &str,
    server: &Server,
) -> (Addr<Connection>, Peer) {
    let spec = ConnectionSpec::string(id, server.url()).backoff(quick());
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    (connection, server.open().await)
}

async fn latest(top: &Addr<Supervisor>) -> (Addr<Supervisor>, u64) {
    let infos = top.send(WhichSupervisors).await.unwrap();
    (infos[0].address.clone(), infos[0].restarts)
}

/// Panics in so many dials, when it is told to.
struct Crashes(Network, Arc<AtomicUsize>);

impl Dialler for Crashes {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        let left = self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        assert!(left.is_err(), "told to panic");
        self.0.dial(target)
    }
}

/// Gives up at the first crash.
fn brittle() -> SupervisorBuilder {
    let none = Intensity::new(0, Duration::from_mins(1));
    let none = none.per_supervisor().on_exceeded(OnExceeded::ShutdownSupervisor);
    Supervisor::builder().intensity(none)
}

#[test]
fn a_supervisor_below_has_what_the_one_above_has_and_ends_with_it() {
    virtual_time(1, async {
        let server = listen();
        let (top, mut events) = top(Supervisor::builder().dialler(network()));
        let below = branch(&top, "below", Supervisor::builder()).await;
        let deeper = branch(&below, "deeper", Supervisor::builder()).await;
        let (_connection, mut peer) = connect(&deeper, "a", &server).await;
        events.expect(connected().of("a")).await;

        let again = top.send(StartSupervisor(SupervisorSpec::new("below", Supervisor::builder())));
        let again = again.await.unwrap();
        assert!(matches!(again, Err(StartError::AlreadyStarted(_))), "{again:?}");

        let shutdown = actix_rt::spawn(top.send(Shutdown::gracefully()));
        assert_eq!(peer.read_close().await, 1001_u16.to_be_bytes());
        peer.close(1001).await;
        drop(peer);
        shutdown.await.unwrap().unwrap();
        events.expect(disconnected().of("a").clean(true)).await;
        assert!(below.send(CountConnections).await.is_err());
        assert!(deeper.send(CountConnections).await.is_err());
    });
}

#[test]
fn one_may_be_terminated_and_the_others_do_not_notice() {
    virtual_time(1, async {
        let server = listen();
        let (top, mut events) = top(Supervisor::builder().dialler(network()));
        let one = branch(&top, "one", Supervisor::builder()).await;
        let two = branch(&top, "two", Supervisor::builder()).await;
        let (_a, peer_a) = connect(&one, "a", &server).await;
        let (b, mut peer_b) = connect(&two, "b", &server).await;
        drop(peer_a);
        events.until(disconnected().of("a")).await;
        top.send(TerminateSupervisor("one".into())).await.unwrap().unwrap();
        let refused = one.send(StartConnection(ConnectionSpec::string("c", server.url())));
        assert_eq!(refused.await.unwrap(), Err(StartError::NotRunning("one".into())));
        top.send(DeleteSupervisor("one".into())).await.unwrap().unwrap();
        let unknown = top.send(TerminateSupervisor("one".into())).await.unwrap();
        assert_eq!(unknown.unwrap_err().to_string(), "one is not known");
        b.send(SendString::new("still here")).await.unwrap().unwrap();
        assert_eq!(peer_b.read().await.payload, b"still here");
        assert_eq!(top.send(WhichSupervisors).await.unwrap().len(), 1);
    });
}

#[test]
fn one_that_gives_up_is_started_again_with_all_its_connections() {
    virtual_time(1, async {
        let server = listen();
        let crashes = Arc::new(AtomicUsize::new(0));
        let dialler = Crashes(network(), Arc::clone(&crashes));
        let (top, mut events) = top(Supervisor::builder().dialler(dialler));
        let below = branch(&top, "below", brittle()).await;
        let elsewhere = branch(&top, "elsewhere", Supervisor::builder()).await;
        let (healthy, mut healthy_peer) = connect(&below, "healthy", &server).await;
        let (bad, bad_peer) = connect(&below, "bad", &server).await;
        let (_other, mut other_peer) = connect(&elsewhere, "other", &server).await;
        for id in ["healthy", "bad", "other"] {
            events.expect(connected().of(id)).await;
        }

        crashes.store(1, Ordering::Relaxed);
        bad_peer.reset();
        events.until(gave_up().of("bad")).await;
        // The supervisor gives up, and its other connections are stopped with it …
        healthy_peer.read_close().await;
        healthy_peer.close(1000).await;
        drop(healthy_peer);
        events.until(disconnected().of("healthy").clean(true)).await;
        // … and started again with it. Their addresses are the same.
        let _peers = [server.open().await, server.open().await];
        events.until(connected()).await;
        events.until(connected()).await;
        for connection in [&healthy, &bad] {
            assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Connected);
        }
        let (next, restarts) = latest(&top).await;
        assert_eq!(restarts, 1);
        assert_eq!(next.send(CountConnections).await.unwrap().connected, 2);
        assert_eq!(below.send(CountConnections).await.unwrap().connected, 2, "the same address");
        other_peer.ping("still there?").await;
        assert_eq!(other_peer.read().await.payload, b"still there?");
    });
}

/// OTP: the product of the intensities bounds what a tree bears.
#[test]
fn failure_goes_up_the_tree() {
    virtual_time(1, async {
        let server = listen();
        let crashes = Arc::new(AtomicUsize::new(0));
        let dialler = Crashes(network(), Arc::clone(&crashes));
        let one = Intensity::new(1, Duration::from_hours(1))
            .per_supervisor()
            .on_exceeded(OnExceeded::ShutdownSupervisor);
        let (top, mut events) = top(Supervisor::builder().dialler(dialler).intensity(one));
        let below = branch(&top, "below", brittle()).await;
        let (connection, peer) = connect(&below, "bad", &server).await;
        events.expect(connected()).await;

        crashes.store(2, Ordering::Relaxed);
        peer.reset();
        events.until(gave_up()).await;
        // Once is borne, and twice is not.
        events.until(gave_up()).await;
        events.expect_none(Duration::from_mins(10)).await;
        assert!(top.send(CountConnections).await.is_err(), "the top has ended");
        assert!(!connection.connected());
        assert_eq!(network().live(&server.url()), 0);
    });
}

/// The operations of OTP on a supervisor, in each of its states.
#[test]
fn a_supervisor_is_terminated_restarted_and_deleted_as_a_connection_is() {
    virtual_time(1, async {
        let server = listen();
        let (top, mut events) = top(Supervisor::builder().dialler(network()));
        let terminate = async || top.send(TerminateSupervisor("below".into())).await.unwrap();
        let restart = async || top.send(RestartSupervisor("below".into())).await.unwrap();
        let delete = async || top.send(DeleteSupervisor("below".into())).await.unwrap();
        let start = async || {
            let spec = SupervisorSpec::new("below", Supervisor::builder())
                .child(ConnectionSpec::string("a", server.url()));
            top.send(StartSupervisor(spec)).await.unwrap()
        };
        let not_found = Err(ChildError::NotFound("below".into()));
        assert_eq!(terminate().await, not_found);
        assert_eq!(restart().await, not_found);
        assert_eq!(delete().await, not_found);

        let below = start().await.unwrap();
        let peer = server.open().await;
        events.expect(connected()).await;
        assert_eq!(start().await, Err(StartError::AlreadyStarted("below".into())));
        assert_eq!(restart().await, Err(ChildError::Running("below".into())));
        assert_eq!(delete().await, Err(ChildError::Running("below".into())));

        drop(peer);
        events.until(backoff_scheduled()).await;
        assert_eq!(terminate().await, Ok(()));
        events.until("1 Stopped…").await;
        assert_eq!(terminate().await, Ok(()), "terminating the terminated is fine");
        assert_eq!(start().await, Err(StartError::AlreadyPresent("below".into())));
        events.expect_none(Duration::from_hours(1)).await;
        assert_eq!(top.send(CountConnections).await.unwrap().supervisors, 1);

        assert_eq!(restart().await, Ok(()));
        let peer = server.open().await;
        events.expect(connected().epoch(2)).await;
        assert_eq!(below.send(CountConnections).await.unwrap().connected, 1, "the same address");
        assert_eq!(top.send(WhichSupervisors).await.unwrap()[0].state, SupervisorState::Running);
        drop(peer);
        assert_eq!(terminate().await, Ok(()));
        assert_eq!(delete().await, Ok(()));
        assert_eq!(delete().await, not_found);
        assert!(top.send(WhichSupervisors).await.unwrap().is_empty());
    });
}

#[test]
fn one_that_waits_to_be_started_again_explains_itself() {
    virtual_time(1, async {
        let (crashes, server) = (Arc::new(AtomicUsize::new(1)), listen());
        let dialler = Crashes(network(), Arc::clone(&crashes));
        let (top, mut events) = top(Supervisor::builder().dialler(dialler));
        let explain =
            async |id: &str| top.send(ExplainSupervisor(id.into())).await.unwrap().unwrap();
        let minute = Duration::from_mins(1);
        let spec = SupervisorSpec::new("feeds", brittle())
            .backoff(Backoff::between(minute, minute).unwrap())
            .retry_budget(RetryBudget::attempts(9))
            .child(ConnectionSpec::string("a", format!("{}?key=secret", server.url())));
        top.send(StartSupervisor(spec)).await.unwrap().unwrap();
        events.until(gave_up()).await;
        while explain("feeds").await.state != SupervisorState::Restarting {
            tokio::task::yield_now().await;
        }
        let text = explain("feeds").await.to_string();
        let expected = [
            "supervisor feeds is restarting, started again 0 times",
            "  connections: 1, ",
            "  last end: ",
            "told to panic",
            "  which means: a fault in this process (Crash)",
            "  attempts in a row that failed: 1, 8 left",
            "  crashes within 60s: 4 of 5 left",
            "  next: it starts in 60.0s",
        ];
        for part in expected {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert!(!text.contains("secret"), "{text}");

        let _peer = server.open().await;
        events.until(connected()).await;
        let explanation = explain("feeds").await;
        assert_eq!((explanation.state, explanation.restarts), (SupervisorState::Running, 1));
        let text = explanation.to_string();
        assert!(text.contains("  connections: 1, 1 connected; supervisors: 0"), "{text}");
        assert!(text.ends_with("next: it stays up"), "{text}");
        let unknown = top.send(ExplainSupervisor("x".into())).await.unwrap().unwrap_err();
        assert_eq!(unknown, ChildError::NotFound("x".into()));
    });
}

#[test]
fn a_tree_that_cannot_be_is_refused_by_name_and_nothing_of_it_is_started() {
    virtual_time(1, async {
        let server = listen();
        let (top, _events) = top(Supervisor::builder().dialler(network()));
        let refusal = async |spec: SupervisorSpec| {
            top.send(StartSupervisor(spec)).await.unwrap().unwrap_err().to_string()
        };
        let connection = |id: &str| ConnectionSpec::string(id, server.url());
        let tree = |builder: SupervisorBuilder| SupervisorSpec::new("tree", builder);
        let plain = || tree(Supervisor::builder());
        let dynamic = |dynamic| Supervisor::builder().strategy(Strategy::Dynamic(dynamic));

        let twice = plain().child(connection("a")).child(connection("a"));
        let auto = tree(dynamic(Dynamic::default()).auto_shutdown(AutoShutdown::AnySignificant));
        let full = tree(dynamic(Dynamic::default().max_children(1)));
        let full = full.child(connection("a")).child(connection("b"));
        let no_time = tree(Supervisor::builder().intensity(Intensity::new(1, Duration::ZERO)));
        let deep = plain().child(
            SupervisorSpec::new("deep", Supervisor::builder())
                .child(ConnectionSpec::string("blocked", "ws://blocked.test")),
        );
        for (spec, expected) in [
            (twice, "the spec of tree is wrong: children: two have the id a"),
            (
                auto,
                "the spec of tree is wrong: strategy: a dynamic supervisor has no auto_shutdown",
            ),
            (
                full,
                "the spec of tree is wrong: strategy: there are more children than max_children",
            ),
            (no_time, "the spec of tree is wrong: intensity.period is zero"),
            (plain().significant(), "the spec of tree is wrong: significant: a permanent child"),
            (
                deep,
                "the children of supervisor tree cannot start: the children of supervisor deep \
                 cannot start: connection blocked cannot start: the URL is blocked",
            ),
        ] {
            let refused = refusal(spec).await;
            assert!(refused.starts_with(expected), "{refused}");
        }
        assert!(top.send(WhichSupervisors).await.unwrap().is_empty());
        assert_eq!(network().dials(&server.url()), 0);
    });
}
