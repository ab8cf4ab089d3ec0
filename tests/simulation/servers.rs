//! Servers that do to each connection what chance and their mood say.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    rc::Rc,
    time::Duration,
};

use actix_rt::task::JoinHandle;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use wsvisor::testing::{ClientFrame, Network, Peer, Script, Server, frame};

use crate::{
    fates::{Fates, Name},
    journal::Journal,
    openings::{Then, opening},
    plan::Fault,
};

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
    /// Until then it reads nothing.
    dozes_until: Cell<Instant>,
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
    Greeting {
        c: usize,
        g: u64,
    },
    /// To the message of this stream with this number.
    Reply {
        s: u64,
        r: u64,
    },
    Message {
        c: usize,
        m: u64,
        /// Of a request: after so many milliseconds each.
        answers: Option<Vec<u64>>,
    },
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
                dozes_until: Cell::new(Instant::now()),
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
            Fault::Doze(time) => self.shared.dozes_until.set(Instant::now() + time),
        }
    }

    /// No fault lasts: it listens and serves well.
    pub(crate) fn recover(&mut self) {
        self.stop();
        self.end_streams();
        self.shared.stormy.set(false);
        self.shared.dozes_until.set(Instant::now());
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
    let mut session = Session {
        peer,
        stream,
        sent: 0,
        replied: 0,
        heard: 0,
        due: BTreeMap::new(),
        turns: 0,
        shared,
    };
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

fn pick<'a, T>(shared: &Shared, choices: &'a [T]) -> &'a T {
    &choices[shared.chance.borrow_mut().random_range(0..choices.len())]
}

/// A connection whose opening handshake is done.
struct Session {
    peer: Peer,
    stream: u64,
    sent: u64,
    /// Messages that were replied to.
    replied: u64,
    /// Messages of the client that are no replies.
    heard: u64,
    /// Requests that are to be answered, by the time and the turn.
    due: BTreeMap<(Instant, u64), Name>,
    turns: u64,
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
                sleep(pause).await;
            }
            if self.peer.try_write(bytes).await.is_err() {
                return;
            }
        }
    }

    /// Answers each message with one of its own, until the client closes.
    async fn converse(&mut self) {
        while let Ok(received) = self.read().await {
            match self.hear(&received) {
                Heard::Message => {
                    if self.stream.is_multiple_of(3) && self.heard.is_multiple_of(4) {
                        // RFC 6455 §5.5.3: a pong that nobody asked for. What came behind the message is not
                        // read yet when the client has it.
                        let _ = self.peer.try_write(frame(0x8A, b"unasked!")).await;
                        sleep(Duration::from_millis(5)).await;
                    }
                    let answer = frame(0x81, self.message());
                    if self.peer.try_write(answer).await.is_err() {
                        return;
                    }
                }
                Heard::Ping => {
                    let _ = self.peer.try_write(frame(0x8A, received.payload)).await;
                    if self.stream % 2 == 1 {
                        // What came behind it is not read yet when the client has the pong.
                        sleep(Duration::from_millis(5)).await;
                    }
                }
                Heard::Close => {
                    return drop(self.peer.try_write(frame(0x88, received.payload)).await);
                }
                Heard::Pong | Heard::Reply => {}
            }
        }
    }

    /// Reads, and says nothing; sometimes it does not even read.
    async fn overhear(&mut self) {
        if *pick(&self.shared, &[false, false, true]) {
            std::future::pending::<()>().await;
        }
        while let Ok(received) = self.read().await {
            let answers = *pick(&self.shared, &[true, true, false]);
            let heard = self.hear(&received);
            self.due.clear();
            if matches!(heard, Heard::Close) && answers {
                return drop(self.peer.try_write(frame(0x88, received.payload)).await);
            }
        }
    }

    /// The client's next frame. Requests are answered meanwhile.
    async fn read(&mut self) -> io::Result<ClientFrame> {
        loop {
            let until = self.shared.dozes_until.get();
            if until > Instant::now() {
                sleep_until(until).await;
                continue;
            }
            let Some((&(at, _), &request)) = self.due.first_key_value() else {
                return self.peer.try_read().await;
            };
            tokio::select! {
                biased;
                () = sleep_until(at) => {}
                read = self.peer.try_read() => return read,
            }
            self.due.pop_first();
            self.answer(request).await?;
        }
    }

    async fn answer(&mut self, (c, m): Name) -> io::Result<()> {
        self.shared.fates.answers((c, m));
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{m},"to":{c},"result":{}}}"#, self.stream);
        self.peer.try_write(frame(0x81, answer)).await
    }

    fn hear(&mut self, received: &ClientFrame) -> Heard {
        match received.opcode {
            1 | 2 => self.check(&received.payload).unwrap_or_else(|wrong| {
                let stream = self.stream;
                self.shared.journal.violation(format_args!("on stream {stream}: {wrong}"));
                Heard::Message
            }),
            8 => Heard::Close,
            9 => Heard::Ping,
            _ => Heard::Pong,
        }
    }

    fn check(&mut self, payload: &[u8]) -> Result<Heard, String> {
        let message = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        if let FromClient::Reply { s, r } = message {
            let is_next = (s, r) == (self.stream, self.replied) && r < self.sent;
            self.replied = r + 1;
            return if is_next {
                Ok(Heard::Reply)
            } else {
                Err(format!("the reply to {r} of stream {s} does not come next (I22)"))
            };
        }
        self.heard += 1;
        match message {
            FromClient::Message { c, m, answers } => {
                self.shared.fates.read((c, m));
                for ms in answers.unwrap_or_default() {
                    self.turns += 1;
                    let at = Instant::now() + Duration::from_millis(ms);
                    self.due.insert((at, self.turns), (c, m));
                }
            }
            FromClient::Greeting { c, g } if self.heard != 1 => {
                return Err(format!("c{c} greets in epoch {g} with its message {}", self.heard));
            }
            FromClient::Greeting { .. } | FromClient::Reply { .. } => {}
        }
        Ok(Heard::Message)
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
    Reply,
    Ping,
    Pong,
    Close,
}
