//! What comes from the socket: read, decoded and delivered.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, ReadBuf};

use super::{Inbound, Session};
use crate::{
    lifecycle::ExitReason,
    protocol::{BatchBuilder, Step},
    transport::workspace::Workspace,
};

/// A read of few bytes has most likely emptied the socket. The next one is then only there to be woken,
/// which costs no call of the system, and spares the task a turn.
const READS_PER_STEP: usize = 2;
const FEW: usize = 4 * 1024;

/// A read of so many bytes is one of a flood: before the next one the session waits for its turn.
const FLOOD: usize = 16 * 1024;

/// Where what is read goes.
struct Sink<'a, I> {
    batch: &'a mut BatchBuilder,
    /// Frames of what is replied at once.
    urgent: &'a mut Vec<u8>,
    inbound: &'a mut I,
}

impl Session {
    /// Few reads a step: a flood of one session does not starve the others of its thread, and what
    /// was read is with its subscribers before the next read wants memory.
    pub(super) fn poll_read(
        &mut self,
        inbound: &mut impl Inbound,
        cx: &mut Context<'_>,
    ) -> Poll<ExitReason> {
        for _ in 0..READS_PER_STEP {
            match ready!(self.poll_one_read(inbound, cx)) {
                Ok(0) => return Poll::Ready(self.stream_ended(None)),
                Ok(read) => {
                    if let Some(vitals) = &mut self.vitals {
                        vitals.heard(&self.settings.liveness);
                    }
                    if read > FEW
                        || self.early.is_some()
                        || self.closing.is_some()
                        || inbound.wants_turn()
                    {
                        break;
                    }
                }
                Err(error) => return Poll::Ready(self.stream_ended(Some(error))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Pending while there is nothing to read, or nobody who could take it.
    fn poll_one_read(
        &mut self,
        inbound: &mut impl Inbound,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.delivers() {
            let held = self.writer.is_full() || inbound.poll_ready(cx).is_pending();
            if let Some(vitals) = &mut self.vitals {
                vitals.hold(held);
            }
            if held {
                // Its time begins again when the socket is read again.
                self.unfinished = None;
                self.turnstile = None;
                return Poll::Pending;
            }
        }
        if let Some(early) = self.early.take() {
            Workspace::with(|Workspace { batch, urgent, .. }| {
                self.ingest(&early, Sink { batch, urgent, inbound });
            });
            return Poll::Ready(Ok(early.len()));
        }
        if let Some(turnstile) = &mut self.turnstile {
            ready!(turnstile.poll(cx));
        }
        let polled = self.poll_fill(inbound, cx).unwrap_or_else(|| {
            Workspace::with(|Workspace { read, batch, urgent, .. }| {
                let mut buffer = ReadBuf::new(read);
                Pin::new(&mut self.io).poll_read(cx, &mut buffer).map_ok(|()| {
                    let read = buffer.filled();
                    self.ingest(read, Sink { batch, urgent, inbound });
                    read.len()
                })
            })
        });
        if polled.is_pending() {
            self.judge_unfinished(cx);
        }
        if let Poll::Ready(Ok(read @ FLOOD..)) = polled {
            self.turnstile.get_or_insert_default().has_read(read);
        } else {
            self.turnstile = None;
        }
        polled
    }

    /// Reads into the unfinished message itself, if that is large.
    fn poll_fill(
        &mut self,
        inbound: &mut impl Inbound,
        cx: &mut Context<'_>,
    ) -> Option<Poll<io::Result<usize>>> {
        let polled = self.decoder.fill(|room| pin!(self.io.read_buf(room)).poll(cx))?;
        if let Poll::Ready(Ok(1..)) = polled {
            Workspace::with(|Workspace { batch, urgent, .. }| {
                self.ingest(&[], Sink { batch, urgent, inbound });
            });
        }
        Some(polled)
    }

    /// Decodes `input`, delivers what it completes and takes what is replied at once.
    fn ingest(&mut self, input: &[u8], mut sink: Sink<'_, impl Inbound>) {
        self.decode(input, &mut sink);
        self.writer.take_urgent(sink.urgent);
    }

    fn decode(&mut self, input: &[u8], sink: &mut Sink<'_, impl Inbound>) {
        if self.closing.as_ref().is_some_and(|closing| closing.exit.is_some()) {
            // The session is over; what still comes is read only so that the stream can end.
            return;
        }
        let mut at = 0;
        loop {
            match self.decoder.decode(input, &mut at, sink.batch) {
                Ok(Step::NeedMore) => return self.deliver(sink),
                Ok(Step::Flush) => {
                    self.deliver(sink);
                    // What a read inflates to may be a thousand times as long: the subscribers are
                    // asked before there is more of it.
                    let rest = input.get(at..).unwrap_or_default();
                    if self.decoder.inflates() && !rest.is_empty() {
                        self.early = Some(Box::new(Bytes::copy_from_slice(rest)));
                        return;
                    }
                }
                Ok(Step::Ping(payload)) => {
                    if self.delivers() {
                        self.writer.pong(payload);
                    }
                }
                Ok(Step::Pong(payload)) => {
                    self.link.pong(payload.as_slice());
                    let vitals = self.vitals.as_ref();
                    if let Some(took) = vitals.and_then(|vitals| vitals.pong(&payload)) {
                        sink.inbound.round_trip(took);
                    }
                }
                Ok(Step::Close(frame)) => {
                    self.deliver(sink);
                    return self.peer_closed(frame);
                }
                Err(error) => {
                    self.deliver(sink);
                    return self.refuse(error);
                }
            }
        }
    }

    fn deliver(&mut self, Sink { batch, urgent, inbound }: &mut Sink<'_, impl Inbound>) {
        if batch.is_empty() {
            return;
        }
        if self.delivers() {
            if let Some(vitals) = &self.vitals {
                vitals.feed(batch);
            }
            // RFC 6455 §5.5.1: nothing follows a close frame of ours.
            let may_reply = self.closing.as_ref().is_none_or(|closing| closing.farewell.is_some());
            inbound.deliver(batch, may_reply.then_some(&mut **urgent));
        } else {
            // After Disconnect nothing is delivered.
            batch.clear();
        }
    }
}
