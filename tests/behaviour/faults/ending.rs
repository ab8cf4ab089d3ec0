//! Ends of a session, from either side: rows 28 to 33 of the list in [`super`].

use std::time::Duration;

use wsvisor::{
    Connect, Connection, Disconnect, ExitReason, Settings, Timeouts,
    testing::{
        End, Fault as Harm, Faults, Network, Point, Recorder, Script, connected, disconnected,
        frame, virtual_time,
    },
};

use super::stage::{Fault, Next};
use crate::support::{loopback_policy, ms};

const SECOND: Duration = Duration::from_secs(1);

fn closes(code: u16) -> Fault {
    Fault::of(Script::new().accept().send_text("before").close(code))
        .after_hearing(&["before"])
        .also_over_tcp()
}

fn by_peer(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::ClosedByPeer(_))
}

/// Each code has its class; the table of all is in `lifecycle::class`.
#[test]
fn fault_28_the_server_closes() {
    for code in [1001, 1011, 1014, 4000] {
        closes(code).breaks(ms(100), code, Next::Retries, by_peer);
    }
    // Service restart: 5 to 30 seconds.
    let restart = Next::Within(Duration::from_secs(5), Duration::from_secs(30));
    let fault = Fault::of(Script::new().accept().close(1012));
    fault.breaks(ms(100), 1012, restart, by_peer);
    for code in [1002, 1003, 1007, 1008, 1009, 1010] {
        let fault = Fault::of(Script::new().accept().close(code));
        fault.breaks(ms(100), code, Next::GivesUp, by_peer);
    }
}

/// Within 100 ms, with the code that was sent, whatever the peer says beside it.
#[test]
fn fault_28_the_close_is_answered() {
    for (payload, answer) in [
        (b"\x03\xE9".to_vec(), b"\x03\xE9".to_vec()),
        ([b"\x03\xE9".to_vec(), vec![b'x'; 123]].concat(), b"\x03\xE9".to_vec()),
    ] {
        let expected = wsvisor::testing::ClientFrame { opcode: 8, payload: answer };
        let script = Script::new().accept().send(frame(0x88, payload)).expect(expected);
        Fault::of(script.expect_end()).breaks(ms(100), 1001, Next::Retries, by_peer);
    }
}

/// What a server says may forge no line of a log.
#[test]
fn fault_28_the_reason_is_escaped() {
    let reason = "bye\r\nERROR all is lost \u{1B}[31m\u{202E}\0";
    let payload = [&1001_u16.to_be_bytes(), reason.as_bytes()].concat();
    let script = Script::new().accept().send(frame(0x88, payload)).expect_end();
    Fault::of(script).breaks(ms(100), 1001, Next::Retries, |exit| {
        let lines = [exit.to_string(), format!("{exit:?}")];
        for line in lines {
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202E}'), "{line:?}");
            assert!(line.contains(r"bye\r\nERROR"), "{line}");
        }
        exit.close_reason() == "bye\r\nERROR all is lost \u{1B}[31m\u{202E}\0"
    });
}

/// Our close frame is not answered: the session is cut after its time.
#[test]
fn fault_29_our_close_is_not_answered() {
    for (close, silent) in [
        (5 * SECOND, Script::new().accept().expect_close().vanish()),
        (2 * SECOND, Script::new().accept().vanish()),
    ] {
        virtual_time(1, async {
            let network = Network::new();
            let server = network.listen("ws://127.0.0.1:80").play([silent]);
            let mut events = Recorder::start();
            let timeouts = Timeouts { close, ..Timeouts::default() };
            let connection = Connection::string("a")
                .policy(loopback_policy())
                .settings(Settings::default().dialler(network.clone()).timeouts(timeouts))
                .subscribe(events.lifecycle())
                .start()
                .unwrap();
            connection.send(Connect::to(server.url())).await.unwrap().unwrap();
            events.expect(connected()).await;
            let began = tokio::time::Instant::now();
            connection.send(Disconnect::normally()).await.unwrap();
            let unanswered = |reason: &ExitReason| matches!(reason, ExitReason::CloseUnanswered);
            events.expect(disconnected().code(1006).clean(false).because(unanswered)).await;
            assert!(began.elapsed() <= close + ms(50), "{:?}", began.elapsed());
            assert_eq!(network.live(server.url()), 0, "the stream is given back");
        });
    }
}

/// Data, pings and another close after a close frame are not looked at; both sides may close at
/// once. There is one end, as for every fault here.
#[test]
fn fault_30_frames_after_a_close_frame() {
    for more in [
        frame(0x81, "too late"),
        frame(0x89, "ping"),
        frame(0x88, 1011_u16.to_be_bytes()),
        vec![0xFF; 100],
        frame(0x81, vec![b'x'; 100_000]),
    ] {
        let close = frame(0x88, 1001_u16.to_be_bytes());
        let script = Script::new().accept().send([close, more].concat()).expect_end();
        Fault::of(script).breaks(ms(100), 1001, Next::Retries, by_peer);
    }
}

fn eof(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Eof { mid_message: false })
}

fn eof_inside_a_message(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Eof { mid_message: true })
}

fn reset(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[test]
fn fault_31_the_stream_ends_without_a_close_frame() {
    let fault = Fault::of(Script::new().accept().send_text("before"));
    fault.after_hearing(&["before"]).also_over_tcp().breaks(ms(50), 1006, Next::Retries, eof);
}

/// What is not whole is not delivered.
#[test]
fn fault_32_the_stream_ends_inside_a_frame() {
    let cut = [frame(0x81, "before"), vec![0x81, 10, b'h', b'a', b'l', b'f']].concat();
    for bytes in [cut, [frame(0x81, "before"), frame(0x01, "half")].concat()] {
        let fault = Fault::of(Script::new().accept().send(bytes.clone()));
        fault.after_hearing(&["before"]).also_over_tcp().breaks(
            ms(50),
            1006,
            Next::Retries,
            eof_inside_a_message,
        );
        // A reset may overtake the bytes before it, but not where it comes from the network.
        let script = Script::new().accept().send(bytes).pause(ms(100)).reset();
        let fault = Fault::of(script).after_hearing(&["before"]).also_over_tcp();
        fault.breaks(ms(200), 1006, Next::Retries, reset);
    }
}

#[test]
fn fault_32_the_network_resets_an_open_session() {
    let after_the_answer = Faults::new().both(Harm::End(End::Reset, Point::Time(SECOND)));
    let fault = Fault::of_network(after_the_answer).after_saying(&["one", "two"]);
    fault.after_hearing(&["one", "two"]).also_over_tcp().breaks(
        SECOND + ms(50),
        1006,
        Next::Retries,
        reset,
    );
}

/// The server sends no more and reads on: the session is over, for it could answer nothing.
#[test]
fn fault_33_the_server_half_closes() {
    let script = Script::new().accept().send_text("before").half_close().expect_end();
    Fault::of(script)
        .after_hearing(&["before"])
        .after_saying(&["one", "two"])
        .also_over_tcp()
        .breaks(ms(50), 1006, Next::Retries, eof);
    let half = Faults::new().to_client(Harm::End(End::HalfClose, Point::Time(SECOND)));
    let fault = Fault::of_network(half).also_over_tcp();
    fault.breaks(SECOND + ms(50), 1006, Next::Retries, eof);
}
