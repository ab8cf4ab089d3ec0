//! What is changed in the middle of a rotation: the spec, the policy, the heartbeat.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use wsvisor::{
    AccessPolicy, Connect, Connection, ConnectionSpec, Endpoints, ExitReason, Heartbeat,
    LifecycleEvent, Liveness, MarkReady, ProviderRequest, Readiness, SetHeartbeat, SetPolicy,
    UpdateSpec,
    testing::{ClientFrame, Peer, Recorder, connected, disconnected, lifecycle, virtual_time},
};

use super::{Stage, TOOK_OVER, agree_to_close, read_texts, rotating, settle};
use crate::support::{alone, listen, ms, network};

#[test]
fn another_spec_is_used_by_what_is_dialled_after_it() {
    virtual_time(1, async {
        let settings = || rotating().readiness(Readiness::on_mark());
        let mut stage = Stage::supervised(settings(), |spec| spec).await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect("1 Ready").await;
        stage.rotate().await.unwrap();
        let new = stage.server.open().await;
        let elsewhere = listen();
        let spec = ConnectionSpec::string("a", elsewhere.url()).settings(settings());
        stage.supervisor.as_ref().unwrap().send(UpdateSpec(spec)).await.unwrap().unwrap();
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect_all([TOOK_OVER, "2 Connected", "2 Ready"]).await;
        agree_to_close(stage.old, 1000).await;
        // The successor was of the spec before; the next one is not.
        settle().await;
        stage.old = new;
        assert_eq!(stage.connection.send(wsvisor::Rotate).await.unwrap().unwrap().epoch.get(), 3);
        let _next = elsewhere.open().await;
        settle().await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect("2 Disconnected 1000 unclean: the next session took over").await;
        stage.events.expect_all(["3 Connected", "3 Ready"]).await;
        agree_to_close(stage.old, 1000).await;
    });
}

/// A connection whose sessions lead to one server after the other, and both ends of two of them.
async fn on_two_hosts(
    takes_over: bool,
) -> (actix::Addr<Connection>, Recorder, [Peer; 2], [String; 2]) {
    let servers = [listen(), listen()];
    let urls = [servers[0].url(), servers[1].url()];
    let next = Mutex::new(VecDeque::from([urls[0].clone(), urls[1].clone()]));
    let endpoints = Endpoints::provided_by(move |_: ProviderRequest| {
        let url = next.lock().unwrap().pop_front();
        async move { url.ok_or_else(|| wsvisor::ProviderError::retry("no more of them")) }
    });
    let settings = rotating().readiness(Readiness::on_mark());
    let (connection, mut events) = alone(Connection::string("a").settings(settings));
    connection.send(Connect::to(endpoints)).await.unwrap().unwrap();
    let one = servers[0].open().await;
    events.expect(connected().epoch(1)).await;
    connection.send(MarkReady).await.unwrap();
    events.expect("1 Ready").await;
    connection.send(wsvisor::Rotate).await.unwrap().unwrap();
    let two = servers[1].open().await;
    settle().await;
    if takes_over {
        connection.send(MarkReady).await.unwrap();
        events.expect_all([TOOK_OVER, "2 Connected", "2 Ready"]).await;
    }
    (connection, events, [one, two], urls)
}

fn allows(url: &str) -> AccessPolicy {
    AccessPolicy::from_rules([format!("allow {url}")]).unwrap()
}

#[test]
fn a_policy_that_forbids_the_successor_alone_lets_the_session_be() {
    virtual_time(2, async {
        let (connection, mut events, [mut one, mut two], urls) = on_two_hosts(false).await;
        connection.send(SetPolicy(allows(&urls[0]))).await.unwrap().unwrap();
        let failed = lifecycle("RotationFailed", |event| {
            let LifecycleEvent::RotationFailed { reason, .. } = event else { return false };
            matches!(reason, ExitReason::PolicyDenied(_))
        });
        events.expect(failed.epoch(1)).await;
        two.read_end().await;
        one.text("still here").await;
        events.expect("1 text still here").await;
        assert_eq!((network().live(&urls[0]), network().live(&urls[1])), (1, 0));
    });
}

#[test]
fn a_policy_that_forbids_the_session_that_drains_alone_cuts_it() {
    virtual_time(3, async {
        let (connection, mut events, [mut one, mut two], urls) = on_two_hosts(true).await;
        connection.send(SetPolicy(allows(&urls[1]))).await.unwrap().unwrap();
        while one.try_read().await.is_ok() {}
        assert_eq!((network().live(&urls[0]), network().live(&urls[1])), (0, 1));
        two.text("still here").await;
        events.expect("2 text still here").await;
    });
}

#[test]
fn a_policy_that_forbids_the_session_that_is_up_ends_its_successor_too() {
    virtual_time(4, async {
        let (connection, mut events, [mut one, mut two], urls) = on_two_hosts(false).await;
        connection.send(SetPolicy(allows(&urls[1]))).await.unwrap().unwrap();
        two.read_end().await;
        assert_eq!(one.read_close().await, 1008u16.to_be_bytes());
        one.close(1008).await;
        events.expect(disconnected().epoch(1).code(1008)).await;
        settle().await;
        assert_eq!((network().live(&urls[0]), network().live(&urls[1])), (0, 0));
    });
}

#[test]
fn each_session_has_a_heartbeat_of_its_own() {
    virtual_time(5, async {
        let heartbeat = Heartbeat::when_told().sends("beat");
        let liveness = Liveness::default().without_pings().heartbeat(heartbeat);
        let settings = rotating().liveness(liveness).readiness(Readiness::on_mark());
        let mut stage = Stage::alone(settings).await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect("1 Ready").await;
        assert!(stage.connection.send(SetHeartbeat::every(ms(1_000))).await.unwrap());
        read_texts(&mut stage.old, ["beat", "beat"]).await;
        stage.rotate().await.unwrap();
        let mut new = stage.server.open().await;
        settle().await;
        // As soon as it is open, what is said is of the successor.
        assert!(stage.connection.send(SetHeartbeat::every(ms(700))).await.unwrap());
        read_texts(&mut new, ["beat", "beat"]).await;
        read_texts(&mut stage.old, ["beat"]).await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect_all([TOOK_OVER, "2 Connected", "2 Ready"]).await;
        assert_eq!(stage.old.read_close().await, 1000u16.to_be_bytes(), "and no beat");
        tokio::time::sleep(Duration::from_millis(1)).await;
        read_texts(&mut new, ["beat"]).await;
        assert_eq!(new.read().await, ClientFrame::text("beat"), "it goes on after the hand-over");
    });
}

#[test]
fn another_spec_takes_no_heartbeat_from_two_sessions() {
    virtual_time(6, async {
        let settings = |beat: &'static str| {
            let liveness = Liveness::off().heartbeat(Heartbeat::when_told().sends(beat));
            rotating().liveness(liveness).readiness(Readiness::on_mark())
        };
        let mut stage = Stage::supervised(settings("old"), |spec| spec).await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect("1 Ready").await;
        assert!(stage.connection.send(SetHeartbeat::every(ms(1_000))).await.unwrap());
        stage.rotate().await.unwrap();
        let mut new = stage.server.open().await;
        settle().await;
        let spec = ConnectionSpec::string("a", stage.server.url()).settings(settings("new"));
        stage.supervisor.as_ref().unwrap().send(UpdateSpec(spec)).await.unwrap().unwrap();
        assert!(stage.connection.send(SetHeartbeat::every(ms(700))).await.unwrap());
        read_texts(&mut new, ["old", "old"]).await;
        read_texts(&mut stage.old, ["old"]).await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect_all([TOOK_OVER, "2 Connected", "2 Ready"]).await;
        agree_to_close(stage.old, 1000).await;
        stage.old = new;
        assert!(stage.connection.send(SetHeartbeat::every(ms(500))).await.unwrap());
        read_texts(&mut stage.old, ["old", "old"]).await;

        stage.rotate().await.unwrap();
        let mut newest = stage.server.open().await;
        settle().await;
        assert!(stage.connection.send(SetHeartbeat::every(ms(700))).await.unwrap());
        read_texts(&mut newest, ["new"]).await;
    });
}
