//! B1 to B13: one connection at a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsvisor::{
    Backoff, ChildError, ConnectionSpec, CountConnections, DeleteConnection, GetStatus, Intensity,
    InvalidBackoff, InvalidSpec, OnExceeded, Reconnect, RestartConnection, RetryBudget, SendString,
    StableAfter, StartConnection, StartError, State, TerminateConnection, WhichConnections,
    testing::{
        Script, backoff_scheduled, connected, connection_error, disconnected, gave_up, virtual_time,
    },
};

use super::{Crashes, DELAY, NOBODY, builder, delay, exact, secs, start, watched};
use crate::support::{listen, network};

#[test]
fn b01_a_server_that_is_down_fails_no_start() {
    virtual_time(1, async {
        let mut server = listen();
        server.stop();
        // No restart at all is borne, where OTP would count the failed start as one.
        let none = Intensity::new(0, secs(3600)).on_exceeded(OnExceeded::ShutdownSupervisor);
        let (supervisor, mut events) = watched(builder().intensity(none.per_supervisor()));
        let connection = start(&supervisor, ConnectionSpec::string("a", server.url())).await;
        for _ in 0..3 {
            events.expect(connection_error()).await;
            events.expect(backoff_scheduled()).await;
        }
        server.start().await.unwrap();
        let _peer = server.open().await;
        events.until(connected()).await;
        assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Connected);
    });
}

#[test]
fn b02_five_thousand_ends_by_the_network_cost_no_intensity() {
    const FLEET: usize = 100;
    const ROUNDS: usize = 50;
    virtual_time(1, async {
        let server = listen();
        let none = Intensity::new(0, secs(86_400)).on_exceeded(OnExceeded::ShutdownSupervisor);
        let (supervisor, mut events) = watched(builder().intensity(none.per_supervisor()));
        for number in 0..FLEET {
            let spec = ConnectionSpec::string(format!("c{number}"), server.url());
            start(&supervisor, spec.backoff(exact())).await;
        }
        for _ in 0..ROUNDS {
            let mut peers = Vec::new();
            for _ in 0..FLEET {
                peers.push(server.open().await);
            }
            for peer in peers {
                peer.reset();
            }
            for _ in 0..FLEET {
                events.until(disconnected()).await;
            }
        }
        let counts = supervisor.send(CountConnections).await.unwrap();
        assert_eq!((counts.specs, counts.failed), (FLEET, 0), "after {} ends", FLEET * ROUNDS);
    });
}

#[test]
fn b03_limits_that_cannot_be_are_refused_by_name() {
    virtual_time(1, async {
        let refusal = async |intensity: Intensity, spec: ConnectionSpec| {
            let supervisor = builder().intensity(intensity).start().unwrap();
            match supervisor.send(StartConnection(spec)).await.unwrap().unwrap_err() {
                StartError::Spec { source, .. } => source,
                other => panic!("{other}"),
            }
        };
        let spec = || ConnectionSpec::string("a", NOBODY);
        let usual = Intensity::default();

        // 10 + 10 + … s never come to five restarts within 30 s.
        let slow = Backoff::between(secs(10), secs(60)).unwrap();
        let period = secs(30);
        let all = Intensity::new(5, period).all_restarts();
        let unreachable = refusal(all, spec().backoff(slow)).await;
        assert_eq!(unreachable, InvalidSpec::UnreachableIntensity { max_restarts: 5, period });
        // Nothing would end a loop of attempts.
        let hot = refusal(usual, spec().backoff(Backoff::none())).await;
        assert_eq!(hot, InvalidSpec::HotLoop);

        // What is the supervisor's own is refused when that is started.
        let no_supervisor = |intensity| builder().intensity(intensity).start().unwrap_err();
        let no_time = no_supervisor(Intensity::new(1, Duration::ZERO));
        assert_eq!(no_time, InvalidSpec::ZeroLimit("intensity.period"));
        let no_delay = no_supervisor(usual.on_exceeded(OnExceeded::Delay(Duration::ZERO)));
        assert_eq!(no_delay, InvalidSpec::ZeroLimit("intensity.on_exceeded.delay"));
        let budget = |budget| spec().retry_budget(budget);
        let no_attempt = refusal(usual, budget(RetryBudget::attempts(0))).await;
        assert_eq!(no_attempt, InvalidSpec::ZeroLimit("retry_budget.attempts"));
        let no_time = budget(RetryBudget::default().elapsed(Duration::ZERO));
        let no_time = refusal(usual, no_time).await;
        assert_eq!(no_time, InvalidSpec::ZeroLimit("retry_budget.elapsed"));
        let at_once = spec().stable_after(StableAfter::Uptime(Duration::ZERO));
        assert_eq!(refusal(usual, at_once).await, InvalidSpec::AlwaysStable);

        let (min, max) = (secs(2), secs(1));
        assert_eq!(Backoff::between(min, max), Err(InvalidBackoff::Reversed { min, max }));
        assert_eq!(Backoff::between(Duration::ZERO, max), Err(InvalidBackoff::ZeroMin));
        let said = unreachable.to_string();
        assert!(said.starts_with("backoff: its delays let 5 restarts never come"), "{said}");
    });
}

#[test]
fn b04_a_server_that_accepts_and_closes_meets_no_hot_loop() {
    virtual_time(1, async {
        let server = listen();
        let url = server.url();
        let _played = server.play((0..1_000).map(|_| Script::new().accept().close(1000)));
        let (supervisor, _events) = watched(builder());
        let backoff = Backoff::between(secs(1), secs(60)).unwrap();
        start(&supervisor, ConnectionSpec::string("a", &url).backoff(backoff)).await;
        sleep(secs(600)).await;
        let dials = network().dials(&url);
        // Full jitter over a cap of a minute: about twenty, and never one after the other.
        assert!((8..60).contains(&dials), "{dials} dials in ten minutes");
    });
}

#[test]
fn b05_the_backoff_starts_again_after_a_stable_session_only() {
    virtual_time(1, async {
        let server = listen();
        let (supervisor, mut events) = watched(builder());
        let spec = ConnectionSpec::string("a", server.url()).backoff(exact());
        start(&supervisor, spec.stable_after(StableAfter::Uptime(secs(30)))).await;
        for (up, expected) in [
            (0, "1 BackoffScheduled: retry 1 in 3s"),
            (29, "2 BackoffScheduled: retry 2 in 3s"),
            (31, "3 BackoffScheduled: next attempt…"),
            (0, "4 BackoffScheduled: retry 1 in 3s"),
        ] {
            let peer = server.open().await;
            events.expect(connected()).await;
            sleep(secs(up)).await;
            peer.reset();
            events.expect(disconnected()).await;
            events.expect(expected).await;
        }
    });
}

#[test]
fn b06_every_delay_is_within_its_bounds() {
    virtual_time(1, async {
        let (min, max) = (secs(1), secs(60));
        let (supervisor, mut events) = watched(builder().host_breaker(None));
        let spec = ConnectionSpec::string("a", NOBODY);
        start(&supervisor, spec.backoff(Backoff::between(min, max).unwrap())).await;
        let mut longest = Duration::ZERO;
        for attempt in 1..200_u32 {
            let delay = delay(events.until(backoff_scheduled()).await);
            let cap = min.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(max);
            assert!(min <= delay && delay <= cap, "{delay:?} before attempt {attempt}");
            longest = longest.max(delay);
        }
        assert!(longest > secs(50), "the whole range is used: {longest:?}");
    });
}

#[test]
fn b07_who_waits_for_its_next_attempt_is_restarting_and_not_lost() {
    virtual_time(1, async {
        let server = listen();
        let (supervisor, mut events) = watched(builder());
        start(&supervisor, ConnectionSpec::string("a", server.url()).backoff(exact())).await;
        server.open().await.reset();
        events.until(backoff_scheduled()).await;
        let counts = supervisor.send(CountConnections).await.unwrap();
        assert_eq!((counts.specs, counts.backing_off), (1, 1));
        let waiting = WhichConnections::all().in_state(State::BackingOff);
        assert_eq!(supervisor.send(waiting).await.unwrap().len(), 1);
        let restarting = Err(ChildError::Restarting("a".into()));
        assert_eq!(supervisor.send(RestartConnection("a".into())).await.unwrap(), restarting);
        assert_eq!(supervisor.send(DeleteConnection("a".into())).await.unwrap(), restarting);
        let again = StartConnection(ConnectionSpec::string("a", server.url()));
        let again = supervisor.send(again).await.unwrap();
        assert_eq!(again, Err(StartError::AlreadyPresent("a".into())));
        let _peer = server.open().await;
        events.expect(connected().epoch(2)).await;
    });
}

#[test]
fn b08_to_terminate_is_to_cancel_the_next_attempt() {
    virtual_time(1, async {
        let server = listen();
        let (supervisor, mut events) = watched(builder());
        let terminate = || supervisor.send(TerminateConnection("a".into()));
        let spec = ConnectionSpec::string("a", server.url()).backoff(exact());
        start(&supervisor, spec).await;
        server.open().await.reset();
        events.until(backoff_scheduled()).await;
        terminate().await.unwrap().unwrap();
        events.expect("1 Stopped…").await;
        events.expect_none(secs(3600)).await;
        assert_eq!(network().dials(&server.url()), 1);

        // So it is with an attempt that is under way.
        supervisor.send(RestartConnection("a".into())).await.unwrap().unwrap();
        let _silent = server.accept().await;
        terminate().await.unwrap().unwrap();
        events.expect("2 ConnectionError: the attempt was cancelled…").await;
        events.expect("2 Stopped…").await;
        events.expect_none(secs(3600)).await;
        assert_eq!(network().live(&server.url()), 0);
    });
}

#[test]
fn b09_a_fatal_end_stops_a_permanent_connection() {
    virtual_time(1, async {
        let server = listen();
        let (supervisor, mut events) = watched(builder());
        start(&supervisor, ConnectionSpec::string("a", server.url())).await;
        let mut peer = server.open().await;
        peer.close(1008).await;
        drop(peer);
        events.expect_all(["1 Connected", "1 Disconnected 1008 clean…", "1 GaveUp…"]).await;
        events.expect_none(secs(3600)).await;
        assert_eq!(supervisor.send(CountConnections).await.unwrap().failed, 1);
        // Its spec is kept: a person may begin anew.
        supervisor.send(RestartConnection("a".into())).await.unwrap().unwrap();
        let _peer = server.open().await;
        events.expect(connected().epoch(2)).await;
    });
}

#[test]
fn b10_who_crashes_too_often_is_put_in_quarantine_alone() {
    virtual_time(1, async {
        let (crashes, server) = (Crashes::default(), listen());
        let two = Intensity::new(2, secs(60));
        let (supervisor, mut events) = watched(crashes.builder().intensity(two));
        let other = start(&supervisor, ConnectionSpec::string("other", server.url())).await;
        let mut peer = server.open().await;
        crashes.next(usize::MAX);
        start(&supervisor, ConnectionSpec::string("bad", server.url()).backoff(exact())).await;
        let gave_up = events.until(gave_up().of("bad")).await.to_string();
        assert!(gave_up.starts_with("3 GaveUp: more than 2 restarts within 60s"), "{gave_up}");
        events.expect_none(secs(5)).await;
        other.send(SendString::new("what crash?")).await.unwrap().unwrap();
        assert_eq!(peer.read().await.payload, b"what crash?");
    });
}

#[test]
fn b11_a_timer_of_an_older_session_does_nothing_to_a_newer_one() {
    virtual_time(1, async {
        let server = listen();
        let (supervisor, mut events) = watched(builder());
        let spec = ConnectionSpec::string("a", server.url()).backoff(exact());
        let spec = spec.stable_after(StableAfter::Uptime(secs(30)));
        let connection = start(&supervisor, spec).await;
        let mut first = server.open().await;
        events.expect(connected()).await;
        sleep(secs(29)).await;
        connection.send(Reconnect).await.unwrap().unwrap();
        first.read_close().await;
        first.close(1000).await;
        drop(first);
        let second = server.open().await;
        events.until(connected().epoch(2)).await;
        // The first session would have been stable a second ago.
        sleep(secs(2)).await;
        assert!(!connection.send(GetStatus).await.unwrap().stable);
        second.reset();
        events.expect(disconnected()).await;
        events.expect("2 BackoffScheduled: retry 1…").await;
        // The timer of this backoff is overtaken by a person, and does nothing to the third session.
        connection.send(Reconnect).await.unwrap().unwrap();
        let _third = server.open().await;
        events.until(connected().epoch(3)).await;
        events.expect_none(DELAY * 10).await;
        assert_eq!(network().dials(&server.url()), 3);
    });
}

#[test]
fn b12_the_address_is_the_same_after_a_crash() {
    virtual_time(1, async {
        let (crashes, server) = (Crashes::default(), listen());
        let (supervisor, mut events) = watched(crashes.builder());
        let spec = ConnectionSpec::string("a", server.url()).backoff(exact());
        let connection = start(&supervisor, spec).await;
        server.open().await.reset();
        crashes.next(1);
        events.until("2 ConnectionError: the session or its attempt panicked: told to panic").await;
        let mut peer = server.open().await;
        events.until(connected().epoch(3)).await;
        connection.send(SendString::new("still me")).await.unwrap().unwrap();
        assert_eq!(peer.read().await.payload, b"still me");
    });
}

#[test]
fn b13_a_hand_that_says_reconnect_waits_for_nothing_and_costs_nothing() {
    virtual_time(1, async {
        let server = listen();
        let (supervisor, mut events) = watched(builder());
        let hour = Backoff::between(secs(3600), secs(3600)).unwrap();
        let spec = ConnectionSpec::string("a", server.url()).backoff(hour);
        let spec = spec.retry_budget(RetryBudget::attempts(2));
        let connection = start(&supervisor, spec).await;
        server.open().await.reset();
        events.until(backoff_scheduled()).await;
        let began = Instant::now();
        // It skips the rest of an hour …
        connection.send(Reconnect).await.unwrap().unwrap();
        let mut peer = server.open().await;
        events.until(connected().epoch(2)).await;
        // … and cycles a session.
        connection.send(Reconnect).await.unwrap().unwrap();
        peer.read_close().await;
        peer.close(1000).await;
        drop(peer);
        let peer = server.open().await;
        events.until(connected().epoch(3)).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(connection.send(GetStatus).await.unwrap().attempt, 1, "as before");
        // Only what fails by itself is paid for.
        peer.reset();
        events.until("3 GaveUp: gave up after 2 attempts in a row…").await;
    });
}
