use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    faults::{End, Faults},
    passage::{Fate, Passage},
};
use crate::testing::Stream;

/// A stream on its way through the relay: the future that carries its bytes, until it ends.
pub(super) struct Crossing {
    /// Absent once they were reset.
    ends: Option<Ends>,
    to_client: Direction,
    to_server: Direction,
    alarm: Pin<Box<Sleep>>,
}

struct Ends {
    client: Stream,
    server: Stream,
}

/// One direction.
struct Direction {
    passage: Passage,
    /// Bytes that were read and did not pass yet.
    waiting: Vec<u8>,
    /// Bytes that pass, with the time at which they arrive.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    source: Source,
    /// The receiver was told that the stream ends.
    shut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Open,
    Ended,
}

/// What a step of one direction came to.
enum Moved {
    /// Nothing can be done before this time, or before a stream wakes us.
    Rests(Option<Instant>),
    /// More can be done at once.
    More,
    Ends(End),
}

/// Pieces of one direction that are under way at once. A sender whose bytes take longer is held back.
const MAX_PIECES: usize = 1_024;

impl Crossing {
    pub(super) fn new(client: Stream, server: Stream, faults: Faults) -> Self {
        let opened = Instant::now();
        let Faults { to_client, to_server, seed, .. } = faults;
        let direction = |faults, seed| Direction {
            passage: Passage::new(faults, seed, opened.into_std()),
            waiting: Vec::new(),
            pieces: VecDeque::new(),
            source: Source::Open,
            shut: false,
        };
        Self {
            ends: Some(Ends { client, server }),
            to_client: direction(to_client, seed),
            to_server: direction(to_server, seed.wrapping_add(1)),
            alarm: Box::pin(tokio::time::sleep_until(opened)),
        }
    }

    fn end(&mut self, end: End) {
        let Some(Ends { client, server }) = self.ends.take() else { return };
        if end == End::Reset {
            // Where the option is refused, the stream is closed all the same.
            let _ = client.reset();
            let _ = server.reset();
        }
    }
}

impl Future for Crossing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let crossing = self.get_mut();
        let Some(Ends { client, server }) = &mut crossing.ends else { return Poll::Ready(()) };
        let to_client = crossing.to_client.step(server, client, cx);
        let to_server = crossing.to_server.step(client, server, cx);
        let wake_at = match (to_client, to_server) {
            (Ok(Moved::Ends(end)), _) | (_, Ok(Moved::Ends(end))) => {
                crossing.end(end);
                return Poll::Ready(());
            }
            // Whoever of the two is left has to learn that the other is gone.
            (Err(_), _) | (_, Err(_)) => {
                crossing.end(End::Reset);
                return Poll::Ready(());
            }
            (Ok(Moved::Rests(one)), Ok(Moved::Rests(other))) => {
                if crossing.to_client.shut && crossing.to_server.shut {
                    crossing.end(End::Close);
                    return Poll::Ready(());
                }
                one.into_iter().chain(other).min()
            }
            // A piece at a time, so that the receiver may see it before the next.
            _ => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        if let Some(at) = wake_at {
            crossing.alarm.as_mut().reset(at);
            ready!(crossing.alarm.as_mut().poll(cx));
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Direction {
    fn step(
        &mut self,
        from: &mut Stream,
        to: &mut Stream,
        cx: &mut Context<'_>,
    ) -> io::Result<Moved> {
        let now = Instant::now();
        let mut wake_at = self.passage.next_stop(now.into_std()).map(Instant::from_std);
        let mut earlier = |at: Instant| wake_at = Some(wake_at.map_or(at, |other| other.min(at)));
        let mut is_blocked = false;
        match self.pieces.front_mut() {
            Some((due, piece)) if *due <= now => match Pin::new(&mut *to).poll_write(cx, piece) {
                Poll::Ready(written) => {
                    piece.drain(..written?);
                    if piece.is_empty() {
                        self.pieces.pop_front();
                    }
                    return Ok(Moved::More);
                }
                Poll::Pending => is_blocked = true,
            },
            Some((due, _)) => earlier(*due),
            None => {}
        }
        match self.passage.stopped(now.into_std()) {
            Some(Fate::Ends(end)) => {
                // A receiver that goes on takes what passed before it sees the end.
                let waits = !is_blocked || end == End::HalfClose;
                if !self.pieces.is_empty() && waits {
                    return Ok(Moved::Rests(wake_at));
                }
                if end != End::HalfClose {
                    return Ok(Moved::Ends(end));
                }
                return self.shut(to, cx).map(|()| Moved::Rests(None));
            }
            Some(Fate::Waits(until)) => {
                if let Some(until) = until {
                    earlier(Instant::from_std(until));
                }
                return Ok(Moved::Rests(wake_at));
            }
            Some(Fate::Passes { .. }) | None => {}
        }
        if self.pieces.len() < MAX_PIECES && self.take(from, now, cx)? {
            return Ok(Moved::More);
        }
        let is_done = self.waiting.is_empty() && self.pieces.is_empty();
        if self.source == Source::Ended && is_done {
            self.shut(to, cx)?;
        }
        Ok(Moved::Rests(wake_at))
    }

    /// Reads where nothing waits, and lets the next piece pass. Whether anything moved.
    fn take(&mut self, from: &mut Stream, now: Instant, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.waiting.is_empty() && self.source == Source::Open {
            let mut buffer = [0; 16 * 1024];
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(from).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => read?,
                Poll::Pending => return Ok(false),
            }
            if buffer.filled().is_empty() {
                self.source = Source::Ended;
            }
            self.waiting.extend(buffer.filled());
        }
        if self.waiting.is_empty() {
            return Ok(false);
        }
        if let Fate::Passes { len, due } = self.passage.next(&mut self.waiting, now.into_std()) {
            let piece = self.waiting.drain(..len).collect();
            self.pieces.push_back((Instant::from_std(due), piece));
        }
        Ok(true)
    }

    fn shut(&mut self, to: &mut Stream, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.shut {
            match Pin::new(to).poll_shutdown(cx) {
                Poll::Ready(shut) => shut?,
                Poll::Pending => return Ok(()),
            }
            self.shut = true;
        }
        Ok(())
    }
}
