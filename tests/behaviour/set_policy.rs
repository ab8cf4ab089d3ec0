//! The access policy changes while connections live.

use wsvisor::{
    AccessPolicy, AddressBlocked, Connect, ConnectError, Connection, ConnectionSpec, Delivery,
    ExitClass, ExitReason, ExplainConnection, GetStatus, LifecycleEvent, PolicyDenied, PolicySet,
    Reconnect, RestartConnection, SendError, SendString, SetPolicy, SetPolicyError,
    StartConnection, StartError, StartSupervisor, State, Supervisor, SupervisorSpec, Unwritten,
    testing::{
        Bug, Lookup, Recorder, Script, backoff_scheduled, connected, connection_error,
        disconnected, gave_up, lifecycle, virtual_time,
    },
};

use crate::support::{World, alone, listen, loopback_policy, ms, network, recorded, settings};

fn policy(rules: &[&str]) -> AccessPolicy {
    AccessPolicy::from_rules(rules).unwrap()
}

/// Because of the policy, by this `deny` rule.
fn by_rule(rule: &'static str) -> impl Fn(&ExitReason) -> bool {
    move |reason| match reason {
        ExitReason::PolicyDenied(denied) => denied.rule().is_some_and(|it| it.to_string() == rule),
        _ => false,
    }
}

fn set(outcome: Result<PolicySet, SetPolicyError>) -> (usize, usize) {
    let set = outcome.unwrap();
    (set.allowed, set.denied)
}

#[actix::test]
async fn forbidden_sessions_are_closed_and_others_do_not_notice() {
    let supervisor =
        Supervisor::builder().policy(loopback_policy()).dialler(network()).start().unwrap();
    let (kept, lost) = (listen(), listen());
    let (spec, mut kept_events) = recorded(ConnectionSpec::string("kept", kept.url()));
    let kept_connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut kept_peer = kept.open().await;
    let (spec, mut lost_events) = recorded(ConnectionSpec::string("lost", lost.url()));
    let lost_connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut lost_peer = lost.open().await;
    kept_events.expect(connected().epoch(1)).await;
    lost_events.expect(connected().epoch(1)).await;

    let deny = format!("deny {}", lost.url());
    let stricter = policy(&["allow ws://127.0.0.1:*", &deny]);
    let outcome = supervisor.send(SetPolicy(stricter)).await.unwrap();
    assert_eq!(set(outcome), (1, 1));
    // It is closing: nothing more is sent there.
    let sent = lost_connection.send(SendString::new("late")).await.unwrap();
    assert!(matches!(sent, Err(SendError::Refused(_))), "{sent:?}");
    assert_eq!(lost_peer.read_close().await, 1008_u16.to_be_bytes());
    lost_peer.close(1008).await;
    drop(lost_peer);
    let event = lost_events.expect(disconnected().epoch(1).code(1008).clean(true)).await;
    let Some(LifecycleEvent::Disconnected { reason, class, .. }) = event.lifecycle() else {
        panic!("{event}")
    };
    assert_eq!(*class, ExitClass::Fatal);
    assert_eq!(
        reason.to_string(),
        format!("{}/ is blocked by the rule `{deny}`; remove the rule to allow it", lost.url())
    );
    assert_eq!(reason.opaque().to_string(), "the connection failed");
    lost_events.expect(gave_up().epoch(1)).await;

    // The other one goes on in its first epoch.
    let written = kept_connection.send(SendString::new("hello")).await.unwrap();
    assert!(matches!(written, Ok(Delivery::Written)), "{written:?}");
    assert_eq!(kept_peer.read().await.payload, b"hello");
    kept_events.expect_none(ms(20)).await;

    // Restarted or reconnected, it is refused; and so is a new one.
    let refused = lost_connection.send(Reconnect).await.unwrap();
    assert!(matches!(refused, Err(ConnectError::UrlBlocked(_))), "{refused:?}");
    let refused = supervisor.send(RestartConnection("lost".into())).await.unwrap();
    assert!(refused.is_err(), "{refused:?}");
    let spec = ConnectionSpec::string("new", lost.url());
    let refused = supervisor.send(StartConnection(spec)).await.unwrap();
    assert!(matches!(refused, Err(StartError::Connect { .. })), "{refused:?}");
    assert_eq!(network().dials(&lost.url()), 1);

    // And allowed again, it may be restarted.
    let outcome = supervisor.send(SetPolicy(loopback_policy())).await.unwrap();
    assert_eq!(set(outcome), (2, 0));
    supervisor.send(RestartConnection("lost".into())).await.unwrap().unwrap();
    let _peer = lost.open().await;
    lost_events.expect(connected().epoch(2)).await;
}

#[test]
fn what_is_queued_for_a_forbidden_server_is_not_written() {
    virtual_time(1, async {
        let world = World::new(["allow ws://a.example"], &[]);
        world.names.set("a.example", ["8.8.8.8"]);
        let server = world.network.listen("ws://8.8.8.8");
        let (spec, mut events) = recorded(ConnectionSpec::string("a", "ws://a.example"));
        let connection = world.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.expect(connected().epoch(1)).await;
        // More than the network between them holds: the rest waits in the outbox.
        let sends: Vec<_> =
            (0..10).map(|_| connection.send(SendString::new("x".repeat(60_000)))).collect();
        let sends = actix_rt::spawn(async move {
            let mut unwritten = 0;
            for send in sends {
                unwritten += usize::from(matches!(
                    send.await.unwrap(),
                    Err(SendError::NotWritten(Unwritten::SessionEnded(ExitReason::PolicyDenied(
                        _
                    ))))
                ));
            }
            unwritten
        });
        tokio::time::sleep(ms(10)).await;
        let outcome = world.supervisor.send(SetPolicy(AccessPolicy::deny_all())).await.unwrap();
        assert_eq!(set(outcome), (0, 1));
        let unwritten = sends.await.unwrap();
        let mut read = 0;
        while let Ok(frame) = peer.try_read().await
            && frame.opcode == 1
        {
            read += 1;
        }
        assert!(unwritten >= 5, "{unwritten} of 10 were not written");
        assert!(read <= 10 - unwritten, "{read} were written, and {unwritten} said not to be");
    });
}

#[test]
fn who_backs_off_or_dials_gives_up_at_once() {
    virtual_time(1, async {
        let world = World::new(["allow ws://*.example"], &[]);
        world.names.set("down.example", ["8.8.8.8"]);
        world.names.set("silent.example", ["8.8.4.4"]);
        world.names.script("unanswered.example", [Lookup::Silence]);
        world.network.swallow("ws://8.8.4.4");
        let start = async |name: &str| {
            let spec = ConnectionSpec::string(name, format!("ws://{name}.example"));
            let events = Recorder::start();
            let spec = spec.subscribe(events.lifecycle());
            world.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            events
        };
        let mut down = start("down").await;
        down.expect(connection_error().epoch(1)).await;
        down.expect(backoff_scheduled()).await;
        let (mut silent, mut unanswered) = (start("silent").await, start("unanswered").await);
        tokio::time::sleep(ms(1)).await;

        let deny = "deny ws://*.example:*";
        let stricter = policy(&["allow ws://*.example", deny]);
        let outcome = world.supervisor.send(SetPolicy(stricter)).await.unwrap();
        assert_eq!(set(outcome), (0, 3));
        down.expect(gave_up().epoch(1).because(by_rule(deny))).await;
        for events in [&mut silent, &mut unanswered] {
            events.expect(connection_error().epoch(1).because(by_rule(deny))).await;
            events.expect(gave_up().epoch(1).because(by_rule(deny))).await;
        }
        let explained = world.supervisor.send(ExplainConnection("down".into())).await;
        let explained = explained.unwrap().unwrap();
        assert_eq!(explained.status.state, State::Failed);
        // Time brings none of them back.
        tokio::time::sleep(ms(3_600_000)).await;
        assert_eq!(world.network.dials("ws://8.8.8.8"), 1);
        assert_eq!(world.network.dials("ws://8.8.4.4"), 1);
    });
}

#[test]
fn the_addresses_of_live_connections_are_judged_again() {
    virtual_time(1, async {
        let world = World::new(["allow ws://*.example"], &["10.0.0.0/8"]);
        world.names.set("inside.example", ["10.0.0.1"]);
        world.names.set("outside.example", ["8.8.8.8"]);
        let _inside =
            world.serve("ws://10.0.0.1", [Script::new().accept().expect_close().close(1008)]);
        let _outside = world.serve("ws://8.8.8.8", [Script::new().accept().expect_close()]);
        let spec = |name: &str| {
            let events = Recorder::start();
            let spec = ConnectionSpec::string(name, format!("ws://{name}.example"));
            (spec.subscribe(events.lifecycle()), events)
        };
        let (inside, mut inside_events) = spec("inside");
        let (outside, mut outside_events) = spec("outside");
        for spec in [inside, outside] {
            world.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        }
        inside_events.expect(connected()).await;
        outside_events.expect(connected()).await;

        // The grant is gone, and the names are as allowed as before.
        let outcome =
            world.supervisor.send(SetPolicy(policy(&["allow ws://*.example"]))).await.unwrap();
        assert_eq!(set(outcome), (1, 1));
        let because = |reason: &ExitReason| {
            let ExitReason::PolicyDenied(PolicyDenied::Address { blocked, .. }) = reason else {
                return false;
            };
            matches!(blocked, AddressBlocked::NotPublic { .. })
        };
        inside_events.expect(disconnected().because(because)).await;
        inside_events.expect(gave_up()).await;
        outside_events.expect_none(ms(1_000)).await;
    });
}

#[test]
fn a_policy_that_changes_while_an_address_is_connected_to_holds_for_it() {
    virtual_time(1, async {
        let world = World::new(["allow ws://a.example"], &["10.0.0.0/8"]);
        // It answers when the policy has changed.
        world.names.script("a.example", [Lookup::to(["10.0.0.1"]).after(ms(100))]);
        let _server = world.serve("ws://10.0.0.1", [Script::new()]);
        let mut events = world.start("ws://a.example").await;
        tokio::time::sleep(ms(50)).await;
        let outcome =
            world.supervisor.send(SetPolicy(policy(&["allow ws://a.example"]))).await.unwrap();
        assert_eq!(set(outcome), (1, 0));
        events.expect(connection_error().epoch(1)).await;
        events.expect(gave_up().epoch(1)).await;
        assert_eq!(world.network.dials("ws://10.0.0.1"), 0);
    });
}

#[actix::test]
async fn supervisors_below_are_told_and_keep_it_when_they_are_started_again() {
    let top = Supervisor::builder().policy(loopback_policy()).dialler(network()).start().unwrap();
    // It has a policy of its own.
    let below = Supervisor::builder().policy(policy(&["allow ws://127.0.0.1:*"]));
    let below =
        top.send(StartSupervisor(SupervisorSpec::new("below", below))).await.unwrap().unwrap();
    let server = listen();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    below.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.expect(connected().epoch(1)).await;

    let outcome = top.send(SetPolicy(AccessPolicy::deny_all())).await.unwrap();
    assert_eq!(set(outcome), (0, 1));
    assert_eq!(peer.read_close().await, 1008_u16.to_be_bytes());
    peer.close(1008).await;
    drop(peer);
    events.expect(disconnected().epoch(1)).await;
    events.expect(gave_up().epoch(1)).await;

    // The next incarnation of that supervisor does not fall back on what it was built with.
    let _ = below.send(Bug).await;
    let again =
        below.send(StartConnection(ConnectionSpec::string("b", server.url()))).await.unwrap();
    assert!(
        matches!(again, Err(StartError::Connect { source: ConnectError::UrlBlocked(_), .. })),
        "{again:?}"
    );
    assert_eq!(network().dials(&server.url()), 1);
}

#[actix::test]
async fn alone_or_supervised() {
    let server = listen();
    let (connection, mut events) = alone(Connection::string("a").settings(settings()));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.expect(connected().epoch(1)).await;
    assert_eq!(set(connection.send(SetPolicy(loopback_policy())).await.unwrap()), (1, 0));
    let outcome = connection.send(SetPolicy(AccessPolicy::deny_all())).await.unwrap();
    assert_eq!(set(outcome), (0, 1));
    assert_eq!(peer.read_close().await, 1008_u16.to_be_bytes());
    drop(peer);
    let blocked =
        |reason: &ExitReason| matches!(reason, ExitReason::PolicyDenied(PolicyDenied::Url(_)));
    events.expect(disconnected().epoch(1).clean(false).because(blocked)).await;
    assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Failed);
    let refused = connection.send(Reconnect).await.unwrap();
    assert!(matches!(refused, Err(ConnectError::UrlBlocked(_))), "{refused:?}");
    let refused = connection.send(Connect::to(server.url())).await.unwrap();
    assert!(matches!(refused, Err(ConnectError::UrlBlocked(_))), "{refused:?}");

    let supervisor = crate::support::supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("b", server.url()));
    let supervised = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let _peer = server.open().await;
    events.expect(connected().epoch(1)).await;
    // Who holds a supervised connection may not loosen what holds for it.
    let refused = supervised.send(SetPolicy(AccessPolicy::deny_all())).await.unwrap();
    assert_eq!(refused, Err(SetPolicyError::Supervised));
    events.expect_none(ms(20)).await;
}

#[actix::test]
async fn of_several_endpoints_the_forbidden_ones_are_passed_over() {
    let (first, second) = (listen(), listen());
    let supervisor = crate::support::supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", [first.url(), second.url()]));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let peer = first.open().await;
    events.expect(connected().epoch(1)).await;
    peer.reset();
    events.expect(disconnected().epoch(1)).await;
    events.expect(backoff_scheduled()).await;
    let deny = format!("deny {}", first.url());
    let outcome =
        supervisor.send(SetPolicy(policy(&["allow ws://127.0.0.1:*", &deny]))).await.unwrap();
    assert_eq!(set(outcome), (1, 0));
    let _peer = second.open().await;
    events
        .until(lifecycle("Connected", |event| matches!(event, LifecycleEvent::Connected { .. })))
        .await;
    assert_eq!(network().dials(&first.url()), 1);
}
