//! Faults of the opening handshake: rows 8 to 18 of the list in [`super`].

use std::time::Duration;

use wsvisor::{
    ConnectionSpec, ExitReason, HandshakeError, RedirectRefused, RetryAfter,
    testing::{Script, UpgradeRequest},
};

use super::stage::{Fault, Next};
use crate::support::ms;

/// No time passes but that of the dial.
const AT_ONCE: Duration = ms(50);

/// The server answers so and waits for the client to hang up.
fn answered(answer: fn(&UpgradeRequest) -> String) -> Script {
    Script::new().answer_by(answer).expect_end()
}

fn refused(status: &str, headers: &str) -> Script {
    Script::new().refuse(status, headers).expect_end()
}

/// The opening handshake fails so, and no other attempt is made.
macro_rules! for_good {
    ($fault:expr, $($pattern:tt)+) => {
        $fault.fails(AT_ONCE, Next::GivesUp, |reason| {
            matches!(reason, ExitReason::Handshake($($pattern)+))
        })
    };
}

#[test]
fn fault_08_garbage_instead_of_http() {
    for garbage in
        [&b"SSH-2.0-OpenSSH_9.6\r\n\r\n"[..], b"\x16\x03\x01\0\x01\0\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        let script = Script::new().answer_with(garbage).expect_end();
        for_good!(Fault::of(script).also_over_tcp(), HandshakeError::NotHttp(_));
    }
}

#[test]
fn fault_09_a_head_without_end() {
    let many = "X-Many: endless\r\n".repeat(5_000);
    let long = format!("X-Long: {}", "a".repeat(200_000));
    let head = |rest| format!("HTTP/1.1 101 Switching Protocols\r\n{rest}");
    for script in [
        Script::new().answer_with(head(many)),
        Script::new().answer_with(head(long)),
        Script::new().answer_without_end(),
    ] {
        let fault = Fault::of(script.expect_end()).also_over_tcp();
        for_good!(fault, HandshakeError::HeadTooLarge { .. } | HandshakeError::NotHttp(_));
    }
}

#[test]
fn fault_10_wrong_missing_and_doubled_accept_key() {
    let wrong = Script::new().accept_another_key().expect_end();
    for_good!(Fault::of(wrong).also_over_tcp(), HandshakeError::WrongAccept);
    let missing = Script::new().accept_no_key().expect_end();
    for_good!(Fault::of(missing), HandshakeError::MissingAccept);
    let doubled = answered(|request| {
        request.acceptance(&format!("Sec-WebSocket-Accept: {}\r\n", request.accept()))
    });
    for_good!(Fault::of(doubled), HandshakeError::RepeatedHeader { .. });
}

#[test]
fn fault_10_an_upgrade_to_something_else() {
    let cases: [fn(&UpgradeRequest) -> String; 4] = [
        |request| request.acceptance("").replace("Upgrade: websocket\r\n", ""),
        |request| request.acceptance("").replace("websocket", "xwebsockety"),
        |request| request.acceptance("").replace("Connection: Upgrade\r\n", ""),
        |request| request.acceptance("").replace("Connection: Upgrade", "Connection: close"),
    ];
    for answer in cases {
        for_good!(Fault::of(answered(answer)), HandshakeError::NotUpgraded { .. });
    }
}

/// Ambiguous framing of the answer (CVE-2021-38512, CVE-2026-1525): no byte is taken for a frame
/// that may be something else.
#[test]
fn fault_10_where_frames_begin_is_ambiguous() {
    for header in ["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"] {
        let script = Script::new().accept_with(header).send_text("smuggled").expect_end();
        for_good!(
            Fault::of(script),
            HandshakeError::AnnouncesBody { .. } | HandshakeError::NotHttp(_)
        );
    }
    let cases: [fn(&UpgradeRequest) -> String; 3] = [
        // Two status lines.
        |request| format!("HTTP/1.1 101 Switching Protocols\r\n{}", request.acceptance("")),
        // A folded header.
        |request| request.acceptance("X-Folded: one\r\n two\r\n"),
        // A header without a name.
        |request| request.acceptance(": nameless\r\n"),
    ];
    for answer in cases {
        for_good!(Fault::of(answered(answer)), HandshakeError::NotHttp(_));
    }
}

#[test]
fn fault_11_interim_answers_without_end() {
    let endless = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(9);
    let script = Script::new().answer_with(endless).vanish();
    let fault = Fault::of(script).also_over_tcp();
    for_good!(fault, HandshakeError::TooManyInformational { limit: 8 });
}

/// They are read past, in whatever pieces they come, and the session is like any other.
#[test]
fn fault_11_eight_interim_answers() {
    let script = Script::new().answer_by(|request| {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        [interim.repeat(4), request.acceptance("")].concat()
    });
    let script = script.send_text("hello").close(1001);
    let fault = Fault::of(script).after_hearing(&["hello"]).also_over_tcp();
    fault.breaks(ms(50), 1001, Next::Retries, |reason| {
        matches!(reason, ExitReason::ClosedByPeer(_))
    });
}

#[test]
fn fault_12_redirects_are_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let script = refused(status, "Location: ws://neighbour.test/?token=secret\r\n");
        Fault::of(script).fails(AT_ONCE, Next::GivesUp, |reason| {
            !format!("{reason} {reason:?}").contains("secret")
                && matches!(
                    reason,
                    ExitReason::Redirect {
                        status: 301..=308,
                        refused: RedirectRefused::NotFollowed { .. },
                    }
                )
        });
    }
}

#[test]
fn fault_13_unauthorised() {
    let script = refused("401 Unauthorized", "WWW-Authenticate: Bearer realm=\"x\"\r\n");
    let fault = Fault::of(script).also_over_tcp();
    for_good!(fault, HandshakeError::Status { code: 401, has_challenge: true, .. });
    let script = refused("403 Forbidden", "");
    for_good!(Fault::of(script), HandshakeError::Status { code: 403, .. });
    let script = refused("407 Proxy Authentication Required", "");
    for_good!(Fault::of(script), HandshakeError::Status { code: 407, .. });
}

#[test]
fn fault_14_retry_after() {
    let seven = Duration::from_secs(7);
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let script = refused(status, "Retry-After: 7\r\n");
        Fault::of(script).fails(AT_ONCE, Next::NotBefore(seven), |reason| {
            let seven = Some(RetryAfter::Delay(Duration::from_secs(7)));
            matches!(reason, ExitReason::Handshake(HandshakeError::Status { retry_after, .. }) if *retry_after == seven)
        });
    }
}

/// A server cannot put a connection to sleep for longer than ten minutes.
#[test]
fn fault_14_retry_after_a_thousand_years() {
    for value in ["99999999999999999999", "31536000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let script = refused("503 Service Unavailable", &format!("Retry-After: {value}\r\n"));
        let ten_minutes = Duration::from_mins(10);
        Fault::of(script).fails(
            AT_ONCE,
            Next::Within(ten_minutes, ten_minutes + ms(5_000)),
            |reason| {
                matches!(reason, ExitReason::Handshake(HandshakeError::Status { code: 503, .. }))
            },
        );
    }
}

#[test]
fn fault_15_other_answers() {
    let captive = "Content-Type: text/html\r\nContent-Length: 17\r\n";
    let portal = format!("HTTP/1.1 200 OK\r\n{captive}\r\n<h1>Sign in</h1>\r\n");
    let script = Script::new().answer_with(portal).expect_end();
    for_good!(Fault::of(script).also_over_tcp(), HandshakeError::Status { code: 200, .. });
    for status in ["404 Not Found", "426 Upgrade Required", "400 Bad Request"] {
        let script = refused(status, "Content-Length: 0\r\n");
        for_good!(Fault::of(script), HandshakeError::Status { code: 400..=499, .. });
    }
    for status in ["500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout"] {
        let script = refused(status, "");
        Fault::of(script).fails(AT_ONCE, Next::Retries, |reason| {
            matches!(reason, ExitReason::Handshake(HandshakeError::Status { code: 500..=599, .. }))
        });
    }
}

fn offering_two(spec: ConnectionSpec) -> ConnectionSpec {
    spec.subprotocol("v1").subprotocol("v2")
}

#[test]
fn fault_16_a_subprotocol_that_was_not_offered() {
    let chat = || Script::new().accept_with("Sec-WebSocket-Protocol: chat\r\n").expect_end();
    for_good!(Fault::of(chat()).also_over_tcp(), HandshakeError::UnofferedSubprotocol(_));
    for_good!(Fault::of(chat()).asking(offering_two), HandshakeError::UnofferedSubprotocol(_));
    // Names are compared as they are.
    let upper = Script::new().accept_with("Sec-WebSocket-Protocol: V1\r\n").expect_end();
    for_good!(Fault::of(upper).asking(offering_two), HandshakeError::UnofferedSubprotocol(_));
    let both = Script::new().accept_with("Sec-WebSocket-Protocol: v1, v2\r\n").expect_end();
    for_good!(Fault::of(both).asking(offering_two), HandshakeError::UnofferedSubprotocol(_));
}

/// The server accepts and picks none.
#[test]
fn fault_16_a_subprotocol_that_is_required_is_missing() {
    let requiring = |spec: ConnectionSpec| spec.subprotocol("v1").require_subprotocol();
    let fault = Fault::of(Script::new().accept().expect_end()).asking(requiring);
    for_good!(fault.also_over_tcp(), HandshakeError::NoSubprotocol);
}

/// Whatever their parameters are (CVE-2026-2229).
#[test]
fn fault_17_an_extension_that_was_not_offered() {
    for extension in [
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=99",
        "permessage-deflate; server_max_window_bits=-1; client_max_window_bits=\"\"",
        "x-webkit-deflate-frame",
        "permessage-bzip2; =; ;",
    ] {
        let script =
            Script::new().accept_with(format!("Sec-WebSocket-Extensions: {extension}\r\n"));
        for_good!(Fault::of(script.expect_end()), HandshakeError::UnofferedExtension(_));
    }
}

#[test]
fn fault_18_another_version_of_http() {
    let old = answered(|request| request.acceptance("").replace("HTTP/1.1", "HTTP/1.0"));
    for_good!(Fault::of(old).also_over_tcp(), HandshakeError::HttpVersion);
    // The preface of HTTP/2 with an empty SETTINGS frame.
    let preface = Script::new().answer_with(&b"\0\0\0\x04\0\0\0\0\0"[..]).vanish();
    Fault::of(preface).fails(10 * Duration::from_secs(1), Next::GivesUp, |reason| {
        matches!(reason, ExitReason::Handshake(HandshakeError::NotHttp(_)))
    });
}
