//! What an operator sees and does: limits, explanations, new specs, pages, deadlines.

use std::time::Duration;

use tokio::time::Instant;
use wsvisor::{
    Backoff, ClassRule, ConnectionSpec, CountConnections, DialGate, Dialler, Dialling, Dynamic,
    ExitClass, ExplainConnection, GetStatus, Intensity, InvalidSpec, OnExceeded, Reconnect,
    RetryBudget, SendString, Shutdown, StartConnection, StartError, State, Strategy, Supervisor,
    Target, UpdateError, UpdateSpec, WhichConnections,
    testing::{
        Recorder, Script, backoff_scheduled, connected, disconnected, gave_up, virtual_time,
    },
};

use crate::support::{listen, loopback_policy, network, recorded, supervisor};

/// A user's dialler with a bug.
struct Panics;

impl Dialler for Panics {
    fn dial<'a>(&'a self, _: Target<'a>) -> Dialling<'a> {
        panic!("the dialler panicked");
    }
}

const URL: &str = "ws://127.0.0.1:9";

fn crashing(intensity: Intensity) -> wsvisor::SupervisorBuilder {
    Supervisor::builder().policy(loopback_policy()).dialler(Panics).intensity(intensity)
}

#[test]
fn who_crashes_too_often_is_put_in_quarantine() {
    virtual_time(1, async {
        let supervisor = crashing(Intensity::new(2, Duration::from_mins(1))).start().unwrap();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", URL));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events
            .until("3 GaveUp: more than 2 restarts within 60s; the last after: the session or its…")
            .await;
        assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Failed);
        events.expect_none(Duration::from_hours(1)).await;
        assert_eq!(supervisor.send(CountConnections).await.unwrap().failed, 1);
    });
}

#[test]
fn too_many_crashes_may_end_the_supervisor() {
    virtual_time(1, async {
        let intensity = Intensity::new(1, Duration::from_mins(1))
            .per_supervisor()
            .on_exceeded(OnExceeded::ShutdownSupervisor);
        let supervisor = crashing(intensity).start().unwrap();
        let healthy = listen();
        let (spec, mut healthy_events) = recorded(ConnectionSpec::string("healthy", healthy.url()));
        let spec = spec.settings(crate::support::settings());
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut peer = healthy.open().await;
        healthy_events.expect(connected()).await;

        let (spec, mut events) = recorded(ConnectionSpec::string("crashes", URL));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events.until(gave_up()).await;
        assert_eq!(peer.read_close().await, 1001_u16.to_be_bytes());
        peer.close(1001).await;
        drop(peer);
        healthy_events.expect(disconnected().clean(true)).await;
        healthy_events.expect("1 Stopped…").await;
        healthy_events.expect_none(Duration::from_secs(10)).await;
        assert!(supervisor.send(CountConnections).await.is_err(), "the supervisor has ended");
    });
}

#[test]
fn a_retry_budget_is_kept() {
    virtual_time(1, async {
        let supervisor = supervisor();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", URL));
        let spec = spec.retry_budget(RetryBudget::attempts(3));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events
            .until("3 GaveUp: gave up after 3 attempts in a row; the last: cannot connect…")
            .await;
        assert_eq!(network().dials(URL), 3);
    });
}

#[test]
fn a_connection_explains_itself() {
    virtual_time(1, async {
        let supervisor = supervisor();
        let (spec, mut events) =
            recorded(ConnectionSpec::string("a", format!("{URL}/?key=secret")));
        let rules = wsvisor::ExitRules::new().close(4000..=4099, ExitClass::Fatal);
        let budget = RetryBudget::attempts(50).elapsed(Duration::from_hours(1));
        let spec = spec.retry_budget(budget).classify(rules);
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        for _ in 0..5 {
            events.until(backoff_scheduled()).await;
        }
        let explain = ExplainConnection("a".into());
        let explanation = supervisor.send(explain).await.unwrap().unwrap();
        assert_eq!(explanation.last_class, Some(ExitClass::RETRY));
        assert_eq!(explanation.budgets.attempts_left, Some(45));
        assert!(explanation.host_is_down);
        let text = explanation.to_string();
        for part in [
            "connection a is backing off, epoch 5",
            "url: ws://127.0.0.1:9/?…, by the rule `allow ws://127.0.0.1:*`",
            "last end: cannot connect: cannot open a stream to ws://127.0.0.1:9: connection refused",
            "which means: it is likely to pass (Retry)",
            "as decided by the default table, row `a failed dial`",
            "attempts in a row that failed: 5, 45 left, 3600s left",
            "crashes within 60s: 5 of 5 left",
            "its host counts as down: one connection probes it, 0 wait",
            "next: an attempt in ",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert!(!text.contains("secret"), "{text}");
        let unknown = supervisor.send(ExplainConnection("b".into())).await.unwrap();
        assert_eq!(unknown.unwrap_err().to_string(), "b is not known");
    });
}

#[test]
fn an_explanation_names_the_rule_and_the_place_before_the_gate() {
    virtual_time(1, async {
        let server = listen();
        let one = DialGate::new(1, 100).unwrap();
        let supervisor = Supervisor::builder()
            .policy(loopback_policy())
            .dialler(network())
            .dial_gate(one)
            .start()
            .unwrap();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
        let rules = wsvisor::ExitRules::new().close(4000..=4099, ExitClass::Fatal);
        supervisor.send(StartConnection(spec.classify(rules))).await.unwrap().unwrap();
        let mut peer = server.open().await;
        peer.close(4042).await;
        drop(peer);
        events.until(gave_up()).await;
        let explain =
            async |id: &str| supervisor.send(ExplainConnection(id.into())).await.unwrap().unwrap();
        let explanation = explain("a").await;
        assert_eq!(explanation.decided_by, Some(ClassRule::Exception("close 4000..=4099".into())));
        let text = explanation.to_string();
        assert!(
            text.contains("as decided by the connection's exit rule `close 4000..=4099`"),
            "{text}"
        );

        // One dials, and a server that says nothing keeps two others waiting.
        for id in ["b", "c", "d"] {
            let spec = ConnectionSpec::string(id, server.url());
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        }
        let _silent = server.accept().await;
        assert_eq!(explain("b").await.at_the_gate, None, "it was let through");
        let text = explain("d").await.to_string();
        let expected = "next: it dials when the dial gate lets it: 1 dials are under way, as many as may \
                        be at once; 1 to its host are before it";
        assert!(text.contains(expected), "{text}");
    });
}

#[test]
fn a_new_spec_holds_from_the_next_attempt_on() {
    virtual_time(1, async {
        let (old, new) = (listen(), listen());
        let supervisor = supervisor();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", old.url()));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut peer = old.open().await;
        events.expect(connected()).await;

        let update = ConnectionSpec::string("a", format!("{}/v2", new.url())).bearer_auth("t");
        supervisor.send(UpdateSpec(update)).await.unwrap().unwrap();
        connection.send(SendString::new("still the old one")).await.unwrap().unwrap();
        assert_eq!(peer.read().await.payload, b"still the old one");
        peer.reset();
        let mut accepted = new.accept().await;
        let request = accepted.shake_hands().await;
        assert_eq!(request.request_line(), "GET /v2 HTTP/1.1");
        assert_eq!(request.header("authorization"), Some("Bearer t"));
        events.until(connected().epoch(2)).await;

        let refused =
            |spec| async { supervisor.send(UpdateSpec(spec)).await.unwrap().unwrap_err() };
        let unknown = refused(ConnectionSpec::string("b", new.url())).await;
        assert!(matches!(unknown, UpdateError::NotFound(_)), "{unknown}");
        let kind = refused(ConnectionSpec::json("a", new.url())).await;
        assert!(matches!(kind, UpdateError::Fixed(_)), "{kind}");
        let blocked = refused(ConnectionSpec::string("a", "ws://example.com")).await;
        assert!(matches!(blocked, UpdateError::Connect { .. }), "{blocked}");
        assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Connected);
    });
}

#[test]
fn connections_are_listed_by_pages_and_states() {
    virtual_time(1, async {
        let server = listen();
        let supervisor = supervisor();
        let mut recorder = Recorder::start();
        for id in ["e", "d", "c", "b", "a"] {
            let url = if id == "c" { URL.to_owned() } else { server.url() };
            let spec = ConnectionSpec::string(id, url).subscribe(recorder.lifecycle());
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        }
        let _peers =
            [server.open().await, server.open().await, server.open().await, server.open().await];
        recorder.until(connected().of("a")).await;
        let ids = async |which: WhichConnections| {
            let infos = supervisor.send(which).await.unwrap();
            infos.iter().map(|info| info.id.as_str().to_owned()).collect::<Vec<_>>()
        };
        let page = || WhichConnections::all().limit(2);
        assert_eq!(ids(page()).await, ["e", "d"]);
        assert_eq!(ids(page().after("d")).await, ["c", "b"]);
        assert_eq!(ids(page().after("b")).await, ["a"]);
        let up = WhichConnections::all().in_state(State::Connected);
        assert_eq!(ids(up).await, ["e", "d", "b", "a"]);
    });
}

#[test]
fn no_more_connections_than_allowed() {
    virtual_time(1, async {
        let supervisor = Supervisor::builder()
            .policy(loopback_policy())
            .dialler(network())
            .strategy(Strategy::Dynamic(Dynamic::default().max_children(1)))
            .start()
            .unwrap();
        let mut recorder = Recorder::start();
        let start = async |id: &str| {
            let spec = ConnectionSpec::string(id, URL).subscribe(recorder.lifecycle());
            supervisor.send(StartConnection(spec)).await.unwrap()
        };
        start("a").await.unwrap();
        let refused = start("b").await.unwrap_err();
        assert_eq!(refused, StartError::MaxChildren { max: 1 });
        // It counts also while it backs off.
        recorder.until(backoff_scheduled()).await;
        let start = StartConnection(ConnectionSpec::string("b", URL));
        let refused = supervisor.send(start).await.unwrap().unwrap_err();
        assert_eq!(refused, StartError::MaxChildren { max: 1 });
    });
}

#[test]
fn a_shutdown_has_a_deadline() {
    virtual_time(1, async {
        let server = listen();
        let url = server.url();
        let _played = server.play([Script::new().accept().vanish()]);
        let supervisor = supervisor();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", &url));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events.expect(connected()).await;
        let began = Instant::now();
        supervisor.send(Shutdown::within(Duration::from_millis(300))).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_millis(300));
        events
            .expect("1 Disconnected 1006 unclean: closed by us, and the peer did not answer…")
            .await;
        assert_eq!(network().live(&url), 0);
    });
}

/// A person who knows that the server is back does not wait for the breaker.
#[test]
fn reconnect_does_not_wait_for_the_breaker() {
    virtual_time(1, async {
        let mut server = listen();
        server.stop();
        let supervisor = supervisor();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        for _ in 0..5 {
            events.until(backoff_scheduled()).await;
        }
        server.start().await.unwrap();
        let began = Instant::now();
        connection.send(Reconnect).await.unwrap().unwrap();
        let _peer = server.open().await;
        events.until(connected()).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    });
}

#[test]
fn no_backoff_needs_another_limit() {
    virtual_time(1, async {
        let spec = || ConnectionSpec::string("a", URL).backoff(Backoff::none());
        let refused = supervisor().send(StartConnection(spec())).await.unwrap().unwrap_err();
        assert!(
            matches!(&refused, StartError::Spec { source: InvalidSpec::HotLoop, .. }),
            "{refused}"
        );
        // OTP to the letter: its intensity ends the loop.
        let limit = Intensity::new(3, Duration::from_secs(5)).all_restarts();
        let builder = Supervisor::builder().policy(loopback_policy()).dialler(network());
        let supervisor = builder.intensity(limit).host_breaker(None).start().unwrap();
        let mut recorder = Recorder::start();
        let spec = spec().subscribe(recorder.lifecycle());
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        recorder.until(gave_up().epoch(4)).await;
    });
}

#[test]
fn limits_that_cancel_each_other_are_refused() {
    virtual_time(1, async {
        let intensity = Intensity::new(5, Duration::from_secs(30)).all_restarts();
        let supervisor = crashing(intensity).start().unwrap();
        let minute = Duration::from_mins(1);
        let backoff = Backoff::between(Duration::from_secs(10), minute).unwrap();
        let spec = ConnectionSpec::string("a", URL).backoff(backoff);
        let refused = supervisor.send(StartConnection(spec)).await.unwrap().unwrap_err();
        let expected =
            InvalidSpec::UnreachableIntensity { max_restarts: 5, period: Duration::from_secs(30) };
        assert!(
            matches!(&refused, StartError::Spec { source, .. } if *source == expected),
            "{refused}"
        );
    });
}
