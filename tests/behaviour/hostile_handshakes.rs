//! What an attempt makes of answers that are not what RFC 6455 §4.2.2 asks for.

use wsvisor::{
    Connect, Connection, DialError, ExitReason, GetStatus, HandshakeError, RetryAfter, Timeouts,
};

use wsvisor::testing::UpgradeRequest as Head;

use crate::support::{alone, listen, ms, settings, string};

/// The exit reason of an attempt that the server answers so. The server then holds the stream.
async fn answered(answer: impl Fn(&Head) -> Vec<u8>) -> ExitReason {
    answered_to(|connect| connect, answer).await
}

async fn answered_to(
    with: impl Fn(Connect) -> Connect,
    answer: impl Fn(&Head) -> Vec<u8>,
) -> ExitReason {
    let server = listen();
    let (connection, mut events) = string();
    connection.send(with(Connect::to(server.url()))).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    let answer = answer(&peer.request().await);
    let _ = peer.try_write(answer).await;
    events.expect_all(["1 ConnectionError…"]).await;
    peer.read_end().await;
    connection.send(GetStatus).await.unwrap().last_exit.unwrap()
}

fn handshake_error(reason: ExitReason) -> HandshakeError {
    match reason {
        ExitReason::Handshake(error) => error,
        other => panic!("not a handshake error: {other}"),
    }
}

#[actix::test]
async fn statuses_are_told_with_their_hints() {
    let cases = [
        ("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"x\"", 401, None, false, true),
        ("404 Not Found\r\nContent-Length: 3\r\n\r\nno!", 404, None, false, false),
        ("503 Busy\r\nRetry-After: 7", 503, Some(RetryAfter::Delay(ms(7_000))), false, false),
        ("301 Moved\r\nLocation: ws://elsewhere/", 301, None, true, false),
        ("200 OK", 200, None, false, false),
    ];
    for (status, code, retry_after, has_location, has_challenge) in cases {
        let error =
            handshake_error(answered(|_| format!("HTTP/1.1 {status}\r\n\r\n").into_bytes()).await);
        let expected = HandshakeError::Status { code, retry_after, has_location, has_challenge };
        assert_eq!(error, expected, "{status}");
    }
}

#[actix::test]
async fn a_wrong_101_is_refused() {
    use HandshakeError as E;
    type Case = (&'static str, fn(&Head) -> String, fn(&HandshakeError) -> bool);
    let cases: &[Case] = &[
        (
            "no Upgrade",
            |head| head.acceptance("").replace("Upgrade: websocket\r\n", ""),
            |error| matches!(error, E::NotUpgraded { header: "Upgrade", .. }),
        ),
        (
            "Upgrade to something else",
            |head| head.acceptance("").replace("websocket", "xwebsockety"),
            |error| matches!(error, E::NotUpgraded { header: "Upgrade", .. }),
        ),
        (
            "no Connection",
            |head| head.acceptance("").replace("Connection: Upgrade\r\n", ""),
            |error| matches!(error, E::NotUpgraded { header: "Connection", .. }),
        ),
        (
            "no Accept",
            |head| head.acceptance("").replace("Sec-WebSocket-Accept", "X-Accept"),
            |error| matches!(error, E::MissingAccept),
        ),
        (
            "another key's Accept",
            |head| head.acceptance("").replace(&head.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            |error| matches!(error, E::WrongAccept),
        ),
        (
            "two Accepts",
            |head| head.acceptance(&format!("Sec-WebSocket-Accept: {}\r\n", head.accept())),
            |error| matches!(error, E::RepeatedHeader { .. }),
        ),
        (
            "subprotocol that was not offered",
            |head| head.acceptance("Sec-WebSocket-Protocol: chat\r\n"),
            |error| matches!(error, E::UnofferedSubprotocol(name) if name == "chat"),
        ),
        (
            "extension that was not offered",
            |head| head.acceptance("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            |error| matches!(error, E::UnofferedExtension(_)),
        ),
        (
            "HTTP/1.0",
            |head| head.acceptance("").replace("HTTP/1.1", "HTTP/1.0"),
            |error| matches!(error, E::HttpVersion),
        ),
    ];
    for (what, answer, expected) in cases {
        let error = handshake_error(answered(|head| answer(head).into_bytes()).await);
        assert!(expected(&error), "{what}: {error:?}");
    }
}

#[actix::test]
async fn what_is_not_http_is_told_as_such() {
    for garbage in [b"SSH-2.0-OpenSSH_9.6\r\n\r\n".as_slice(), b"\x16\x03\x01\0\x01\0\r\n\r\n"] {
        let error = handshake_error(answered(|_| garbage.to_vec()).await);
        assert!(matches!(error, HandshakeError::NotHttp(_)), "{error:?}");
    }
}

#[actix::test]
async fn a_head_without_end_is_cut() {
    let many = "X-Many: endless\r\n".repeat(5_000);
    for endless in [many, format!("X-Long: {}", "a".repeat(200_000))] {
        let error = handshake_error(
            answered(|_| format!("HTTP/1.1 101 Switching Protocols\r\n{endless}").into_bytes())
                .await,
        );
        assert!(
            matches!(error, HandshakeError::HeadTooLarge { .. } | HandshakeError::NotHttp(_)),
            "{error:?}"
        );
    }
}

#[actix::test]
async fn interim_answers_are_read_past() {
    let server = listen();
    let (connection, mut events) = string();
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    let head = peer.request().await;
    peer.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
    peer.write(head.acceptance("")).await;
    events.expect_all(["1 Connected"]).await;

    let error = handshake_error(
        answered(|_| "HTTP/1.1 100 Continue\r\n\r\n".repeat(100).into_bytes()).await,
    );
    assert!(matches!(error, HandshakeError::TooManyInformational { .. }), "{error:?}");
}

#[actix::test]
async fn a_server_that_hangs_up_is_a_failed_attempt() {
    for said in ["", "HTTP/1.1 101 Switching"] {
        let server = listen();
        let (connection, mut events) = string();
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.accept().await;
        peer.request().await;
        peer.write(said).await;
        drop(peer);
        events
            .expect_all(["1 ConnectionError: cannot connect: the connection failed during…"])
            .await;
        let exit = connection.send(GetStatus).await.unwrap().last_exit;
        assert!(matches!(exit, Some(ExitReason::Dial(DialError::Upgrade(_)))), "{said}: {exit:?}");
    }
}

/// The limit is on the whole answer, so that it does not help a server to send now and then.
#[actix::test]
async fn a_dribbling_server_is_given_up_in_time() {
    let server = listen();
    let timeouts = Timeouts { handshake: ms(100), ..Timeouts::default() };
    let (connection, mut events) =
        alone(Connection::string("a").settings(settings().timeouts(timeouts)));
    connection.send(Connect::to(server.url())).await.unwrap().unwrap();
    let mut peer = server.accept().await;
    let head = peer.request().await.acceptance("");
    let dribble = async {
        let mut tick = tokio::time::interval(ms(5));
        for byte in head.bytes() {
            tick.tick().await;
            let _ = peer.try_write([byte]).await;
        }
    };
    tokio::select! {
        () = dribble => panic!("the client waited for the last byte"),
        () = events.expect_all(["1 ConnectionError: cannot connect: the opening handshake took…"]) => {}
    }
}

#[actix::test]
async fn offered_subprotocols_do_not_excuse_another() {
    let error = handshake_error(
        answered_to(
            |connect| connect.subprotocol("v1").subprotocol("v2"),
            |head| head.acceptance("Sec-WebSocket-Protocol: V1\r\n").into_bytes(),
        )
        .await,
    );
    assert_eq!(error, HandshakeError::UnofferedSubprotocol("V1".into()));
}
