//! What an idle connection takes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix::Addr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::handshake::derive_accept_key;
use wsvisor::{
    AccessPolicy, BoxedStream, ConnectionSpec, CountConnections, DialGate, Dialler, Dialling,
    SendString, StartConnection, Supervisor, Target,
    testing::{Network, Recorder, Server, connected, virtual_time},
};

use crate::{ALONE, MEMORY};

/// What an idle connection takes of a process with very many: the actor, its session and all that is
/// kept of both. Here with its life and its messages subscribed to by one who hears of all connections.
#[test]
fn an_idle_connection_takes_little() {
    const CONNECTIONS: usize = 500;
    /// As measured, what the recorder writes down of it included, and some 6 % more.
    const LIMIT: usize = 2_960;
    let _alone = ALONE.blocking_lock();
    virtual_time(1, async {
        let mut recorder = Recorder::start();
        let supervisor = Supervisor::builder()
            .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1"]).unwrap())
            .dial_gate(DialGate::unlimited())
            .dialler(Silent)
            .subscribe(recorder.lifecycle())
            .subscribe(recorder.messages())
            .start()
            .unwrap();
        let (mut before, mut grown) = (0, 0);
        // Those before the first that counts bring what is there once.
        for number in 0..=2 * CONNECTIONS {
            if number == CONNECTIONS {
                before = MEMORY.current_usage();
            }
            let spec = ConnectionSpec::string(format!("{number:04}"), "ws://127.0.0.1");
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            recorder.until(connected()).await;
            grown = MEMORY.current_usage().saturating_sub(before);
        }
        let each = grown / CONNECTIONS;
        println!("an idle connection takes {each} bytes");
        assert!(each <= LIMIT, "{each} bytes, and {LIMIT} are allowed");
    });
}

/// A server of scripts, and a supervisor that dials nothing else.
fn with_a_server() -> (Server, Addr<Supervisor>) {
    let network = Network::new();
    let server = network.listen("ws://127.0.0.1");
    let policy = AccessPolicy::from_rules(["allow ws://127.0.0.1"]).unwrap();
    (server, Supervisor::builder().policy(policy).dialler(network).start().unwrap())
}

/// What is left of an outage that a whole fleet has come back from: why the session before ended, which the
/// connection tells who asks, and that it has not been stable since.
#[test]
fn a_connection_that_came_back_takes_little_more() {
    const CONNECTIONS: usize = 500;
    const LIMIT: usize = 200;
    /// Of a second outage.
    const MORE: usize = 10;
    let _alone = ALONE.blocking_lock();
    virtual_time(1, async {
        let (server, supervisor) = with_a_server();
        for number in 0..CONNECTIONS {
            let spec = ConnectionSpec::string(format!("{number:04}"), server.url());
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        }
        let mut usage = Vec::new();
        for _ in 0..3 {
            let mut peers = Vec::new();
            for _ in 0..CONNECTIONS {
                peers.push(server.open().await);
            }
            // The handshake is answered; the connections are still to read it.
            while supervisor.send(CountConnections).await.unwrap().connected < CONNECTIONS {
                tokio::task::yield_now().await;
            }
            usage.push(MEMORY.current_usage());
        }
        let each = |from: usize| usage[from + 1].saturating_sub(usage[from]) / CONNECTIONS;
        println!("to have come back takes {} and then {} bytes", each(0), each(1));
        assert!(each(0) <= LIMIT, "{} bytes, and {LIMIT} are allowed", each(0));
        assert!(each(1) <= MORE, "another outage took {} more, and {MORE} are allowed", each(1));
    });
}

/// What is left of a message that a connection has sent: places for one more.
#[test]
fn a_connection_that_has_sent_takes_little_more() {
    const CONNECTIONS: usize = 500;
    const LIMIT: usize = 180;
    let _alone = ALONE.blocking_lock();
    virtual_time(1, async {
        let (server, supervisor) = with_a_server();
        let mut fleet = Vec::new();
        for number in 0..CONNECTIONS {
            let spec = ConnectionSpec::string(format!("{number:04}"), server.url());
            let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            fleet.push((connection, server.open().await));
        }
        let before = MEMORY.current_usage();
        for (connection, peer) in &mut fleet {
            for text in ["one", "and another"] {
                connection.send(SendString::new(text)).await.unwrap().unwrap();
                assert_eq!(peer.read().await.payload, text.as_bytes());
            }
        }
        let each = MEMORY.current_usage().saturating_sub(before) / CONNECTIONS;
        println!("to have sent takes {each} bytes");
        assert!(each <= LIMIT, "{each} bytes, and {LIMIT} are allowed");
    });
}

/// What a connection takes that waits for its turn at the gate, as a whole fleet does after its server
/// was away.
#[test]
fn a_connection_that_waits_at_the_gate_takes_little() {
    const CONNECTIONS: usize = 500;
    /// As measured, and some 6 % more.
    const LIMIT: usize = 2_870;
    let _alone = ALONE.blocking_lock();
    virtual_time(1, async {
        let supervisor = Supervisor::builder()
            .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1"]).unwrap())
            .dial_gate(DialGate::new(1, 1).unwrap())
            .dialler(Stuck)
            .start()
            .unwrap();
        let mut before = 0;
        for number in 0..=2 * CONNECTIONS {
            if number == CONNECTIONS {
                before = MEMORY.current_usage();
            }
            let spec = ConnectionSpec::string(format!("{number:04}"), "ws://127.0.0.1");
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            // Its attempt gets as far as it can.
            tokio::time::sleep(Duration::from_micros(1)).await;
        }
        let grown = MEMORY.current_usage().saturating_sub(before);
        let counts = supervisor.send(CountConnections).await.unwrap();
        assert_eq!(counts.connected, 0, "{counts:?}");
        let each = grown / CONNECTIONS;
        println!("a connection that waits at the gate takes {each} bytes");
        assert!(each <= LIMIT, "{each} bytes, and {LIMIT} are allowed");
    });
}

/// Never gets anywhere.
struct Stuck;

impl Dialler for Stuck {
    fn dial<'a>(&'a self, _: Target<'a>) -> Dialling<'a> {
        Box::pin(std::future::pending())
    }
}

/// Opens streams to a server that accepts the handshake and is silent then.
struct Silent;

impl Dialler for Silent {
    fn dial<'a>(&'a self, _: Target<'a>) -> Dialling<'a> {
        Box::pin(async { Ok(Box::new(SilentStream(None)) as BoxedStream) })
    }
}

/// The answer to the handshake, while it is to be read.
struct SilentStream(Option<String>);

impl AsyncRead for SilentStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // It wakes nobody: what it answers is there before it is read.
        let Some(answer) = self.0.take() else { return Poll::Pending };
        buffer.put_slice(answer.as_bytes());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SilentStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let key = std::str::from_utf8(bytes).ok().and_then(|head| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        });
        self.0 = key.map(|(_, key)| {
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            )
        });
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
