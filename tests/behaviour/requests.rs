//! Requests and their answers.

use actix::Addr;
use serde_json::{Value, json};
use tokio::time::Instant;
use wsvisor::{
    Answer, Connect, Connection, Disconnect, JsonRpcError, OutboxLimits, Payload, Refusal, Request,
    RequestError, SendString, Settings, Unwritten,
    testing::{ClientFrame, Peer, Recorder, Server, connected, disconnected, text, virtual_time},
};

use crate::support::{alone, listen, ms, settings};

type Fate = Result<Answer, RequestError>;

async fn open(server: &Server, settings: Settings) -> (Addr<Connection>, Recorder, Peer) {
    let (connection, mut events) = alone(Connection::string("bot").settings(settings));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let peer = server.open().await;
    events.expect(connected()).await;
    (connection, events, peer)
}

fn ask(connection: &Addr<Connection>, request: Request) -> actix_rt::task::JoinHandle<Fate> {
    let answer = connection.send(request);
    actix_rt::spawn(async move { answer.await.unwrap() })
}

/// The call that the peer reads, and its id.
async fn called(peer: &mut Peer) -> (Value, Value) {
    let call: Value = serde_json::from_slice(&peer.read().await.payload).unwrap();
    let id = call["id"].clone();
    (call, id)
}

#[test]
fn calls_of_json_rpc_find_their_answers_in_any_order() {
    virtual_time(1, async {
        let server = listen();
        let (connection, mut events, mut peer) = open(&server, settings()).await;
        let first = ask(&connection, Request::json_rpc("add", &[1, 2]).unwrap());
        let second = ask(&connection, Request::json_rpc("fail", &json!({"x": 1})).unwrap());
        let (call, first_id) = called(&mut peer).await;
        assert_eq!(
            (&call["jsonrpc"], &call["method"], &call["params"]),
            (&json!("2.0"), &json!("add"), &json!([1, 2]))
        );
        let (_, second_id) = called(&mut peer).await;
        assert_ne!(first_id, second_id);

        // A notification, an answer to nobody, a call of the server's with the same id.
        let others = [
            json!({"jsonrpc": "2.0", "method": "tick"}),
            json!({"jsonrpc": "2.0", "id": 999_999_999, "result": 0}),
            json!({"jsonrpc": "2.0", "id": first_id, "method": "ask"}),
        ];
        for other in &others {
            peer.text(other.to_string()).await;
            events.expect(text(other.to_string())).await;
        }
        let error = json!({"code": -32_601, "message": "no such method"});
        peer.text(json!({"jsonrpc": "2.0", "id": second_id, "error": error}).to_string()).await;
        let answer = json!({"jsonrpc": "2.0", "id": first_id, "result": 3}).to_string();
        peer.text(&answer).await;
        assert_eq!(first.await.unwrap().unwrap().result::<u32>().unwrap(), 3);
        let refused = second.await.unwrap().unwrap().result::<u32>();
        assert!(matches!(refused, Err(JsonRpcError::Refused { code: -32_601, .. })), "{refused:?}");

        // No subscriber has seen the answers; one that comes twice is a message like any other.
        peer.text(&answer).await;
        events.expect(text(answer)).await;
    });
}

#[test]
fn a_request_without_an_answer_times_out_and_is_not_written_late() {
    virtual_time(2, async {
        let server = listen();
        let (connection, mut events, mut peer) = open(&server, settings()).await;
        let began = Instant::now();
        let request = Request::json_rpc("slow", &()).unwrap().within(ms(700));
        let key = request.key().to_owned();
        let fate = ask(&connection, request).await.unwrap();
        assert!(
            matches!(fate, Err(RequestError::TimedOut { after }) if after == ms(700)),
            "{fate:?}"
        );
        assert_eq!(began.elapsed().as_millis(), 700);
        peer.read().await;
        // Its answer is late, and goes to the subscribers.
        let late = format!(r#"{{"id":{key},"result":1}}"#);
        peer.text(&late).await;
        events.expect(text(late)).await;

        // One that waits for a session until it is too late is never written.
        peer.reset();
        events.until(disconnected()).await;
        connection.send(wsvisor::Reconnect).await.unwrap().unwrap();
        let mut attempt = server.accept().await;
        let waits = Request::json_rpc("x", &()).unwrap().durable().within(ms(300));
        let fate = ask(&connection, waits).await.unwrap();
        assert!(matches!(fate, Err(RequestError::NotWritten(Unwritten::Expired))), "{fate:?}");
        attempt.shake_hands().await;
        connection.send(SendString::new("next")).await.unwrap().unwrap_err();
        events.until(connected()).await;
        connection.send(SendString::new("next")).await.unwrap().unwrap();
        assert_eq!(attempt.read().await, ClientFrame::text("next"));
    });
}

#[test]
fn every_request_in_flight_settles_with_its_session() {
    virtual_time(3, async {
        let server = listen();
        let (connection, mut events, mut peer) = open(&server, settings()).await;
        let lost = ask(&connection, Request::json_rpc("lost", &()).unwrap());
        called(&mut peer).await;
        let huge = "x".repeat(1_000_000);
        let filler = ask(&connection, Request::new(SendString::new(huge), "filler"));
        let unwritten = ask(&connection, Request::json_rpc("unwritten", &()).unwrap());
        tokio::time::sleep(ms(1)).await;
        peer.reset();
        for written in [lost, filler] {
            let fate = written.await.unwrap();
            assert!(matches!(fate, Err(RequestError::Lost(_))), "{fate:?}");
        }
        let fate = unwritten.await.unwrap();
        assert!(
            matches!(fate, Err(RequestError::NotWritten(Unwritten::SessionEnded(_)))),
            "{fate:?}"
        );
        events.until(disconnected()).await;
        let fate = ask(&connection, Request::json_rpc("x", &()).unwrap()).await.unwrap();
        assert!(matches!(fate, Err(RequestError::Refused(Refusal::NotConnected))), "{fate:?}");
    });
}

#[test]
fn keys_and_correlators_of_ones_own() {
    virtual_time(4, async {
        let server = listen();
        let settings = settings().outbox(OutboxLimits { messages: 2, bytes: 1_000 }).correlator(
            |message: Payload<'_>| Some(message.as_text()?.split_once(':')?.0.to_owned()),
        );
        let (connection, mut events, mut peer) = open(&server, settings).await;
        let request = |key: &str| Request::new(SendString::new(format!("{key}?")), key);
        let a = ask(&connection, request("a"));
        let again = ask(&connection, request("a")).await.unwrap();
        assert!(matches!(again, Err(RequestError::Refused(Refusal::KeyInFlight))), "{again:?}");
        assert_eq!(peer.read().await, ClientFrame::text("a?"));
        let b = ask(&connection, request("b"));
        assert_eq!(peer.read().await, ClientFrame::text("b?"));
        let c = ask(&connection, request("c")).await.unwrap();
        assert!(
            matches!(c, Err(RequestError::Refused(Refusal::TooManyRequests { in_flight: 2 }))),
            "{c:?}"
        );
        peer.text("b:1").await;
        assert_eq!(b.await.unwrap().unwrap().payload(), Payload::Text("b:1"));
        // Who stops asking is asked no more: the answer is a message.
        a.abort();
        assert!(a.await.is_err());
        peer.text("a:2").await;
        events.expect_all(["1 text a:2"]).await;
        // Sent without waiting, it is a message like any other, and so is its answer.
        connection.do_send(request("d"));
        assert_eq!(peer.read().await, ClientFrame::text("d?"));
        peer.text("d:3").await;
        events.expect_all(["1 text d:3"]).await;
        connection.send(Disconnect::normally()).await.unwrap();
    });
}
