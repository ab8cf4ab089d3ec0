use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    ops::ControlFlow,
    rc::Rc,
    task::{Poll, Waker},
    time::Instant,
};

use super::{
    backlog::Backlog,
    greeting::Greeting,
    load::{self, LEAST_FRAME, Load},
    reply::{Reply, tell},
    shared_outbox::SharedOutbox,
};
use crate::{
    clock::now,
    entropy::{masking_key, with_entropy},
    lifecycle::{ExitReason, Flight, Side},
    protocol::{CloseFrame, MessageEncoder, OpCode, OwnedPayload, encode_frame},
};

/// What the connection's actor and the session of one epoch share. They have their turns one after the other, the
/// session last, so that it sees what the actor changed and is not woken for it.
///
/// The actor owns it, so that the fate of every message is known even if the session panics.
pub(crate) struct Link(RefCell<Inner>);

struct Inner {
    outbox: Rc<SharedOutbox>,
    flight: Flight<Load, Reply>,
    /// Encoded bytes that the socket did not take yet. Boxed, as most sockets take what they are given.
    backlog: Option<Box<Backlog>>,
    /// Messages that wait for readiness may be written.
    is_ready: bool,
    /// Which of two sessions this is, where there are two.
    side: Side,
    /// What has to be written before any message. Boxed because it is rare and short.
    greeting: Option<Box<Greeting>>,
    /// The send limit holds the next message back until then. Boxed because most connections have no limit.
    held_until: Option<Box<Instant>>,
    /// How the session is to end. Boxed because it is large and comes once.
    end: Option<Box<End>>,
}

/// What was asked for, if anything: a close is overtaken by an end.
#[derive(Default)]
pub(super) struct End {
    pub(super) close: Option<CloseFrame>,
    /// Why the session is to end, beside a close frame.
    pub(super) reason: Option<ExitReason>,
}

impl Link {
    pub(crate) fn new(outbox: Rc<SharedOutbox>, side: Side) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Inner {
            outbox,
            flight: Flight::default(),
            backlog: None,
            is_ready: false,
            side,
            greeting: None,
            held_until: None,
            end: None,
        })))
    }

    /// From now on nothing is written but a greeting that is still to come, and what follows it.
    pub(crate) fn await_greeting(&self) {
        self.0.borrow_mut().greeting = Some(Box::default());
    }

    /// The greeting is this.
    pub(crate) fn greet(&self, messages: VecDeque<OwnedPayload>) {
        self.0.borrow_mut().greeting = Some(Box::new(Greeting::of(messages)));
    }

    /// Whether all of the greeting is encoded, or there is none.
    pub(crate) fn is_greeted(&self) -> bool {
        self.0.borrow().greeting.is_none()
    }

    /// Messages of the greeting that are still to be written.
    pub(crate) fn greeting_left(&self) -> usize {
        let inner = self.0.borrow();
        inner.greeting.as_ref().map_or(0, |greeting| greeting.left())
    }

    /// Asks the session to end for a reason of ours: nothing more is written but the close frame.
    pub(crate) fn request_end(&self, reason: ExitReason) {
        self.0.borrow_mut().end.get_or_insert_default().reason = Some(reason);
    }

    /// What was asked for since this was asked last.
    pub(super) fn take_end(&self) -> Option<Box<End>> {
        self.0.borrow_mut().end.take()
    }

    /// When the send limit lets the next message pass, where it holds one back.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.0.borrow().held_until.as_deref().copied()
    }

    /// That time has come.
    pub(super) fn release(&self) {
        self.0.borrow_mut().held_until = None;
    }

    /// Whether what waits for readiness may be written.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.borrow().is_ready
    }

    /// What waits for readiness may be written from now on.
    pub(crate) fn open_gate(&self) {
        self.0.borrow_mut().is_ready = true;
    }

    /// Asks the session to write what is queued and then to begin the closing handshake.
    pub(crate) fn request_close(&self, frame: CloseFrame) {
        self.0.borrow_mut().end.get_or_insert_default().close = Some(frame);
    }

    /// This session is up from now on, or is beside the one that is.
    pub(crate) fn change_sides(&self, side: Side) {
        self.0.borrow_mut().side = side;
    }

    /// Whether the session is beside the one that is up.
    pub(crate) fn is_beside(&self) -> bool {
        self.0.borrow().side == Side::Beside
    }

    /// Whether the peer is still to confirm a message, or to be sent one that is encoded.
    pub(super) fn is_in_flight(&self) -> bool {
        let inner = self.0.borrow();
        inner.backlog.is_some() || inner.flight.unconfirmed() > 0
    }

    /// Messages that are written and wait to be confirmed.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.0.borrow().flight.unconfirmed()
    }

    /// A newer message has this key: an older one that is encoded is not written any more.
    pub(crate) fn replace(&self, key: &str) {
        let inner = &mut *self.0.borrow_mut();
        let side = inner.side;
        let replaced = inner.flight.replace(key, &mut |reply, fate| tell(reply, fate, side, None));
        if let Some(cut) = replaced {
            inner.cut(cut);
        }
    }

    /// Tells what has expired, and takes it out of what is still to be written.
    pub(crate) fn expire(&self, now: Instant) {
        self.0.borrow_mut().expire(now);
    }

    /// When [`expire`](Self::expire) is wanted next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.borrow().flight.next_deadline()
    }

    /// The session has ended: tells every message that it wrote or was to write what became of it,
    /// in order. What a later session may write goes back to the outbox.
    pub(crate) fn settle(&self, exit: &ExitReason) {
        let inner = &mut *self.0.borrow_mut();
        let side = inner.side;
        let unbegun = inner.flight.end(&mut |reply, fate| tell(reply, fate, side, Some(exit)));
        inner.outbox.take_back(unbegun);
        inner.outbox.end_session(side, inner.is_ready, exit);
    }

    /// Whether there is a message that may be written now.
    pub(super) fn has_due(&self) -> bool {
        let inner = self.0.borrow();
        match &inner.greeting {
            Some(greeting) => greeting.is_known(),
            None => inner.outbox.has_due(inner.side, inner.is_ready),
        }
    }

    /// Whether there is something to encode.
    pub(super) fn wants_to_write(&self) -> bool {
        self.has_due() || self.0.borrow().flight.wants_barrier()
    }

    /// Whether bytes are encoded that the socket did not take.
    pub(super) fn has_backlog(&self) -> bool {
        self.0.borrow().backlog.is_some()
    }

    /// A pong was read.
    pub(super) fn pong(&self, payload: &[u8]) {
        if let Some(token) = token(payload) {
            let inner = &mut *self.0.borrow_mut();
            let side = inner.side;
            inner.flight.pong(token, &mut |reply, fate| tell(reply, fate, side, None));
            inner.outbox.tell_senders(inner.side, inner.flight.unconfirmed());
        }
    }

    /// Encodes a ping, whose pong also confirms what was written before it.
    pub(super) fn encode_ping(&self, out: &mut Vec<u8>, payload: &[u8]) {
        self.0.borrow_mut().encode_ping(out, payload);
    }

    /// Encodes a frame that carries no message of the outbox.
    pub(super) fn encode_control(&self, out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
        let before = out.len();
        encode_frame(out, opcode, payload, masking_key());
        self.0.borrow_mut().flight.encoded_other(out.len() - before);
    }

    /// Encodes the greeting, as far as it is known and `out` holds less than `budget` bytes.
    pub(super) fn encode_greeting(
        &self,
        out: &mut Vec<u8>,
        budget: usize,
        messages: &mut MessageEncoder,
    ) {
        let inner = &mut *self.0.borrow_mut();
        inner.held_until = None;
        let Some(greeting) = &mut inner.greeting else { return };
        match greeting.encode((out, budget), messages, &inner.outbox, &mut inner.flight) {
            Ok(true) => inner.greeting = None,
            Ok(false) => {}
            Err(due) => inner.held_until = Some(Box::new(due)),
        }
    }

    /// Appends frames that carry no message of the outbox.
    pub(super) fn append_frames(&self, out: &mut Vec<u8>, frames: &[u8]) {
        out.extend_from_slice(frames);
        self.0.borrow_mut().flight.encoded_other(frames.len());
    }

    /// Encodes messages behind what `out` holds and the greeting, until it holds `budget` bytes, and the ping
    /// that confirms them. `waker` is woken when there is more from another thread.
    pub(super) fn encode_messages(
        &self,
        (out, budget): (&mut Vec<u8>, usize),
        messages: &mut MessageEncoder,
        waker: &Waker,
    ) {
        let inner = &mut *self.0.borrow_mut();
        if out.len() < budget && inner.greeting.is_none() {
            let Inner { outbox, flight, side, is_ready, .. } = inner;
            flight.reserve(outbox.slot_count().min(budget / LEAST_FRAME));
            let held_until = outbox.drain(*side, *is_ready, waker, |waiting, most| {
                let left = load::encode(waiting, most, (out, budget), messages, flight);
                let is_full = out.len() >= budget;
                (left, if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            inner.held_until = held_until.map(Box::new);
            inner.outbox.tell_senders(inner.side, inner.flight.unconfirmed());
        }
        if inner.flight.wants_barrier() {
            // Unpredictable, so that only who read the ping can answer it.
            let payload = with_entropy(|rng| rng.next_u64()).to_be_bytes();
            inner.encode_ping(out, &payload);
        }
    }

    /// Hands `encoded`, which is the next of the stream, to the socket by `write`. What that does
    /// not take becomes the backlog.
    pub(super) fn hand_over(
        &self,
        encoded: &mut Vec<u8>,
        write: impl FnOnce(&[u8]) -> Poll<io::Result<usize>>,
    ) -> io::Result<()> {
        let written = match write(encoded) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        let inner = &mut *self.0.borrow_mut();
        inner.handed_over(written);
        if written < encoded.len() {
            inner.backlog = Some(Box::new(Backlog::of(std::mem::take(encoded), written)));
        }
        Ok(())
    }

    /// Hands the backlog to the socket by `write`. Ready with nothing when there is none left.
    pub(super) fn hand_over_backlog(
        &self,
        mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        if inner.flight.next_deadline().is_some() {
            inner.expire(now());
        }
        while let Some(backlog) = &mut inner.backlog {
            let left = backlog.left();
            if left.is_empty() {
                inner.backlog = None;
                break;
            }
            let Poll::Ready(written) = write(left)? else { return Poll::Pending };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            backlog.took(written);
            inner.handed_over(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl Inner {
    fn encode_ping(&mut self, out: &mut Vec<u8>, payload: &[u8]) {
        let before = out.len();
        encode_frame(out, OpCode::Ping, payload, masking_key());
        if let Some(token) = token(payload) {
            self.flight.encoded_ping(out.len() - before, token);
        }
    }

    fn handed_over(&mut self, len: usize) {
        let side = self.side;
        self.flight.handed_over(len, &mut |reply, fate| tell(reply, fate, side, None));
        self.outbox.tell_senders(self.side, self.flight.unconfirmed());
    }

    fn expire(&mut self, now: Instant) {
        let side = self.side;
        let expired = self.flight.expire(now, &mut |reply, fate| tell(reply, fate, side, None));
        for cut in expired {
            self.cut(cut);
        }
        self.outbox.tell_senders(self.side, self.flight.unconfirmed());
    }

    /// Takes bytes out of the backlog, that the socket has no part of.
    fn cut(&mut self, cut: std::ops::Range<usize>) {
        if let Some(backlog) = &mut self.backlog {
            backlog.cut(cut);
        }
    }
}

/// The number in a ping's payload or a pong's, where it can be one of ours.
fn token(payload: &[u8]) -> Option<u64> {
    let mut token = [0; 8];
    let place = token.get_mut(8_usize.checked_sub(payload.len())?..)?;
    place.copy_from_slice(payload);
    Some(u64::from_be_bytes(token))
}
