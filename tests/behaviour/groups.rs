//! Connections that are started again together: OTP's strategies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use wsvisor::{
    Backoff, CascadeOn, Connection, ConnectionSpec, Dialler, Dialling, Disconnect, Intensity,
    Jitter, Liveness, RestartConnection, RestartPolicy, Settings, StartConnection, Strategy,
    Supervisor, SupervisorBuilder, Target, TerminateConnection,
    testing::{Network, Peer, Recorder, Server, connected, virtual_time},
};

use crate::support::{listen, loopback_policy, network};

/// Three connections that were started in this order, each with a server of its own.
struct Group {
    supervisor: Addr<Supervisor>,
    connections: Vec<Addr<Connection>>,
    servers: Vec<Server>,
    peers: Vec<Option<Peer>>,
    events: Recorder,
}

const IDS: [&str; 3] = ["a", "b", "c"];
/// The delay of every backoff.
const DELAY: Duration = Duration::from_secs(3);

impl Group {
    async fn start(strategy: Strategy, cascade_on: CascadeOn) -> Self {
        Self::start_with(strategy, cascade_on, network(), |spec| spec).await
    }

    async fn start_with(
        strategy: Strategy,
        cascade_on: CascadeOn,
        dialler: impl Dialler,
        each: impl Fn(ConnectionSpec) -> ConnectionSpec,
    ) -> Self {
        let builder = Supervisor::builder().dialler(dialler);
        Self::build(builder.strategy(strategy).cascade_on(cascade_on), each).await
    }

    async fn build(
        builder: SupervisorBuilder,
        each: impl Fn(ConnectionSpec) -> ConnectionSpec,
    ) -> Self {
        let events = Recorder::start();
        let builder = builder.policy(loopback_policy()).subscribe(events.lifecycle());
        let supervisor = builder.start().unwrap();
        let mut group =
            Self { supervisor, connections: vec![], servers: vec![], peers: vec![], events };
        for id in IDS {
            let server = listen();
            let backoff = Backoff::between(DELAY, DELAY).unwrap().jitter(Jitter::None);
            // The peers say nothing for as long as it takes.
            let quiet = Settings::default().liveness(Liveness::off());
            let spec = ConnectionSpec::string(id, server.url()).backoff(backoff).settings(quiet);
            let spec = each(spec);
            let started = group.supervisor.send(StartConnection(spec)).await.unwrap();
            group.connections.push(started.unwrap());
            group.peers.push(Some(server.open().await));
            group.servers.push(server);
            group.events.expect(connected().of(id)).await;
        }
        group
    }

    fn lose(&mut self, index: usize) {
        self.peers[index].take().unwrap().reset();
    }

    /// This one is closed, and only when it has answered are others.
    async fn closed(&mut self, index: usize) {
        let mut peer = self.peers[index].take().unwrap();
        assert_eq!(peer.read_close().await, 1000_u16.to_be_bytes(), "{}", IDS[index]);
        peer.close(1000).await;
        drop(peer);
        self.events.expect(wsvisor::testing::disconnected().of(IDS[index]).clean(true)).await;
        self.events.expect(wsvisor::testing::backoff_scheduled().of(IDS[index])).await;
    }

    async fn opened(&mut self, index: usize) {
        self.peers[index] = Some(self.servers[index].open().await);
        self.events.expect(connected().of(IDS[index])).await;
    }

    async fn failed(&mut self, index: usize) {
        self.events.expect(wsvisor::testing::disconnected().of(IDS[index]).clean(false)).await;
        self.events.expect(wsvisor::testing::backoff_scheduled().of(IDS[index])).await;
    }
}

#[test]
fn one_for_one_touches_nobody_else() {
    virtual_time(1, async {
        let mut group = Group::start(Strategy::OneForOne, CascadeOn::SessionLost).await;
        group.lose(1);
        group.failed(1).await;
        group.opened(1).await;
        group.events.expect_none(Duration::from_mins(1)).await;
    });
}

#[test]
fn one_for_all_stops_last_to_first_and_starts_first_to_last() {
    virtual_time(1, async {
        let mut group = Group::start(Strategy::OneForAll, CascadeOn::SessionLost).await;
        let began = tokio::time::Instant::now();
        group.lose(1);
        group.failed(1).await;
        group.closed(2).await;
        group.closed(0).await;
        for index in 0..3 {
            group.opened(index).await;
        }
        // One backoff for all of them.
        assert_eq!(began.elapsed(), DELAY);
        group.events.expect_none(Duration::from_mins(1)).await;
    });
}

#[test]
fn rest_for_one_leaves_the_earlier_ones_alone() {
    virtual_time(1, async {
        let mut group = Group::start(Strategy::RestForOne, CascadeOn::SessionLost).await;
        group.lose(1);
        group.failed(1).await;
        group.closed(2).await;
        group.opened(1).await;
        group.opened(2).await;
        group.lose(2);
        group.failed(2).await;
        group.opened(2).await;
        group.events.expect_none(Duration::from_mins(1)).await;
    });
}

/// A dialler that panics when it is told to.
struct MayPanic(Network, Arc<AtomicBool>);

impl Dialler for MayPanic {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        assert!(!self.1.swap(false, Ordering::Relaxed), "told to panic");
        self.0.dial(target)
    }
}

#[test]
fn by_default_a_group_fails_by_a_crash_and_not_by_a_lost_session() {
    virtual_time(1, async {
        let panics = Arc::new(AtomicBool::new(false));
        let dialler = MayPanic(network(), Arc::clone(&panics));
        let each = |spec| spec;
        let mut group =
            Group::start_with(Strategy::OneForAll, CascadeOn::Exit, dialler, each).await;
        group.lose(1);
        group.failed(1).await;
        panics.store(true, Ordering::Relaxed);
        // Its next attempt crashes.
        group
            .events
            .expect("2 ConnectionError: the session or its attempt panicked: told to panic")
            .await;
        group.events.expect("2 BackoffScheduled: retry 2 in 3s").await;
        group.closed(2).await;
        group.closed(0).await;
        for index in 0..3 {
            group.opened(index).await;
        }
    });
}

#[test]
fn two_failures_are_one() {
    virtual_time(1, async {
        let mut group = Group::start(Strategy::RestForOne, CascadeOn::SessionLost).await;
        group.lose(2);
        group.failed(2).await;
        // While the last one waits, the first one fails.
        group.events.expect_none(DELAY / 2).await;
        group.lose(0);
        group.failed(0).await;
        let began = tokio::time::Instant::now();
        group.closed(1).await;
        for index in 0..3 {
            group.opened(index).await;
        }
        assert_eq!(began.elapsed(), DELAY);
        group.events.expect_none(Duration::from_mins(1)).await;
    });
}

/// As in OTP: what was terminated is started with its group, what is temporary is not.
#[test]
fn a_group_starts_what_was_terminated_and_forgets_what_is_temporary() {
    virtual_time(1, async {
        let each = |spec: ConnectionSpec| {
            let is_last = spec.id().as_str() == "c";
            spec.restart(if is_last { RestartPolicy::Temporary } else { RestartPolicy::Permanent })
        };
        let (strategy, on) = (Strategy::OneForAll, CascadeOn::SessionLost);
        let mut group = Group::start_with(strategy, on, network(), each).await;
        let terminated = group.supervisor.send(TerminateConnection("a".into()));
        let mut peer = group.peers[0].take().unwrap();
        let terminated = actix_rt::spawn(terminated);
        peer.read_close().await;
        drop(peer);
        terminated.await.unwrap().unwrap().unwrap();
        group.events.expect(wsvisor::testing::disconnected().of("a")).await;
        group.events.expect("1 Stopped…").await;

        group.lose(1);
        group.failed(1).await;
        let mut peer = group.peers[2].take().unwrap();
        peer.read_close().await;
        peer.close(1000).await;
        drop(peer);
        group.events.expect(wsvisor::testing::disconnected().of("c")).await;
        group.events.expect("1 Stopped…").await;
        group.opened(0).await;
        group.opened(1).await;
        assert!(!group.connections[2].connected(), "a temporary connection is forgotten");
    });
}

#[test]
fn a_person_may_stop_one_that_waits_for_its_group() {
    virtual_time(1, async {
        let mut group = Group::start(Strategy::OneForAll, CascadeOn::SessionLost).await;
        group.lose(1);
        group.failed(1).await;
        group.closed(2).await;
        group.closed(0).await;
        group.supervisor.send(TerminateConnection("c".into())).await.unwrap().unwrap();
        group.events.expect("1 Stopped…").await;
        group.connections[0].send(Disconnect::normally()).await.unwrap();
        group.events.expect("1 Stopped…").await;
        // As in OTP, that cancels their restarts. The one that failed starts.
        group.opened(1).await;
        group.events.expect_none(Duration::from_mins(1)).await;
    });
}

/// The second of three fails, the last takes its time to close, and the first is terminated before its turn to be
/// held, which would come after that. What the last is closed by.
async fn terminate_before_its_turn(group: &mut Group) -> Peer {
    group.lose(1);
    group.failed(1).await;
    let mut last = group.peers[2].take().unwrap();
    assert_eq!(last.read_close().await, 1000_u16.to_be_bytes());
    let mut first = group.peers[0].take().unwrap();
    let terminated = group.supervisor.send(TerminateConnection("a".into()));
    let terminated = actix_rt::spawn(terminated);
    assert_eq!(first.read_close().await, 1001_u16.to_be_bytes());
    first.close(1001).await;
    drop(first);
    terminated.await.unwrap().unwrap().unwrap();
    group.events.expect(wsvisor::testing::disconnected().of("a")).await;
    group.events.expect("1 Stopped…").await;
    last
}

/// The last closes, and the group starts again, the first neither with it nor held.
async fn the_others_start_again(group: &mut Group, mut last: Peer) {
    last.close(1000).await;
    drop(last);
    group.events.expect(wsvisor::testing::disconnected().of("c").clean(true)).await;
    group.events.expect(wsvisor::testing::backoff_scheduled().of("c")).await;
    group.opened(1).await;
    group.opened(2).await;
    group.events.expect_none(Duration::from_mins(1)).await;
}

#[test]
fn one_that_is_restarted_before_its_turn_to_be_held_stays_up() {
    virtual_time(1, async {
        let mut group = Group::start(Strategy::OneForAll, CascadeOn::SessionLost).await;
        let last = terminate_before_its_turn(&mut group).await;
        group.supervisor.send(RestartConnection("a".into())).await.unwrap().unwrap();
        group.opened(0).await;
        the_others_start_again(&mut group, last).await;
    });
}

#[test]
fn one_that_is_stopped_before_its_turn_to_be_held_stays_stopped() {
    virtual_time(1, async {
        let mut group = Group::start(Strategy::OneForAll, CascadeOn::SessionLost).await;
        let last = terminate_before_its_turn(&mut group).await;
        the_others_start_again(&mut group, last).await;
    });
}

/// OTP: one count for each failure, however many are started again with it.
#[test]
fn a_failure_of_a_group_counts_once() {
    virtual_time(1, async {
        let (strategy, on) = (Strategy::OneForAll, CascadeOn::SessionLost);
        let two = Intensity::new(2, Duration::from_hours(1)).all_restarts().per_supervisor();
        let builder = Supervisor::builder().dialler(network()).intensity(two);
        let mut group = Group::build(builder.strategy(strategy).cascade_on(on), |spec| spec).await;
        for _ in 0..2 {
            group.lose(1);
            group.failed(1).await;
            group.closed(2).await;
            group.closed(0).await;
            for index in 0..3 {
                group.opened(index).await;
            }
        }
        // The third is one too many.
        group.lose(1);
        group.events.expect(wsvisor::testing::disconnected().of("b")).await;
        group.events.expect(wsvisor::testing::gave_up().of("b")).await;
        group.events.expect_none(Duration::from_mins(10)).await;
    });
}
