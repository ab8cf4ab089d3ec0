//! What else may happen in the middle of a rotation.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use wsvisor::{
    AccessPolicy, Disconnect, ExitReason, Heartbeat, Liveness, Readiness, Reconnect, RestartPolicy,
    SendError, SendString, SetPolicy, Shutdown, TerminateConnection,
    testing::{connected, disconnected, text, virtual_time},
};

use super::{Stage, TOOK_OVER, agree_to_close, rotating, settle};
use crate::support::{ms, network};

/// A successor that is dialled, open, or about to be ready when something else happens.
async fn begun(stage: &mut Stage, is_open: bool) -> wsvisor::testing::Peer {
    assert_eq!(stage.rotate().await, Ok(2));
    let mut new = stage.server.accept().await;
    if is_open {
        new.shake_hands().await;
        new.text("new").await;
        stage.events.expect("2 overlap text new").await;
    }
    new
}

async fn take_over(stage: &mut Stage) {
    stage.connection.send(wsvisor::MarkReady).await.unwrap();
    stage.events.expect_all([TOOK_OVER, "2 Connected", "2 Ready"]).await;
}

async fn marked() -> Stage {
    let settings = rotating().readiness(Readiness::on_mark());
    let mut stage = Stage::supervised(settings, |spec| spec).await;
    stage.connection.send(wsvisor::MarkReady).await.unwrap();
    stage.events.expect("1 Ready").await;
    stage
}

#[test]
fn disconnect_and_reconnect_drop_the_successor() {
    for (reconnects, is_open) in [(false, false), (false, true), (true, false), (true, true)] {
        virtual_time(1, async move {
            let mut stage = marked().await;
            let mut new = begun(&mut stage, is_open).await;
            let successor = stage.connection.send(wsvisor::GetStatus).await.unwrap().successor;
            let gated = SendString::new("x").in_session(successor.unwrap()).after_ready();
            let gated = stage.connection.send(gated);
            settle().await;
            if reconnects {
                stage.connection.send(Reconnect).await.unwrap().unwrap();
            } else {
                stage.connection.send(Disconnect::normally()).await.unwrap();
            }
            new.read_end().await;
            let fate = gated.await.unwrap();
            assert!(matches!(fate, Err(SendError::NotWritten(_))), "{fate:?}");
            assert_eq!(stage.sockets(), 1);
            agree_to_close(stage.old, 1000).await;
            if reconnects {
                stage.events.expect_all(["1 Disconnected 1000 clean…", "1 Restarted…"]).await;
                let _next = stage.server.open().await;
                stage.events.expect("3 Connected").await;
            } else {
                stage.events.expect_all(["1 Disconnected 1000 clean…", "1 Stopped…"]).await;
                settle().await;
                assert_eq!(network().live(&stage.server.url()), 0);
            }
        });
    }
}

#[test]
fn the_supervisor_ends_both_sessions() {
    for (shuts_down, took_over) in [(false, false), (false, true), (true, false), (true, true)] {
        virtual_time(2, async move {
            let mut stage = marked().await;
            let mut new = begun(&mut stage, true).await;
            if took_over {
                take_over(&mut stage).await;
            }
            let supervisor = stage.supervisor.clone().unwrap();
            let ended = actix_rt::spawn(async move {
                if shuts_down {
                    supervisor.send(Shutdown::gracefully()).await.unwrap();
                } else {
                    supervisor.send(TerminateConnection("a".into())).await.unwrap().unwrap();
                }
            });
            let (mut up, mut beside) = if took_over { (new, stage.old) } else { (stage.old, new) };
            up.read_close().await;
            up.close(1001).await;
            ended.await.unwrap();
            settle().await;
            assert_eq!(network().live(&stage.server.url()), 0, "nothing is left");
            while beside.try_read().await.is_ok() {}
            let epoch = if took_over { 2 } else { 1 };
            stage.events.until(disconnected().epoch(epoch)).await;
            new = up;
            drop(new);
        });
    }
}

#[test]
fn the_successor_is_the_next_attempt_when_the_old_session_is_lost() {
    for is_open in [false, true] {
        virtual_time(3, async move {
            let mut stage = marked().await;
            let mut new = begun(&mut stage, is_open).await;
            stage.old.reset();
            stage.events.expect_all(["1 Disconnected 1006 unclean…", "1 Restarted…"]).await;
            if !is_open {
                new.shake_hands().await;
            }
            stage.events.expect("2 Connected").await;
            new.text("unmarked").await;
            stage.events.expect("2 text unmarked").await;
            let waits = stage.connection.send(SendString::new("gated").after_ready());
            stage.connection.send(wsvisor::MarkReady).await.unwrap();
            stage.events.expect("2 Ready").await;
            waits.await.unwrap().unwrap();
            assert_eq!(network().live(&stage.server.url()), 1);
            assert_eq!(network().dials(&stage.server.url()), 2);
        });
    }
}

#[test]
fn the_successor_is_dropped_where_the_old_sessions_end_is_the_last() {
    virtual_time(4, async {
        let mut stage =
            Stage::supervised(rotating(), |spec| spec.restart(RestartPolicy::Transient)).await;
        let mut new = begun(&mut stage, false).await;
        stage.old.close(1000).await;
        stage.events.expect_all(["1 Disconnected 1000 clean…", "1 Stopped…"]).await;
        new.read_end().await;
    });
}

#[test]
fn a_policy_that_forbids_the_host_ends_both() {
    for took_over in [false, true] {
        virtual_time(5, async move {
            let mut stage = marked().await;
            let mut new = begun(&mut stage, true).await;
            if took_over {
                take_over(&mut stage).await;
            }
            let supervisor = stage.supervisor.clone().unwrap();
            let set = supervisor.send(SetPolicy(AccessPolicy::deny_all())).await.unwrap().unwrap();
            println!("{set:?}");
            let (mut up, mut beside) = if took_over { (new, stage.old) } else { (stage.old, new) };
            while beside.try_read().await.is_ok() {}
            assert_eq!(up.read_close().await, 1008u16.to_be_bytes());
            up.close(1008).await;
            stage.events.until(disconnected().code(1008)).await;
            settle().await;
            assert_eq!(network().live(&stage.server.url()), 0);
            new = up;
            drop(new);
        });
    }
}

#[test]
fn the_end_of_the_new_session_ends_the_draining_of_the_old_one() {
    virtual_time(6, async {
        let mut stage = marked().await;
        let mut new = begun(&mut stage, true).await;
        take_over(&mut stage).await;
        stage.old.text("late").await;
        stage.events.expect("1 overlap text late").await;
        new.close(1001).await;
        stage.events.expect_all(["2 Disconnected 1001 clean…", "2 BackoffScheduled…"]).await;
        while stage.old.try_read().await.is_ok() {}
        let _next = stage.server.open().await;
        stage.events.expect(connected().epoch(3)).await;
        assert_eq!(stage.sockets(), 1);
    });
}

#[test]
fn a_crash_of_the_old_session_is_an_end_like_any_other() {
    virtual_time(7, async {
        let has_bug = Arc::new(AtomicBool::new(false));
        let bug = Arc::clone(&has_bug);
        let heartbeat = Heartbeat::every(ms(1_000)).sends_made_by(move |_| {
            assert!(!bug.swap(false, Ordering::Relaxed), "a bug in the user's code");
            "beat".to_owned()
        });
        let liveness = Liveness::default().without_pings().heartbeat(heartbeat);
        let mut stage = Stage::supervised(rotating().liveness(liveness), |spec| spec).await;
        let mut new = begun(&mut stage, false).await;
        has_bug.store(true, Ordering::Relaxed);
        let crashed = |reason: &ExitReason| matches!(reason, ExitReason::Crashed(_));
        stage.events.expect(disconnected().epoch(1).because(crashed)).await;
        stage.events.expect("1 Restarted…").await;
        new.shake_hands().await;
        stage.events.expect("2 Connected").await;
        assert_eq!(network().live(&stage.server.url()), 1);
    });
}

#[test]
fn a_subscriber_that_holds_back_holds_both_sessions_back() {
    virtual_time(8, async {
        let mut stage = marked().await;
        let mut new = begun(&mut stage, true).await;
        for number in 0..10 {
            new.text(format!("new {number}")).await;
            stage.old.text(format!("old {number}")).await;
        }
        stage.connection.send(wsvisor::MarkReady).await.unwrap();
        stage.events.until(connected().epoch(2)).await;
        new.text("last").await;
        stage.events.until(text("last")).await;
        let count = stage.events.history().iter().filter(|it| it.message().is_some()).count();
        assert_eq!(count, 22);
        tokio::time::sleep(ms(1)).await;
    });
}
