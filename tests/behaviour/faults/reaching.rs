//! Faults of the way to a server: rows 1 to 7 of the list in [`super`].

use std::{io::ErrorKind, time::Duration};

use tokio::net::TcpSocket;
use wsvisor::{
    AddressFate, Connect, Connection, DialError, DialPhase, ExitReason, HandshakeError, Settings,
    Timeouts,
    testing::{End, Fault as Harm, Faults, Point, Recorder, Script, connection_error},
};

use super::stage::{Fault, Next};
use crate::support::{loopback_policy, ms};

const SECOND: Duration = Duration::from_secs(1);

fn upgrade_failed(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::Dial(DialError::Upgrade(_)))
}

fn handshake_timed_out(reason: &ExitReason) -> bool {
    let limit = 10 * SECOND;
    let phase = DialPhase::Handshake;
    matches!(reason, ExitReason::Dial(DialError::Timeout { phase: p, limit: l }) if (*p, *l) == (phase, limit))
}

#[test]
fn fault_01_refused() {
    Fault::of_no_server().also_over_tcp().fails(ms(50), Next::Retries, |reason| {
        let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
        match reason {
            ExitReason::Dial(DialError::Stream { source, .. }) => refused(source),
            ExitReason::Dial(DialError::Tcp { addresses, .. }) => addresses.iter().all(
                |failure| matches!(&failure.fate, AddressFate::Failed(error) if refused(error)),
            ),
            _ => false,
        }
    });
}

#[test]
fn fault_02_syn_blackhole() {
    Fault::of_lost_packets().fails(10 * SECOND, Next::Retries, |reason| {
        let phase = DialPhase::Connect;
        matches!(reason, ExitReason::Dial(DialError::Timeout { phase: p, .. }) if *p == phase)
    });
}

/// A listener that never accepts, with a backlog that is full: the system drops the next SYN.
#[actix::test]
async fn fault_02_syn_blackhole_over_tcp() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut fill = Vec::new();
    for _ in 0..8 {
        let dial = tokio::net::TcpStream::connect(address);
        fill.push(tokio::time::timeout(ms(100), dial).await);
    }
    assert!(fill.last().is_some_and(Result::is_err), "the backlog has no end here");

    let mut events = Recorder::start();
    let timeouts = Timeouts { connect: ms(300), ..Timeouts::default() };
    let connection = Connection::string("a")
        .policy(loopback_policy())
        .settings(Settings::default().timeouts(timeouts))
        .subscribe(events.lifecycle())
        .start()
        .unwrap();
    connection.send(Connect::to(format!("ws://{address}"))).await.unwrap().unwrap();
    let timed_out = |reason: &ExitReason| match reason {
        ExitReason::Dial(DialError::Tcp { addresses, .. }) => {
            addresses.iter().all(|failure| matches!(failure.fate, AddressFate::TimedOut))
        }
        ExitReason::Dial(DialError::Timeout { phase, .. }) => *phase == DialPhase::Connect,
        _ => false,
    };
    events.expect(connection_error().because(timed_out)).await;
}

#[test]
fn fault_04_reset_during_the_handshake() {
    Fault::of(Script::new().reset()).also_over_tcp().fails(ms(50), Next::Retries, upgrade_failed);
    let in_the_answer = Faults::new().to_client(Harm::End(End::Reset, Point::Byte(40)));
    let fault = Fault::of_network(in_the_answer).also_over_tcp();
    fault.fails(ms(50), Next::Retries, upgrade_failed);
}

#[test]
fn fault_05_closed_during_the_handshake() {
    for script in [
        Script::new(),
        Script::new().keep_silent(),
        Script::new().answer_with("HTTP/1.1 101 Switching"),
    ] {
        let fault = Fault::of(script).also_over_tcp();
        fault.fails(ms(50), Next::Retries, upgrade_failed);
    }
    let half = Faults::new().to_client(Harm::End(End::HalfClose, Point::Byte(40)));
    let fault = Fault::of_network(half).also_over_tcp();
    fault.fails(ms(50), Next::Retries, upgrade_failed);
}

/// The bound is on the whole answer: it does not help a server to send now and then. The CPU time
/// is bounded for every fault.
#[test]
fn fault_06_an_answer_that_drips() {
    for (pause, bytes) in [(ms(50), 100_000), (ms(1), 15_000)] {
        let head = format!("HTTP/1.1 101 Switching Protocols\r\nX: {}", "a".repeat(bytes));
        let script = Script::new().answer_with("").drip(head, pause);
        Fault::of_careless(script).fails(10 * SECOND, Next::Retries, handshake_timed_out);
    }
    let slow = Faults::new().to_client(Harm::Throttle { bytes_per_second: 5 });
    Fault::of_network(slow).fails(10 * SECOND, Next::Retries, handshake_timed_out);
}

/// 128 KiB of a head that never ends, byte by byte and as fast as possible: each byte makes the
/// parser begin again, so the head's length is bounded (RUSTSEC-2023-0065).
#[test]
fn fault_06_a_long_head_in_single_bytes() {
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nX: {}", "a".repeat(128 << 10));
    let script = Script::new().answer_with(head).vanish();
    let chopped = Faults::new().to_client(Harm::Chop(1));
    Fault::of(script).through(chopped).fails(SECOND, Next::GivesUp, |reason| {
        matches!(reason, ExitReason::Handshake(HandshakeError::HeadTooLarge { .. }))
    });
}

#[test]
fn fault_07_silent_after_connect() {
    let silent = Script::new().keep_silent().vanish();
    Fault::of(silent).fails(10 * SECOND, Next::Retries, handshake_timed_out);
    Fault::of_network(Faults::blackhole()).fails(10 * SECOND, Next::Retries, handshake_timed_out);
}
