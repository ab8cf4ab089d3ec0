mod closing;
mod reading;
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
    io::AsyncWrite as _,
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
    writer::{Outlet, Writer},
};
use crate::{
    lifecycle::{ExitReason, Order, Rotation, Verdict, Vigil},
    protocol::{BatchBuilder, CloseCode, CloseFrame, Decoder},
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

/// A session that is up: it owns its socket, and reads and writes in its turns until it ends.
pub(crate) struct Session {
    io: BoxedStream,
    decoder: Decoder,
    writer: Writer,
    link: Rc<Link>,
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

impl Session {
    pub(crate) fn new(
        opened: Opened,
        settings: &Arc<Settings>,
        vigil: Option<Rc<RefCell<Vigil>>>,
        link: Rc<Link>,
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
            settings: Arc::clone(settings),
            unfinished: None,
            vitals: Vitals::begin(&settings.liveness, vigil),
            early: (!opened.rest.is_empty()).then(|| Box::new(opened.rest)),
            turnstile: None,
            throttled: None,
            closing: None,
        }
    }

    /// After the socket was read, so that nothing is judged by what only waits to be read.
    fn poll_vitals(
        &mut self,
        inbound: &mut impl Inbound,
        cx: &mut Context<'_>,
    ) -> Poll<ExitReason> {
        while let Some(vitals) = &mut self.vitals {
            let plan = &self.settings.liveness;
            match ready!(vitals.poll(plan, cx)) {
                Order::Ping(number) => self.writer.ping(number),
                Order::Probe => self.writer.ping(vitals.probe(plan)),
                Order::Send(text) => self.writer.urgent(&text),
                // Of one beside nobody has heard yet.
                Order::Report(_) if self.link.is_beside() => {}
                Order::Report(verdict) => inbound.suspect(verdict),
                Order::Close(verdict) if inbound.rotates() && Rotation::replaces(&verdict) => {
                    inbound.outgrow(verdict);
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

    fn poll_writes(
        &mut self,
        inbound: &impl Inbound,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let waits = self.waits_while_draining(inbound);
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

    /// Lets the session go on, until it waits. Ready when it has ended.
    pub(crate) fn poll(
        &mut self,
        inbound: &mut impl Inbound,
        cx: &mut Context<'_>,
    ) -> Poll<ExitReason> {
        if let Some(turnstile) = &mut self.turnstile {
            turnstile.next_turn();
        }
        inbound.begin_turn();
        if let Some(end) = self.link.take_end() {
            self.asked_to_end(*end);
        }
        if !self.waits_out_of_courtesy(cx)
            && let Poll::Ready(exit) = self.poll_read(inbound, cx)
        {
            return Poll::Ready(exit);
        }
        if let Poll::Ready(exit) = self.poll_vitals(inbound, cx) {
            return Poll::Ready(exit);
        }
        if let Poll::Ready(Err(error)) = self.poll_writes(inbound, cx) {
            return Poll::Ready(self.stream_ended(Some(error)));
        }
        #[cfg(feature = "deflate")]
        self.writer.poll_release(cx);
        self.poll_throttle(cx);
        self.poll_deadline(cx)
    }
}
