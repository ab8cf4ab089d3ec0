//! The supervisor's administration, as OTP's `supervisor` has it.

use std::time::Duration;

use actix::prelude::*;
use wsvisor::{
    AutoShutdown, ChildError, ConnectError, Connection, ConnectionSpec, CountConnections,
    DeleteConnection, Dynamic, GetStatus, Intensity, InvalidSpec, RestartConnection, SendString,
    Shutdown, StartConnection, StartError, State, Strategy, Subscribe, Supervisor,
    TerminateConnection, Timeouts, Unsubscribe, WhichConnections,
};

use wsvisor::testing::{Recorder, backoff_scheduled, connected, text};

use crate::support::{listen, loopback_policy, ms, network, recorded, settings, soon, supervisor};

#[actix::test]
async fn a_spec_that_cannot_be_is_refused_with_its_reason() {
    let supervisor = supervisor();
    let refusal = async |spec: ConnectionSpec| {
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap_err()
    };
    let url = "ws://127.0.0.1:1/";

    let error = refusal(ConnectionSpec::string("a", "ws://example.com/")).await;
    assert!(
        matches!(&error, StartError::Connect { source: ConnectError::UrlBlocked(_), .. }),
        "{error}"
    );
    let error = refusal(ConnectionSpec::string("a", url).header("Host", "x")).await;
    assert!(
        matches!(&error, StartError::Connect { source: ConnectError::InvalidHeaders(_), .. }),
        "{error}"
    );
    let error = refusal(ConnectionSpec::string("", url)).await;
    assert!(matches!(&error, StartError::Spec { source: InvalidSpec::Id(_), .. }), "{error}");
    let zero = Timeouts { close: ms(0), ..Timeouts::default() };
    let spec = ConnectionSpec::string("a", url).settings(settings().timeouts(zero));
    assert_eq!(
        refusal(spec).await.to_string(),
        "the spec of a is wrong: timeouts.close is zero: nothing could finish in time"
    );
    assert_eq!(supervisor.send(CountConnections).await.unwrap().specs, 0, "nothing is kept");
}

#[actix::test]
async fn each_operation_answers_as_otp_does_in_each_state() {
    let server = listen();
    let supervisor = supervisor();
    let spec = || ConnectionSpec::string("a", server.url());
    let start = async || supervisor.send(StartConnection(spec())).await.unwrap();
    let restart = async || supervisor.send(RestartConnection("a".into())).await.unwrap();
    let terminate = async || supervisor.send(TerminateConnection("a".into())).await.unwrap();
    let delete = async || supervisor.send(DeleteConnection("a".into())).await.unwrap();

    let not_found = Err(ChildError::NotFound("a".into()));
    assert_eq!(restart().await, not_found);
    assert_eq!(terminate().await, not_found);
    assert_eq!(delete().await, not_found);

    let connection = start().await.unwrap();
    let mut peer = server.open().await;
    assert_eq!(start().await, Err(StartError::AlreadyStarted("a".into())));
    assert_eq!(restart().await, Err(ChildError::Running("a".into())));
    assert_eq!(delete().await, Err(ChildError::Running("a".into())));

    let (terminated, closed) = tokio::join!(terminate(), async {
        let payload = peer.read_close().await;
        peer.close(1001).await;
        drop(peer);
        payload
    });
    assert_eq!(terminated, Ok(()));
    assert_eq!(closed, 1001u16.to_be_bytes(), "going away");
    assert_eq!(start().await, Err(StartError::AlreadyPresent("a".into())));
    assert_eq!(terminate().await, Ok(()), "terminating the terminated is fine");

    assert_eq!(restart().await, Ok(()));
    let peer = server.open().await;
    assert_eq!(connection.send(GetStatus).await.unwrap().epoch.get(), 2, "the same address");
    drop(peer);

    let (terminated, ()) = tokio::join!(terminate(), async {});
    assert_eq!(terminated, Ok(()));
    assert_eq!(delete().await, Ok(()));
    assert_eq!(delete().await, not_found);
    soon("a closed address", async {
        while connection.connected() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    start().await.unwrap();
}

#[actix::test]
async fn a_connection_that_backs_off_is_restarting() {
    let server = listen();
    let supervisor = supervisor();
    let hour = wsvisor::Backoff::between(ms(3_600_000), ms(3_600_000)).unwrap();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    supervisor.send(StartConnection(spec.backoff(hour))).await.unwrap().unwrap();
    drop(server.open().await);
    events.until(backoff_scheduled()).await;

    let restarting = ChildError::Restarting("a".into());
    let restart = supervisor.send(RestartConnection("a".into())).await.unwrap();
    assert_eq!(restart, Err(restarting.clone()));
    let delete = supervisor.send(DeleteConnection("a".into())).await.unwrap();
    assert_eq!(delete, Err(restarting));
    supervisor.send(TerminateConnection("a".into())).await.unwrap().unwrap();
    events.expect_all(["1 Stopped…"]).await;
    supervisor.send(DeleteConnection("a".into())).await.unwrap().unwrap();
}

#[actix::test]
async fn connections_are_listed_in_the_order_of_their_start() {
    let server = listen();
    let supervisor = supervisor();
    for id in ["c", "a", "b"] {
        let spec = ConnectionSpec::string(id, server.url());
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    }
    let infos = supervisor.send(WhichConnections::all()).await.unwrap();
    let ids: Vec<_> = infos.iter().map(|info| info.id.as_str()).collect();
    assert_eq!(ids, ["c", "a", "b"]);
    assert!(infos.iter().all(|info| info.state == State::Connecting), "{infos:?}");
    let status = infos[0].address().unwrap().send(GetStatus).await.unwrap();
    assert_eq!(status.id.as_str(), "c");
}

#[actix::test]
async fn a_supervisors_subscriber_hears_all_its_connections() {
    let server = listen();
    let supervisor = supervisor();
    let start = async |id: &str| {
        let (spec, mut events) = recorded(ConnectionSpec::string(id, server.url()));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let peer = server.open().await;
        events.until(connected()).await;
        (peer, events)
    };
    let (mut before, mut events_before) = start("before").await;
    let mut all = Recorder::start();
    let subscription = supervisor.send(Subscribe::new(all.messages())).await.unwrap();
    let (mut after, mut events_after) = start("after").await;

    before.text("one").await;
    all.expect_all(["1 text one"]).await;
    after.text("two").await;
    events_after.expect_all(["1 text two"]).await;
    all.expect_all(["1 text two"]).await;

    supervisor.send(Unsubscribe(subscription)).await.unwrap();
    before.text("three").await;
    events_before.until(text("three")).await;
    assert_eq!(all.history().len(), 2, "{:?}", all.history());
}

#[actix::test]
async fn shutdown_closes_all_and_dials_no_more() {
    let server = listen();
    let supervisor = Supervisor::builder()
        .policy(loopback_policy())
        .dialler(network())
        .strategy(Strategy::Dynamic(Dynamic::default()))
        .start()
        .unwrap();
    let mut connected = Vec::new();
    for id in ["a", "b", "c"] {
        let (spec, mut events) = recorded(ConnectionSpec::string(id, server.url()));
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let peer = server.open().await;
        events.expect_all(["1 Connected"]).await;
        connected.push((connection, peer, events));
    }
    let shutdown = actix_rt::spawn(supervisor.send(Shutdown::gracefully()));
    // All at once: nobody waits for another's answer.
    for (_, peer, _) in &mut connected {
        assert_eq!(peer.read_close().await, 1001u16.to_be_bytes());
    }
    let refused = supervisor
        .send(StartConnection(ConnectionSpec::string("late", server.url())))
        .await
        .unwrap();
    assert_eq!(refused, Err(StartError::ShuttingDown));
    for (_, peer, events) in &mut connected {
        peer.close(1001).await;
        peer.read_end().await;
        let _ = tokio::io::AsyncWriteExt::shutdown(peer.stream()).await;
        events.expect_all(["1 Disconnected 1001 clean…", "1 Stopped…"]).await;
    }
    soon("the shutdown", shutdown).await.unwrap().unwrap();
    assert!(!supervisor.connected());
    for (connection, ..) in &connected {
        assert!(connection.send(SendString::new("x")).await.is_err(), "its actor has stopped");
    }
}

#[actix::test]
async fn dropping_the_supervisor_closes_its_connections() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
    let connection: Addr<Connection> =
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let mut peer = server.open().await;
    events.expect_all(["1 Connected"]).await;
    drop(supervisor);
    assert_eq!(peer.read_close().await, 1001u16.to_be_bytes());
    peer.close(1001).await;
    drop(peer);
    events.expect_all(["1 Disconnected 1001 clean…", "1 Stopped…"]).await;
    drop(connection);
}

#[actix::test]
async fn a_supervisor_that_contradicts_itself_is_refused_before_it_starts() {
    let dynamic = Supervisor::builder().strategy(Strategy::Dynamic(Dynamic::default()));
    let builders = [
        (
            dynamic.auto_shutdown(AutoShutdown::AllSignificant),
            "strategy: a dynamic supervisor has no auto_shutdown; choose another",
        ),
        (
            Supervisor::builder().strategy(Strategy::Dynamic(Dynamic::default().max_children(0))),
            "max_children is zero: that leaves nothing",
        ),
        (
            Supervisor::builder().intensity(Intensity::new(1, Duration::ZERO)),
            "intensity.period is zero",
        ),
    ];
    for (builder, expected) in builders {
        let refused = builder.start().unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
}
