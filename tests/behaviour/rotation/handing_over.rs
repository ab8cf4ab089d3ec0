//! When and how a successor takes over.

use std::time::Duration;

use tokio::time::Instant;
use wsvisor::{
    ClassRule, Connect, CountConnections, Delivery, ExplainConnection, GetStatus, Greeting,
    Liveness, MarkReady, MaxAge, Readiness, Rotate, RotateError, Rotation, SendString,
    WhichConnections,
    testing::{connected, text, virtual_time},
};

use super::{Stage, TOOK_OVER, agree_to_close, read_texts, rotating, settle};
use crate::support::{ms, settings, string};

#[test]
fn the_next_session_is_up_before_the_old_one_closes() {
    virtual_time(1, async {
        let mut stage = Stage::alone(rotating()).await;
        assert_eq!(stage.sockets(), 1);
        assert_eq!(stage.rotate().await, Ok(2));
        assert_eq!(stage.successor().await, Some(2));
        let mut new = stage.server.accept().await;
        assert_eq!(stage.sockets(), 2);
        stage.events.expect_none(ms(100)).await;
        assert_eq!(stage.epoch().await, 1, "the old session is up until the new one is");
        assert_eq!(stage.rotate().await, Err(RotateError::InProgress));
        assert!(stage.connection.send(Connect::to(stage.server.url())).await.unwrap().is_err());
        new.shake_hands().await;
        stage.events.expect_all([TOOK_OVER, "2 Connected"]).await;
        assert_eq!((stage.sockets(), stage.epoch().await), (2, 2));
        assert_eq!(stage.rotate().await, Err(RotateError::InProgress), "two sockets and no more");

        let sent = stage.connection.send(SendString::new("hello")).await.unwrap().unwrap();
        assert_eq!(sent, Delivery::Written);
        read_texts(&mut new, ["hello"]).await;
        agree_to_close(stage.old, 1000).await;
        settle().await;
        assert_eq!(network_of(&stage.server), 1);
        new.text("welcome").await;
        stage.events.expect("2 text welcome").await;
        assert_eq!(stage.connection.send(GetStatus).await.unwrap().successor, None);
    });
}

fn network_of(server: &wsvisor::testing::Server) -> usize {
    crate::support::network().live(&server.url())
}

#[test]
fn one_session_after_the_other_may_be_replaced() {
    virtual_time(2, async {
        let mut stage = Stage::supervised(rotating(), |spec| spec).await;
        for epoch in 2..=5 {
            assert_eq!(stage.rotate().await, Ok(epoch));
            let new = stage.server.open().await;
            stage.events.until(connected().epoch(epoch)).await;
            agree_to_close(std::mem::replace(&mut stage.old, new), 1000).await;
            settle().await;
            assert_eq!(stage.sockets(), 1);
        }
        // A rotation is no restart, for nobody.
        let supervisor = stage.supervisor.as_ref().unwrap();
        let counts = supervisor.send(CountConnections).await.unwrap();
        assert_eq!((counts.connected, counts.specs), (1, 1), "{counts:?}");
        let explained = supervisor.send(ExplainConnection("a".into())).await.unwrap().unwrap();
        assert_eq!(explained.decided_by, Some(ClassRule::Command));
        assert_eq!(explained.status.attempt, 0);
        let page = supervisor.send(WhichConnections::all()).await.unwrap();
        assert_eq!(page[0].epoch.get(), 5, "the supervisor knows of the new session");
    });
}

#[test]
fn a_greeting_and_a_mark_come_before_it_takes_over() {
    virtual_time(3, async {
        let greeting = Greeting::messages(["login", "subscribe"].map(SendString::new));
        let settings = rotating().greeting(greeting).readiness(Readiness::on_mark());
        let mut stage = Stage::alone(settings).await;
        read_texts(&mut stage.old, ["login", "subscribe"]).await;
        assert_eq!(stage.rotate().await, Err(RotateError::NotReady));
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect_all(["1 Ready"]).await;

        assert_eq!(stage.rotate().await, Ok(2));
        let mut new = stage.server.open().await;
        read_texts(&mut new, ["login", "subscribe"]).await;
        // Meanwhile the old session goes on, in both directions.
        for round in 0..3 {
            stage.old.text(format!("old {round}")).await;
            stage.events.expect(format!("1 text old {round}").as_str()).await;
            let sent = stage.connection.send(SendString::new("to the old one").after_ready());
            assert_eq!(sent.await.unwrap().unwrap(), Delivery::Written);
            read_texts(&mut stage.old, ["to the old one"]).await;
        }
        // A login may be a conversation: both sides are heard before it is ready.
        new.text("who are you?").await;
        let asked = stage.events.expect("2 overlap text who are you?").await.epoch;
        let answer = SendString::new("a bot").in_session(asked);
        assert_eq!(stage.connection.send(answer).await.unwrap().unwrap(), Delivery::Written);
        let gated = stage.connection.send(SendString::new("gated").in_session(asked).after_ready());
        read_texts(&mut new, ["a bot"]).await;
        stage.events.expect_none(ms(1_000)).await;
        stage.connection.send(MarkReady).await.unwrap();
        stage.events.expect_all([TOOK_OVER, "2 Connected", "2 Ready"]).await;
        assert_eq!(gated.await.unwrap().unwrap(), Delivery::Written);
        read_texts(&mut new, ["gated"]).await;
        assert!(stage.connection.send(GetStatus).await.unwrap().ready);
        agree_to_close(stage.old, 1000).await;
    });
}

#[test]
fn a_message_that_says_so_makes_the_successor_ready() {
    virtual_time(4, async {
        let is_hello = |message: wsvisor::Payload<'_>| message.as_text() == Some("hello");
        let settings = rotating().readiness(Readiness::on_message(is_hello));
        let mut stage = Stage::alone(settings).await;
        stage.old.text("hello").await;
        stage.events.expect_all(["1 text hello", "1 Ready"]).await;
        stage.rotate().await.unwrap();
        let mut new = stage.server.open().await;
        stage.old.text("hello").await;
        new.text("not yet").await;
        stage.events.expect_none(ms(0)).await;
        stage.events.until(text("not yet")).await;
        new.text("hello").await;
        stage.events.until("2 overlap text hello").await;
        stage.events.expect_all([TOOK_OVER, "2 Connected", "2 Ready"]).await;
    });
}

#[test]
fn a_session_that_is_old_is_replaced_at_its_age_with_jitter() {
    let age = Duration::from_hours(1);
    let jitter = Duration::from_mins(10);
    let mut ages = Vec::new();
    for seed in 0..6 {
        ages.push(virtual_time(seed, async move {
            let liveness =
                Liveness::default().without_pings().max_age(MaxAge::of(age).jitter(jitter));
            let mut stage = Stage::alone(rotating().liveness(liveness)).await;
            let began = Instant::now();
            let mut ages = Vec::new();
            for epoch in 2..=3 {
                let new = stage.server.open().await;
                stage.events.until(connected().epoch(epoch)).await;
                ages.push(began.elapsed());
                agree_to_close(std::mem::replace(&mut stage.old, new), 1000).await;
            }
            assert!(ages[1] <= age * 2 + ms(10), "{ages:?}");
            ages[0]
        }));
    }
    println!("sessions of one hour at most, 10 minutes of jitter, were replaced at {ages:?}");
    assert!(ages.iter().all(|it| *it <= age + ms(10) && *it + jitter >= age), "{ages:?}");
    let (first, last) = (ages.iter().min().unwrap(), ages.iter().max().unwrap());
    assert!(*last > *first + Duration::from_mins(1), "{ages:?}");
}

#[test]
fn what_did_not_become_ready_in_its_whole_life_is_closed_when_it_is_old() {
    virtual_time(5, async {
        let liveness = Liveness::default().without_pings().max_age(MaxAge::of(ms(60_000)));
        let settings = rotating().liveness(liveness).readiness(Readiness::on_mark());
        let mut stage = Stage::alone(settings).await;
        assert_eq!(stage.old.read_close().await, 4000u16.to_be_bytes());
        drop(stage.old);
        stage.events.until("1 Disconnected 4000 unclean: the session was ended…").await;
    });
}

#[test]
fn without_the_opt_in_nothing_rotates() {
    virtual_time(6, async {
        let liveness = Liveness::default().without_pings().max_age(MaxAge::of(ms(60_000)));
        let mut stage = Stage::alone(settings().liveness(liveness)).await;
        assert_eq!(stage.rotate().await, Err(RotateError::NotEnabled));
        assert_eq!(stage.old.read_close().await, 4000u16.to_be_bytes());
        assert_eq!(stage.sockets(), 1);
        drop(stage.old);
        stage.events.until("1 Disconnected 4000 unclean: the session was ended…").await;
        assert_eq!(crate::support::network().dials(&stage.server.url()), 1);

        let (never_connected, _events) = string();
        let answer = never_connected.send(Rotate).await.unwrap();
        assert_eq!(answer, Err(RotateError::NotEnabled));
        let zero = settings().rotation(Rotation::make_before_break().ready_within(ms(0)));
        let refused = wsvisor::Connection::string("a").settings(zero).start();
        assert!(refused.is_err());
    });
}

#[test]
fn a_connection_that_is_not_connected_does_not_rotate() {
    virtual_time(7, async {
        let mut stage = Stage::alone(rotating()).await;
        stage.old.close(1000).await;
        stage.events.until("1 Disconnected 1000 clean…").await;
        assert_eq!(stage.rotate().await, Err(RotateError::NotConnected));
    });
}
