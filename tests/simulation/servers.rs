//! Servers that do to each connection what chance and their mood say.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use actix_rt::task::JoinHandle;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tokio::{task::JoinSet, time::timeout};
use wsvisor::testing::{ClientFrame, Network, Peer, Script, Server, frame};

use crate::{fates::Fates, journal::Journal, plan::Fault};

/// One server of a run.
pub(crate) struct Host {
    url: String,
    network: Network,
    shared: Rc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What a server's acceptor and its streams know in common.
struct Shared {
    stormy: Cell<bool>,
    chance: RefCell<ChaCha8Rng>,
    streams: RefCell<JoinSet<()>>,
    /// Streams of this server are numbered from here on.
    next_stream: Cell<u64>,
    fates: Fates,
    journal: Journal,
}

/// A message as the users of the simulation write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum FromClient {
    Greeting { c: usize, g: u64 },
    Message { c: usize, m: u64 },
}

impl Host {
    pub(crate) fn start(
        number: usize,
        seed: u64,
        network: &Network,
        fates: &Fates,
        journal: &Journal,
    ) -> Self {
        let number = number as u64;
        let mut host = Self {
            url: format!("ws://s{number}.test"),
            network: network.clone(),
            shared: Rc::new(Shared {
                stormy: Cell::new(false),
                chance: RefCell::new(ChaCha8Rng::seed_from_u64(seed ^ (number + 1))),
                streams: RefCell::default(),
                next_stream: Cell::new(number * 1_000_000),
                fates: fates.clone(),
                journal: journal.clone(),
            }),
            acceptor: None,
        };
        host.listen();
        host
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Storm => self.shared.stormy.set(true),
            Fault::Calm => self.shared.stormy.set(false),
            Fault::Kill => {
                self.stop();
                self.end_streams();
            }
            Fault::Start => {
                if self.acceptor.is_none() {
                    self.listen();
                }
            }
            Fault::Swallow => {
                self.stop();
                self.network.swallow(&self.url);
            }
            Fault::DropAll | Fault::ResetAll => self.end_streams(),
        }
    }

    /// No fault lasts: it listens and serves well.
    pub(crate) fn recover(&mut self) {
        self.stop();
        self.end_streams();
        self.shared.stormy.set(false);
        self.listen();
    }

    fn listen(&mut self) {
        let server = self.network.listen(&self.url);
        self.acceptor = Some(actix_rt::spawn(accept_all(server, Rc::clone(&self.shared))));
    }

    fn stop(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.abort();
        }
        self.network.refuse(&self.url);
    }

    fn end_streams(&self) {
        self.shared.streams.borrow_mut().abort_all();
    }
}

async fn accept_all(server: Server, shared: Rc<Shared>) {
    loop {
        let peer = server.accept().await;
        let stream = shared.next_stream.replace(shared.next_stream.get() + 1);
        let serve = serve(peer, stream, Rc::clone(&shared));
        let mut streams = shared.streams.borrow_mut();
        while let Some(ended) = streams.try_join_next() {
            let panicked = ended.is_err_and(|error| error.is_panic());
            shared.journal.check(!panicked, "a server panicked");
        }
        streams.spawn_local(serve);
    }
}

async fn serve(peer: Peer, stream: u64, shared: Rc<Shared>) {
    let stormy = shared.stormy.get();
    let (script, then) = if stormy {
        opening(&mut shared.chance.borrow_mut())
    } else {
        (Script::new().accept(), Then::Serve)
    };
    shared.journal.note(format_args!("stream {stream}: {script}; {then:?}"));
    // A client may go at any time.
    let Ok(Some(peer)) = script.perform(peer).await else { return };
    let mut session = Session { peer, stream, sent: 0, heard: 0, shared };
    match then {
        Then::Leave => {}
        Then::Vanish => std::future::pending().await,
        Then::Serve if !stormy => session.converse().await,
        Then::Serve => {
            let lives = Duration::from_millis(*pick(&session.shared, &[0, 50, 2_000, 40_000]));
            session.begin().await;
            if timeout(lives, session.overhear()).await.is_err() {
                session.end().await;
            }
        }
    }
}

/// What follows an opening.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The stream is closed.
    Leave,
    /// Nothing, for ever.
    Vanish,
    Serve,
}

/// What a stormy server does first with a connection.
fn opening(chance: &mut ChaCha8Rng) -> (Script, Then) {
    let script = Script::new();
    let script = match chance.random_range(0..34) {
        0 | 1 => script.refuse("503 Busy", "Retry-After: 3\r\n"),
        2 => script.refuse("429 Too Many", ""),
        3 => script.refuse("502 Bad Gateway", "Content-Length: 3\r\n\r\nno!"),
        4 => script.refuse("503 Busy", "Retry-After: Wed, 01 Jan 2025 00:01:00 GMT\r\n"),
        5 => return (script.keep_silent(), Then::Vanish),
        6 => return (script.accept_slowly(Duration::from_millis(100)), Then::Serve),
        7 => script.reset(),
        8 => script.accept().reset(),
        9 => return (script.accept(), Then::Vanish),
        10 => script.answer_without_end(),
        11 => return (script.accept().half_close(), Then::Vanish),
        12 if chance.random_ratio(1, 4) => fatal(chance),
        13 => script.accept().close(1012),
        14 => script.accept().close(1013),
        15 => script.accept().close(1000),
        16 => return (script.accept().close_frame(1001), Then::Vanish),
        _ => return (script.accept(), Then::Serve),
    };
    (script, Then::Leave)
}

/// What ends a connection for good.
fn fatal(chance: &mut ChaCha8Rng) -> Script {
    let script = Script::new();
    match chance.random_range(0..12) {
        0 => script.refuse("403 Forbidden", ""),
        1 => script.accept_another_key(),
        2 => script.accept_no_key(),
        3 => script.accept_with("Sec-WebSocket-Protocol: never-offered\r\n"),
        4 => script.answer_with("SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        5 => script.accept().send(frame(0xF1, b"reserved bits")),
        6 => script.accept().send(frame(0x81, [0xFF])),
        7 => script.accept().send([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]),
        8 => script.accept().close(1008),
        9 => script.accept().close(1002),
        10 => script.accept().send([0x00, 0x00]),
        _ => script.accept().send(frame(0x88, [0x03])),
    }
}

fn pick<'a, T>(shared: &Shared, choices: &'a [T]) -> &'a T {
    &choices[shared.chance.borrow_mut().random_range(0..choices.len())]
}

/// A connection whose opening handshake is done.
struct Session {
    peer: Peer,
    stream: u64,
    sent: u64,
    /// Messages of the client.
    heard: u64,
    shared: Rc<Shared>,
}

impl Session {
    /// The next message of this stream.
    fn message(&mut self) -> Vec<u8> {
        let text = format!(r#"{{"s":{},"n":{}}}"#, self.stream, self.sent);
        self.sent += 1;
        text.into_bytes()
    }

    /// Sends messages: whole, in fragments, or slowly, with pings between.
    async fn begin(&mut self) {
        for _ in 0..*pick(&self.shared, &[0, 1, 20, 300]) {
            let message = self.message();
            let (first, second) = message.split_at(message.len() / 2);
            let bytes = match pick(&self.shared, &[0, 0, 0, 1, 2]) {
                0 => frame(0x81, &message),
                1 => [frame(0x01, first), frame(0x89, b"between"), frame(0x80, second)].concat(),
                _ => [frame(0x01, first), frame(0x00, b""), frame(0x80, second)].concat(),
            };
            let pause = Duration::from_millis(*pick(&self.shared, &[0, 0, 0, 0, 0, 0, 0, 0, 30]));
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            if self.peer.try_write(bytes).await.is_err() {
                return;
            }
        }
    }

    /// Answers each message with one of its own, until the client closes.
    async fn converse(&mut self) {
        while let Ok(received) = self.peer.try_read().await {
            match self.hear(&received) {
                Heard::Message => {
                    let answer = frame(0x81, self.message());
                    if self.peer.try_write(answer).await.is_err() {
                        return;
                    }
                }
                Heard::Ping => {
                    let _ = self.peer.try_write(frame(0x8A, received.payload)).await;
                    if self.stream % 2 == 1 {
                        // What came behind it is not read yet when the client has the pong.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                Heard::Close => {
                    return drop(self.peer.try_write(frame(0x88, received.payload)).await);
                }
                Heard::Pong => {}
            }
        }
    }

    /// Reads, and says nothing; sometimes it does not even read.
    async fn overhear(&mut self) {
        if *pick(&self.shared, &[false, false, true]) {
            std::future::pending::<()>().await;
        }
        while let Ok(received) = self.peer.try_read().await {
            let answers = *pick(&self.shared, &[true, true, false]);
            if matches!(self.hear(&received), Heard::Close) && answers {
                return drop(self.peer.try_write(frame(0x88, received.payload)).await);
            }
        }
    }

    fn hear(&mut self, received: &ClientFrame) -> Heard {
        match received.opcode {
            1 | 2 => {
                if let Err(wrong) = self.check(&received.payload) {
                    let stream = self.stream;
                    self.shared.journal.violation(format_args!("on stream {stream}: {wrong}"));
                }
                Heard::Message
            }
            8 => Heard::Close,
            9 => Heard::Ping,
            _ => Heard::Pong,
        }
    }

    fn check(&mut self, payload: &[u8]) -> Result<(), String> {
        self.heard += 1;
        match serde_json::from_slice(payload).map_err(|error| error.to_string())? {
            FromClient::Message { c, m } => self.shared.fates.read((c, m)),
            FromClient::Greeting { c, g } if self.heard != 1 => {
                return Err(format!("c{c} greets in epoch {g} with its message {}", self.heard));
            }
            FromClient::Greeting { .. } => {}
        }
        Ok(())
    }

    async fn end(mut self) {
        match *pick(&self.shared, &[0, 1, 2, 1000, 1001, 1011, 1012, 4000]) {
            0 => self.peer.reset(),
            1 => {}
            2 => drop(self.peer.half_close().await),
            code => {
                if self.peer.try_write(frame(0x88, u16::to_be_bytes(code))).await.is_ok() {
                    let wait = Duration::from_millis(*pick(&self.shared, &[0, 500]));
                    let _ = timeout(wait, self.overhear()).await;
                }
            }
        }
    }
}

enum Heard {
    Message,
    Ping,
    Pong,
    Close,
}
