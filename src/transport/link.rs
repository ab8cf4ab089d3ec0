use std::{cell::RefCell, collections::VecDeque, rc::Rc, task::Waker};

use tokio::sync::oneshot;

use super::entropy::masking_key;
use crate::{
    error::{Delivery, SendError},
    lifecycle::{ExitReason, Outbox, OutboxFull, OutboxLimits},
    protocol::{CloseFrame, MessageEncoder, OwnedPayload},
};

/// Where a message's fate is told.
pub(crate) type Reply = oneshot::Sender<Result<Delivery, SendError>>;

/// A message on its way to the socket.
pub(crate) struct Outgoing {
    pub(crate) payload: OwnedPayload,
    /// Absent where nobody asks: the message was sent with `do_send`.
    pub(crate) reply: Option<Reply>,
}

/// What the connection's actor and the session's task of one epoch share. Both run on the same
/// thread.
///
/// The actor owns it, so that the fate of every message is known even if the task panics.
pub(crate) struct Link(RefCell<Inner>);

struct Inner {
    limits: OutboxLimits,
    outbox: Outbox<Outgoing>,
    /// Messages that were encoded, with their place in the stream of bytes.
    encoded: VecDeque<Encoded>,
    /// Bytes of the stream that were encoded, and how many of them the socket has taken.
    encoded_to: u64,
    handed_to: u64,
    /// Boxed because it is large and rare, as connections are many.
    close: Option<Box<CloseFrame>>,
    waker: Option<Waker>,
}

struct Encoded {
    start: u64,
    end: u64,
    reply: Reply,
}

impl Link {
    pub(crate) fn new(limits: OutboxLimits) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Inner {
            limits,
            outbox: Outbox::default(),
            encoded: VecDeque::new(),
            encoded_to: 0,
            handed_to: 0,
            close: None,
            waker: None,
        })))
    }

    /// Queues a message, or hands it back when the outbox is full.
    pub(crate) fn push(&self, message: Outgoing) -> Result<(), (OutboxFull, Outgoing)> {
        let inner = &mut *self.0.borrow_mut();
        let was_idle = inner.outbox.is_empty();
        inner.outbox.push(&inner.limits, message.payload.len(), message)?;
        if was_idle {
            inner.wake();
        }
        Ok(())
    }

    /// Asks the session to write what is queued and then to begin the closing handshake.
    pub(crate) fn request_close(&self, frame: CloseFrame) {
        let inner = &mut *self.0.borrow_mut();
        inner.close = Some(Box::new(frame));
        inner.wake();
    }

    /// Lets the session look at what has changed.
    pub(crate) fn nudge(&self) {
        self.0.borrow_mut().wake();
    }

    /// Messages and bytes that wait to be encoded.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let inner = self.0.borrow();
        (inner.outbox.len(), inner.outbox.bytes())
    }

    /// Tells every message that is left what became of it, in order.
    pub(crate) fn settle(&self, exit: &ExitReason) {
        let inner = &mut *self.0.borrow_mut();
        let handed_to = inner.handed_to;
        for message in inner.encoded.drain(..) {
            let _ = message.reply.send(Err(if message.start < handed_to {
                SendError::WrittenUnknown(exit.clone())
            } else {
                SendError::NotWritten(exit.clone())
            }));
        }
        while let Some(message) = inner.outbox.pop() {
            if let Some(reply) = message.reply {
                let _ = reply.send(Err(SendError::NotWritten(exit.clone())));
            }
        }
    }

    pub(super) fn register(&self, waker: &Waker) {
        let inner = &mut *self.0.borrow_mut();
        match &mut inner.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(super) fn take_close(&self) -> Option<CloseFrame> {
        self.0.borrow_mut().close.take().map(|frame| *frame)
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.0.borrow().outbox.is_empty()
    }

    /// Encodes queued messages behind what `out` holds, until it holds `budget` bytes.
    pub(super) fn encode_into(
        &self,
        out: &mut Vec<u8>,
        budget: usize,
        messages: &mut MessageEncoder,
    ) {
        let inner = &mut *self.0.borrow_mut();
        while out.len() < budget
            && let Some(Outgoing { payload, reply }) = inner.outbox.pop()
        {
            let start = inner.encoded_to + out.len() as u64;
            messages.encode(out, payload.as_payload(), masking_key());
            if let Some(reply) = reply {
                let end = inner.encoded_to + out.len() as u64;
                inner.encoded.push_back(Encoded { start, end, reply });
            }
        }
    }

    /// `len` bytes, those of `encode_into` among them, are the next of the stream.
    pub(super) fn encoded(&self, len: usize) {
        self.0.borrow_mut().encoded_to += len as u64;
    }

    /// The socket took the next `len` bytes of the stream.
    pub(super) fn handed_over(&self, len: usize) {
        let inner = &mut *self.0.borrow_mut();
        inner.handed_to += len as u64;
        while inner.encoded.front().is_some_and(|message| message.end <= inner.handed_to)
            && let Some(message) = inner.encoded.pop_front()
        {
            // The sender may have stopped waiting.
            let _ = message.reply.send(Ok(Delivery::Written));
        }
        if inner.encoded.is_empty() && inner.encoded.capacity() > RETAINED {
            inner.encoded = VecDeque::new();
        }
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Slots that an idle link may keep.
const RETAINED: usize = 8;
