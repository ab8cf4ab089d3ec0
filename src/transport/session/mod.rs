mod closing;
mod unfinished;

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    time::{Sleep, sleep_until},
};

use self::{
    closing::{Closing, Draining, HANDSHAKE_PART},
    unfinished::Unfinished,
};
use super::{
    attempt::Opened,
    dialler::BoxedStream,
    link::Link,
    turnstile::Turnstile,
    vitals::Vitals,
    workspace::Workspace,
    writer::{Farewell, Outlet, Writer},
};
use crate::{
    lifecycle::{ExitReason, Order, Rotation, Verdict, Vigil},
    protocol::{BatchBuilder, CloseCode, CloseFrame, Decoder, Step},
    spec::Settings,
};

/// Where a session's messages go.
pub(crate) trait Inbound {
    /// The session has its turn: what was left of the last delivery is to be told.
    fn begin_turn(&mut self);

    /// Whether something was left.
    fn wants_turn(&self) -> bool;

    /// Ready when the messages of one more read may be delivered. While it is pending the socket
    /// is not read, so that TCP holds the peer back.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes all messages out of `batch`, and puts the frames of what is replied at once behind `replies`, where
    /// anything may be.
    fn deliver(&mut self, batch: &mut BatchBuilder, replies: Option<&mut Vec<u8>>);

    /// A ping was answered after so long.
    fn round_trip(&mut self, took: Duration);

    /// A watch found this, and the session goes on.
    fn suspect(&mut self, verdict: Verdict);

    /// Whether the session is replaced by another, rather than closed, when it is old.
    fn rotates(&self) -> bool;

    /// A watch found this, for which the session is to be replaced by another.
    fn outgrow(&mut self, verdict: Verdict);

    /// Whether the session beside the one that is up has requests whose answers may still come.
    fn awaits_answers(&self) -> bool;
}

/// A session that is up: the future that owns its socket and reads and writes until it ends.
pub(crate) struct Session<D> {
    io: BoxedStream,
    decoder: Decoder,
    writer: Writer,
    link: Rc<Link>,
    inbound: D,
    settings: Arc<Settings>,
    /// What is unfinished while nothing more can be read. Boxed because it is rare.
    unfinished: Option<Box<Unfinished>>,
    vitals: Option<Box<Vitals>>,
    /// What was read and is not decoded: it came in one piece with the handshake's answer, or behind
    /// a message that was compressed.
    early: Option<Box<Bytes>>,
    /// Present while it is flooded: its last read was large, and it reads on.
    turnstile: Option<Box<Turnstile>>,
    /// Wakes the session when the send limit lets a message pass. Made when it first holds one back.
    throttled: Option<Pin<Box<Sleep>>>,
    /// Absent while the session is open.
    closing: Option<Box<Closing>>,
}

/// A read of few bytes has most likely emptied the socket. The next one is then only there to be woken,
/// which costs no call of the system, and spares the task a turn.
const READS_PER_STEP: usize = 2;
const FEW: usize = 4 * 1024;

/// A read of so many bytes is one of a flood: before the next one the session waits for its turn.
const FLOOD: usize = 16 * 1024;

impl<D: Inbound> Session<D> {
    pub(crate) fn new(
        opened: Opened,
        settings: &Arc<Settings>,
        vigil: Option<Rc<RefCell<Vigil>>>,
        link: Rc<Link>,
        inbound: D,
    ) -> Self {
        #[cfg(not(feature = "deflate"))]
        let (decoder, writer) = (Decoder::new(settings.limits), Writer::default());
        #[cfg(feature = "deflate")]
        let (decoder, writer) = match &opened.deflate {
            None => (Decoder::new(settings.limits), Writer::default()),
            Some(agreement) => (
                Decoder::new(settings.limits).with_deflate(agreement),
                Writer::with_deflate(*agreement),
            ),
        };
        Self {
            io: opened.io,
            decoder,
            writer,
            link,
            inbound,
            settings: Arc::clone(settings),
            unfinished: None,
            vitals: Vitals::begin(settings, vigil),
            early: (!opened.rest.is_empty()).then(|| Box::new(opened.rest)),
            turnstile: None,
            throttled: None,
            closing: None,
        }
    }

    /// Where its messages go.
    pub(crate) const fn inbound(&mut self) -> &mut D {
        &mut self.inbound
    }

    /// Few reads a step: a flood of one session does not starve the others of its thread, and what
    /// was read is with its subscribers before the next read wants memory.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<ExitReason> {
        for _ in 0..READS_PER_STEP {
            match ready!(self.poll_one_read(cx)) {
                Ok(0) => return Poll::Ready(self.stream_ended(None)),
                Ok(read) => {
                    if let Some(vitals) = &mut self.vitals {
                        vitals.heard();
                    }
                    if read > FEW
                        || self.early.is_some()
                        || self.closing.is_some()
                        || self.inbound.wants_turn()
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
    fn poll_one_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.delivers() {
            let held = self.writer.is_full() || self.inbound.poll_ready(cx).is_pending();
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
            Workspace::with(|Workspace { batch, urgent, .. }| self.ingest(&early, batch, urgent));
            return Poll::Ready(Ok(early.len()));
        }
        if let Some(turnstile) = &mut self.turnstile {
            ready!(turnstile.poll(cx));
        }
        let polled = Workspace::with(|Workspace { read, batch, urgent, .. }| {
            let mut buffer = ReadBuf::new(read);
            Pin::new(&mut self.io).poll_read(cx, &mut buffer).map_ok(|()| {
                let read = buffer.filled();
                self.ingest(read, batch, urgent);
                read.len()
            })
        });
        if polled.is_pending() {
            self.judge_unfinished(cx);
        }
        if let Poll::Ready(Ok(FLOOD..)) = polled {
            self.turnstile.get_or_insert_default();
        } else {
            self.turnstile = None;
        }
        polled
    }

    /// Decodes `input`, delivers what it completes and takes what is replied at once.
    fn ingest(&mut self, input: &[u8], batch: &mut BatchBuilder, urgent: &mut Vec<u8>) {
        self.decode(input, batch, urgent);
        self.writer.take_urgent(urgent);
    }

    fn decode(&mut self, input: &[u8], batch: &mut BatchBuilder, urgent: &mut Vec<u8>) {
        if self.closing.as_ref().is_some_and(|closing| closing.exit.is_some()) {
            // The session is over; what still comes is read only so that the stream can end.
            return;
        }
        let mut at = 0;
        loop {
            match self.decoder.decode(input, &mut at, batch) {
                Ok(Step::NeedMore) => return self.deliver(batch, urgent),
                Ok(Step::Flush) => {
                    self.deliver(batch, urgent);
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
                        self.inbound.round_trip(took);
                    }
                }
                Ok(Step::Close(frame)) => {
                    self.deliver(batch, urgent);
                    return self.peer_closed(frame);
                }
                Err(error) => {
                    self.deliver(batch, urgent);
                    return self.refuse(error);
                }
            }
        }
    }

    fn deliver(&mut self, batch: &mut BatchBuilder, urgent: &mut Vec<u8>) {
        if batch.is_empty() {
            return;
        }
        if self.delivers() {
            if let Some(vitals) = &self.vitals {
                vitals.feed(batch);
            }
            // RFC 6455 §5.5.1: nothing follows a close frame of ours.
            let may_reply = self.closing.as_ref().is_none_or(|closing| closing.farewell.is_some());
            self.inbound.deliver(batch, may_reply.then_some(urgent));
        } else {
            // After Disconnect nothing is delivered.
            batch.clear();
        }
    }

    /// After the socket was read, so that nothing is judged by what only waits to be read.
    fn poll_vitals(&mut self, cx: &mut Context<'_>) -> Poll<ExitReason> {
        while let Some(vitals) = &mut self.vitals {
            match ready!(vitals.poll(cx)) {
                Order::Ping(number) => self.writer.ping(number),
                Order::Probe => self.writer.ping(vitals.probe()),
                Order::Send(text) => self.writer.urgent(&text),
                // Of one beside nobody has heard yet.
                Order::Report(_) if self.link.is_beside() => {}
                Order::Report(verdict) => self.inbound.suspect(verdict),
                Order::Close(verdict) if self.inbound.rotates() && Rotation::replaces(&verdict) => {
                    self.inbound.outgrow(verdict);
                }
                Order::Close(verdict) if verdict.is_of_a_dead_transport() => {
                    return Poll::Ready(ExitReason::Judged(verdict));
                }
                Order::Close(verdict) => {
                    self.begin_close(CloseFrame::bare(CloseCode::JUDGED), Some(verdict));
                }
            }
        }
        Poll::Pending
    }

    fn poll_writes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waits = self.waits_while_draining();
        let outlet = match &mut self.closing {
            None => Outlet::Open,
            Some(closing) if closing.courtesy > 0 || waits => Outlet::Open,
            Some(closing) if closing.exit.is_none() => {
                // A part of the time is for the closing handshake.
                let deadline = closing.deadline.deadline().into_std();
                let flush_until = match closing.draining {
                    Some(Draining::Waits) => deadline,
                    _ => deadline
                        .checked_sub(self.settings.timeouts.close / HANDSHAKE_PART)
                        .unwrap_or(deadline),
                };
                Outlet::Closing(&mut closing.farewell, flush_until)
            }
            Some(closing) => Outlet::Ending(&mut closing.farewell),
        };
        let was_full = self.writer.is_full();
        let written = self.writer.poll(&mut self.io, &self.link, outlet, cx)?;
        if was_full && !self.writer.is_full() {
            // The socket was not read.
            cx.waker().wake_by_ref();
        }
        if let Some(vitals) = &mut self.vitals {
            let (left, some) = self.writer.progress(&self.link);
            if vitals.wrote(left, some) {
                cx.waker().wake_by_ref();
            }
        }
        if let Some(closing) = &mut self.closing
            && written.is_ready()
            && closing.exit.is_some()
            && closing.courtesy == 0
            && !closing.shut_down
        {
            closing.shut_down = Pin::new(&mut self.io).poll_shutdown(cx)?.is_ready();
        }
        written.map(Ok)
    }

    /// Sees to it that the session is woken when the send limit lets the next message pass.
    fn poll_throttle(&mut self, cx: &mut Context<'_>) {
        let Some(due) = self.link.held_until() else { return };
        let due = due.into();
        let alarm = self.throttled.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
        if alarm.as_mut().poll(cx).is_ready() {
            // The writer asks the limit anew when the socket takes more: that may be later.
            self.link.release();
            cx.waker().wake_by_ref();
        }
    }
}

impl<D: Inbound + Unpin> Future for Session<D> {
    type Output = ExitReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let session = self.get_mut();
        if let Some(turnstile) = &mut session.turnstile {
            turnstile.hand_on();
        }
        session.inbound.begin_turn();
        if let Some(frame) = session.link.take_close() {
            if session.link.is_beside() {
                session.begin_draining(frame);
            } else {
                session.begin_close(frame, None);
            }
        }
        if let Some(reason) = session.link.take_end() {
            session.end(Farewell::Frame(CloseFrame::bare(CloseCode::JUDGED)), reason);
        }
        if !session.waits_out_of_courtesy(cx)
            && let Poll::Ready(exit) = session.poll_read(cx)
        {
            return Poll::Ready(exit);
        }
        if let Poll::Ready(exit) = session.poll_vitals(cx) {
            return Poll::Ready(exit);
        }
        if let Poll::Ready(Err(error)) = session.poll_writes(cx) {
            return Poll::Ready(session.stream_ended(Some(error)));
        }
        #[cfg(feature = "deflate")]
        session.writer.poll_release(cx);
        session.poll_throttle(cx);
        session.poll_deadline(cx)
    }
}
