//! A dialler that counts: no connection has two sockets, and nothing is dialled after a shutdown.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use wsvisor::{BoxedStream, Dialler, Dialling, Target, testing::Network};

use crate::{
    TOLD_TO_PANIC,
    fates::{Fates, GRAIN, Place},
    journal::Journal,
    send::answered_by,
    tap::{Tap, Written, field},
    terms::{Manners, Ready},
};

/// Dials into the network, and knows each connection by its URL's path, `/home/id`.
#[derive(Clone)]
pub(crate) struct Watch {
    network: Network,
    journal: Journal,
    fates: Fates,
    sockets: Arc<Mutex<Sockets>>,
}

#[derive(Default)]
struct Sockets {
    /// Dials under way and open streams.
    live: BTreeMap<String, usize>,
    /// Homes that were shut down.
    closed: BTreeSet<String>,
    /// How long a peer may be silent before its session has to be given up, by path.
    patience: BTreeMap<String, Duration>,
    /// Paths whose next dial panics, as a dialler with a bug does.
    crashing: BTreeSet<String>,
    /// By path.
    manners: BTreeMap<String, Manners>,
    /// Paths that may have two sockets at a time.
    rotating: BTreeSet<String>,
    /// Paths to which answers come.
    asking: BTreeSet<String>,
    /// Streams so far.
    streams: u64,
    /// When somebody said last that the session is ready, by path.
    marked: BTreeMap<String, Instant>,
}

/// One dial or stream, counted as long as it lives.
struct Ticket {
    path: String,
    sockets: Arc<Mutex<Sockets>>,
}

impl Watch {
    pub(crate) fn over(network: Network, fates: &Fates, journal: Journal) -> Self {
        Self { network, journal, fates: fates.clone(), sockets: Arc::default() }
    }

    pub(crate) fn live(&self, path: &str) -> usize {
        lock(&self.sockets).live.get(path).copied().unwrap_or(0)
    }

    /// Paths that have sockets.
    pub(crate) fn all_live(&self) -> Vec<String> {
        let sockets = lock(&self.sockets);
        sockets.live.iter().filter(|(_, count)| **count > 0).map(|(path, _)| path.clone()).collect()
    }

    /// From now on, nothing of this home may be dialled (I6).
    pub(crate) fn close(&self, home: &str) {
        lock(&self.sockets).closed.insert(home.to_owned());
    }

    pub(crate) fn crash_next(&self, path: &str) {
        lock(&self.sockets).crashing.insert(path.to_owned());
    }

    /// From now on, no stream of this path lives on for longer than this after its peer was heard last
    /// (I10).
    pub(crate) fn bear_silence(&self, path: &str, limit: Duration) {
        lock(&self.sockets).patience.insert(path.to_owned(), limit);
    }

    /// From now on, sessions of this path, a connection's of this number, are replaced while they are up.
    pub(crate) fn bear_two(&self, path: &str, member: usize) {
        lock(&self.sockets).rotating.insert(path.to_owned());
        self.fates.rotates(member);
    }

    /// From now on, answers may come to this path.
    pub(crate) fn hear_answers(&self, path: &str) {
        lock(&self.sockets).asking.insert(path.to_owned());
    }

    /// From now on, sessions of this path are begun so.
    pub(crate) fn expect(&self, path: &str, manners: Manners) {
        lock(&self.sockets).manners.insert(path.to_owned(), manners);
    }

    /// Somebody says that the session of this path is ready.
    pub(crate) fn marked(&self, path: &str) {
        lock(&self.sockets).marked.insert(path.to_owned(), Instant::now());
    }

    fn enter(&self, path: &str) -> Ticket {
        let mut sockets = lock(&self.sockets);
        let home = path.split('/').nth(1).unwrap_or_default();
        self.journal.check(
            !sockets.closed.contains(home),
            format_args!("{path} dials after its shutdown began (I6)"),
        );
        let most = if sockets.rotating.contains(path) { 2 } else { 1 };
        let live = sockets.live.entry(path.to_owned()).or_default();
        *live += 1;
        self.journal.check(*live <= most, format_args!("{path} has {live} sockets (I1)"));
        Ticket { path: path.to_owned(), sockets: Arc::clone(&self.sockets) }
    }
}

fn lock(sockets: &Mutex<Sockets>) -> MutexGuard<'_, Sockets> {
    sockets.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(live) = lock(&self.sockets).live.get_mut(&self.path) {
            *live -= 1;
        }
    }
}

impl Dialler for Watch {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        Box::pin(async move {
            let path = target.url().request_target();
            self.journal.note(format_args!("{path} dials"));
            let ticket = self.enter(path);
            let crashes = lock(&self.sockets).crashing.remove(path);
            assert!(!crashes, "{TOLD_TO_PANIC}");
            let stream = self.network.dial(target).await?;
            let mut sockets = lock(&self.sockets);
            sockets.streams += 1;
            let patience = sockets.patience.get(path).copied();
            let manners = sockets.manners.get(path).copied();
            let now = Instant::now();
            Ok(Box::new(Counted {
                stream,
                ticket,
                patience,
                manners,
                asks: sockets.asking.contains(path),
                stream_number: sockets.streams,
                tap: Tap::default(),
                pace: None,
                opened: now,
                heard: now,
                turns: (now, 0),
                fates: self.fates.clone(),
                journal: self.journal.clone(),
            }) as BoxedStream)
        })
    }
}

struct Counted {
    stream: BoxedStream,
    ticket: Ticket,
    patience: Option<Duration>,
    manners: Option<Manners>,
    asks: bool,
    stream_number: u64,
    tap: Tap,
    /// When the next message would come if all kept the send limit's pace.
    pace: Option<Instant>,
    opened: Instant,
    heard: Instant,
    /// When it was read last, and how often at that moment.
    turns: (Instant, u32),
    fates: Fates,
    journal: Journal,
}

impl Counted {
    /// A session that runs without end keeps the time from passing: nothing else would tell of it.
    fn take_turn(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let (last, turns) = &mut self.turns;
        *turns = if *last == now { *turns + 1 } else { 0 };
        *last = now;
        if *turns < MOST_TURNS {
            return Ok(());
        }
        *turns = 0;
        let path = &self.ticket.path;
        self.journal.violation(format_args!("{path} reads without end at one moment (I18)"));
        Err(io::ErrorKind::TimedOut.into())
    }

    /// A message of the outbox, or a greeting, was handed to the socket.
    fn wrote(&mut self, message: &Written) {
        let path = &self.ticket.path;
        let Some(manners) = self.manners else { return };
        if let Some(epoch) = field(&message.text, "g") {
            self.tap.epoch = Some(epoch);
        }
        if field(&message.text, "r").is_some() {
            let what = format_args!("{path} replies before its greeting (I14)");
            return self.journal.check(!manners.greets || self.tap.epoch.is_some(), what);
        }
        if let Some((a_second, burst)) = manners.limit
            && !self.tap.choked
        {
            let interval = Duration::from_secs(1) / a_second;
            let due = self.pace.map_or(message.begun, |pace| pace.max(message.begun));
            let early = due.saturating_duration_since(message.begun);
            self.journal.check(
                early <= interval * (burst - 1) + GRAIN,
                format_args!("{path} writes {early:?} ahead of its pace (I16)"),
            );
            self.pace = Some(due + interval);
        }
        let (Some(c), Some(m)) = (field(&message.text, "c"), field(&message.text, "m")) else {
            return;
        };
        self.journal.check(
            !manners.greets || self.tap.epoch.is_some(),
            format_args!("{path} writes message {m} before its greeting (I14)"),
        );
        let was_marked =
            lock(&self.ticket.sockets).marked.get(path).is_some_and(|at| *at >= self.opened);
        let may_be_ready = match manners.ready {
            Ready::WithConnect => true,
            Ready::ByMark => was_marked,
            Ready::ByMessage => was_marked || self.tap.has_read_first(),
        };
        let name = (usize::try_from(c).unwrap_or(usize::MAX), m);
        let place = Place { epoch: self.tap.epoch, may_be_ready, stream: self.stream_number };
        self.fates.begun(name, message.begun, &place);
        if message.is_whole {
            self.fates.written(name);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(unfinished) = self.tap.unfinished() {
            self.wrote(&unfinished);
        }
        self.fates.ended(self.stream_number);
        let (path, silent) = (&self.ticket.path, self.heard.elapsed());
        // The opening handshake has a time-out of its own, and so has the closing one.
        let is_borne = self.patience.is_none_or(|limit| silent <= limit + 2 * OTHERS);
        self.journal
            .check(is_borne, format_args!("{path} lived on after {silent:?} of silence (I10)"));
    }
}

/// Far more than any message of a plan takes.
const MOST_TURNS: u32 = 20_000;

/// What an opening or a closing handshake takes at most.
const OTHERS: Duration = Duration::from_secs(10);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.take_turn()?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heard = Instant::now();
            let bytes = &buffer.filled()[before..];
            self.tap.read(bytes);
            if self.asks {
                // One that comes in two parts is not found.
                let text = String::from_utf8_lossy(bytes);
                let texts = text.split_inclusive('}').filter(|text| text.ends_with('}'));
                texts.filter_map(answered_by).for_each(|request| self.fates.answer_came(request));
            }
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write(cx, bytes);
        let is_choked = match &taken {
            Poll::Pending => true,
            Poll::Ready(taken) => taken.as_ref().is_ok_and(|taken| *taken < bytes.len()),
        };
        if is_choked && !self.tap.choked {
            self.tap.choked = true;
            let (_, number) = self.ticket.path.split_once("/c").unwrap_or_default();
            self.fates.choked(number.parse().expect("a path ends with a number"));
        }
        match &taken {
            Poll::Ready(Ok(taken)) => {
                for message in self.tap.wrote(&bytes[..*taken], Instant::now()) {
                    self.wrote(&message);
                }
                let went_on = std::mem::take(&mut self.tap.went_on);
                let path = &self.ticket.path;
                let what = format_args!("{path} writes data behind its close frame (I17)");
                self.journal.check(!went_on, what);
            }
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        taken
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
