//! Successors that fail: the session that is up goes on, and another is tried.

use std::time::Duration;

use tokio::time::Instant;
use wsvisor::{
    Backoff, ConnectionSpec, Credentials, Delivery, ExitClass, ExitReason, Greeting, Jitter,
    LifecycleEvent, MarkReady, ProviderError, ProviderRequest, Readiness, RetryBudget, Rotation,
    SendString, StartConnection, Strategy,
    testing::{ClientFrame, connected, lifecycle, virtual_time},
};

use super::{Stage, TOOK_OVER, agree_to_close, is_hello_or_panics, rotating};
use crate::support::{listen, loopback_policy, ms, network, recorded};

fn failed() -> wsvisor::testing::Matcher {
    lifecycle("RotationFailed", |event| matches!(event, LifecycleEvent::RotationFailed { .. }))
}

async fn failure(stage: &mut Stage) -> (ExitReason, ExitClass, Duration) {
    let event = stage.events.expect(failed().epoch(1)).await.lifecycle().cloned();
    match event {
        Some(LifecycleEvent::RotationFailed { reason, class, retry_in }) => {
            (reason, class, retry_in)
        }
        other => panic!("{other:?}"),
    }
}

/// The old session is as it was.
async fn goes_on(stage: &mut Stage) {
    stage.old.text("tick").await;
    stage.events.expect("1 text tick").await;
    let sent = stage.connection.send(SendString::new("tock")).await.unwrap().unwrap();
    assert_eq!(sent, Delivery::Written);
    assert_eq!(stage.old.read().await, ClientFrame::text("tock"));
}

#[test]
fn a_successor_that_cannot_be_made_is_tried_again_with_backoff() {
    virtual_time(1, async {
        let backoff = Backoff::between(ms(1_000), ms(60_000)).unwrap().jitter(Jitter::None);
        let mut stage = Stage::supervised(rotating(), |spec| {
            spec.backoff(backoff).retry_budget(RetryBudget::attempts(1))
        })
        .await;
        network().refuse(&stage.server.url());
        stage.rotate().await.unwrap();
        for expected in [1_000, 2_000, 4_000, 8_000] {
            let (reason, class, retry_in) = failure(&mut stage).await;
            assert!(matches!(reason, ExitReason::Dial(_)), "{reason}");
            assert_eq!((class, retry_in), (ExitClass::RETRY, ms(expected)));
            goes_on(&mut stage).await;
        }
        stage.server.start().await.unwrap();
        // One that the server refuses for good, and one that is lost before it is ready.
        let mut refused = stage.server.accept().await;
        refused.request().await;
        refused.write("HTTP/1.1 403 Forbidden\r\n\r\n").await;
        let (reason, class, retry_in) = failure(&mut stage).await;
        assert!(matches!(reason, ExitReason::Handshake(_)), "{reason}");
        assert_eq!(class, ExitClass::Fatal);
        assert!(retry_in >= ms(30_000), "near the backoff's maximum: {retry_in:?}");
        goes_on(&mut stage).await;
        stage.server.accept().await.reset();
        failure(&mut stage).await;
        goes_on(&mut stage).await;
        assert_eq!(stage.sockets(), 1);
        let new = stage.server.open().await;
        stage.events.expect(TOOK_OVER).await;
        let epoch = stage.events.expect(connected()).await.epoch.get();
        assert_eq!(epoch, 8, "each attempt has an epoch of its own");
        agree_to_close(stage.old, 1000).await;
        drop(new);
    });
}

#[test]
fn a_successor_that_is_never_ready_is_closed_in_time_and_tried_again() {
    virtual_time(2, async {
        let rotation = Rotation::make_before_break().ready_within(ms(5_000));
        let settings = rotating().rotation(rotation).readiness(Readiness::on_mark());
        let mut stage = Stage::supervised(settings, |spec| spec).await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect("1 Ready").await;
        stage.rotate().await.unwrap();
        for epoch in 2..=4 {
            let mut new = stage.server.open().await;
            let began = Instant::now();
            new.text("still starting").await;
            stage.events.expect(format!("{epoch} overlap text still starting").as_str()).await;
            let waits = SendString::new("x").in_session(
                stage.connection.send(wsvisor::GetStatus).await.unwrap().successor.unwrap(),
            );
            let gated = stage.connection.send(waits.after_ready());
            assert_eq!(new.read_close().await, 4000u16.to_be_bytes());
            assert_eq!(began.elapsed(), ms(5_000));
            drop(new);
            let fate = gated.await.unwrap();
            assert!(matches!(fate, Err(wsvisor::SendError::NotWritten(_))), "{fate:?}");
            let (reason, ..) = failure(&mut stage).await;
            assert!(matches!(reason, ExitReason::NotReady { within } if within == ms(5_000)));
            goes_on(&mut stage).await;
        }
    });
}

#[test]
fn a_slow_successor_is_waited_for() {
    virtual_time(3, async {
        let mut stage = Stage::alone(rotating()).await;
        stage.rotate().await.unwrap();
        let mut new = stage.server.accept().await;
        for _ in 0..5 {
            tokio::time::sleep(ms(1_500)).await;
            goes_on(&mut stage).await;
        }
        new.shake_hands().await;
        stage.events.expect_all([TOOK_OVER, "2 Connected"]).await;
    });
}

#[test]
fn a_greeting_that_fails_or_panics_costs_the_old_session_nothing() {
    virtual_time(4, async {
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let greeting = Greeting::asked(move |_| {
            let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                match number {
                    1 => Err(ProviderError::retry("no key")),
                    2 => panic!("a bug"),
                    _ => Ok(vec![SendString::new("login").into()]),
                }
            }
        });
        let mut stage = Stage::supervised(rotating().greeting(greeting), |spec| spec).await;
        assert_eq!(stage.old.read().await, ClientFrame::text("login"));
        stage.events.expect("1 Ready").await;
        stage.rotate().await.unwrap();
        for _ in 0..2 {
            let mut new = stage.server.open().await;
            new.read_close().await;
            drop(new);
            let (reason, ..) = failure(&mut stage).await;
            assert!(matches!(reason, ExitReason::Greeting(_)), "{reason}");
            goes_on(&mut stage).await;
        }
        let mut new = stage.server.open().await;
        assert_eq!(new.read().await, ClientFrame::text("login"));
        stage.events.expect_all([TOOK_OVER, "4 Connected", "4 Ready"]).await;
    });
}

#[test]
fn a_panic_of_the_successor_is_its_own() {
    virtual_time(5, async {
        let settings = rotating().readiness(Readiness::on_message(is_hello_or_panics));
        let mut stage = Stage::supervised(settings, |spec| spec).await;
        stage.old.text("hello").await;
        stage.events.expect_all(["1 text hello", "1 Ready"]).await;
        stage.rotate().await.unwrap();
        let mut new = stage.server.open().await;
        new.text("boom").await;
        let (reason, class, _) = failure(&mut stage).await;
        assert!(matches!(reason, ExitReason::Crashed(_)), "{reason}");
        assert_eq!(class, ExitClass::Crash);
        goes_on(&mut stage).await;
        let mut new = stage.server.open().await;
        new.text("hello").await;
        stage.events.until(connected().epoch(3)).await;
    });
}

#[test]
fn credentials_that_are_refused_do_not_make_a_hot_loop() {
    virtual_time(6, async {
        let backoff = Backoff::between(ms(1_000), ms(60_000)).unwrap().jitter(Jitter::None);
        let mut stage = Stage::supervised(rotating(), |spec| {
            spec.backoff(backoff)
                .auth(|_: ProviderRequest| async { Ok(Credentials::bearer("the same token")) })
        })
        .await;
        let began = Instant::now();
        stage.rotate().await.unwrap();
        for _ in 0..4 {
            let mut refused = stage.server.accept().await;
            refused.request().await;
            refused.write("HTTP/1.1 401 Unauthorized\r\n\r\n").await;
            failure(&mut stage).await;
        }
        assert!(began.elapsed() >= Duration::from_mins(1), "{:?}", began.elapsed());
        goes_on(&mut stage).await;
    });
}

#[test]
fn the_group_of_the_connection_takes_no_notice() {
    virtual_time(7, async {
        let group = wsvisor::Supervisor::builder()
            .policy(loopback_policy())
            .dialler(network())
            .strategy(Strategy::OneForAll)
            .start()
            .unwrap();
        let mut stage = Stage::below(group.clone(), rotating(), |spec| spec).await;
        let neighbour = listen();
        let spec = ConnectionSpec::string("b", neighbour.url()).settings(rotating());
        let (spec, mut events) = recorded(spec);
        group.send(StartConnection(spec)).await.unwrap().unwrap();
        let _neighbour = neighbour.open().await;
        events.expect(connected()).await;
        stage.rotate().await.unwrap();
        stage.server.accept().await.reset();
        failure(&mut stage).await;
        let _new = stage.server.open().await;
        stage.events.expect_all([TOOK_OVER, "3 Connected"]).await;
        agree_to_close(stage.old, 1000).await;
        events.expect_none(Duration::from_mins(1)).await;
    });
}
