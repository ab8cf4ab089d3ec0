use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use tokio::io::AsyncWrite as _;

#[cfg(feature = "deflate")]
use super::release::Release;
use super::{dialler::BoxedStream, link::Link, vitals::ping_payload, workspace::Workspace};
#[cfg(feature = "deflate")]
use crate::protocol::DeflateAgreement;
use crate::{
    entropy::masking_key,
    protocol::{CloseFrame, ControlPayload, MessageEncoder, OpCode, encode_frame},
};

/// The outgoing half of a session: everything that is due is masked and encoded into one buffer
/// and handed to the socket with one call.
#[derive(Default)]
pub(super) struct Writer {
    /// Answers to pings. Boxed, as they go out in the turn in which they come.
    pongs: Option<Box<Pongs>>,
    /// Frames of messages that go before those that wait.
    urgent: Vec<u8>,
    /// The number of the ping that is due.
    ping: Option<u32>,
    unflushed: bool,
    /// The socket took bytes since this was asked for.
    has_written: bool,
    messages: MessageEncoder,
    #[cfg(feature = "deflate")]
    release: Option<Box<Release>>,
}

#[derive(Default)]
struct Pongs(Vec<ControlPayload>);

/// Which messages may go out, and whether a close frame follows them.
pub(super) enum Outlet<'a> {
    /// The session is up: the outbox is written.
    Open,
    /// We want to close: the outbox is written, and then the frame. What the send limit holds back
    /// until that time or longer is not waited for.
    Closing(&'a mut Option<Farewell>, Instant),
    /// The session is over: only the close frame is still due.
    Ending(&'a mut Option<Farewell>),
}

/// The last frame of a session.
pub(super) enum Farewell {
    Frame(CloseFrame),
    /// A close frame without a status code, as the answer to one.
    Empty,
}

/// Bytes that are encoded before they are handed to the socket.
const WRITE_SIZE: usize = 64 * 1024;
/// Bytes of urgent messages that may wait while the socket is read.
const MOST_URGENT: usize = 64 * 1024;
/// Writes of one step, so that a flood of one session does not starve the others of its thread.
const WRITES_PER_STEP: usize = 8;
/// Pings that are answered one by one; of a flood, only the newest is (RFC 6455 §5.5.3).
const MAX_PONGS: usize = 16;

impl Pongs {
    fn push(&mut self, payload: ControlPayload) {
        if self.0.len() == MAX_PONGS {
            self.0.pop();
        }
        self.0.push(payload);
    }
}

impl Writer {
    /// A writer that compresses as was agreed.
    #[cfg(feature = "deflate")]
    pub(super) fn with_deflate(agreement: DeflateAgreement) -> Self {
        Self {
            messages: MessageEncoder::with_deflate(agreement),
            release: Some(Box::new(Release::new(agreement.release_after()))),
            ..Self::default()
        }
    }

    /// Gives an idle compressor back when it is time.
    #[cfg(feature = "deflate")]
    pub(super) fn poll_release(&mut self, cx: &mut Context<'_>) {
        if let Some(release) = &mut self.release {
            release.poll(&mut self.messages, cx);
        }
    }

    /// Queues the answer to a ping.
    pub(super) fn pong(&mut self, payload: ControlPayload) {
        self.pongs.get_or_insert_default().push(payload);
    }

    /// Sends a ping before any message that waits. One that still waits itself is replaced.
    pub(super) const fn ping(&mut self, number: u32) {
        self.ping = Some(number);
    }

    /// Sends a text message before any that waits.
    pub(super) fn urgent(&mut self, text: &str) {
        encode_frame(&mut self.urgent, OpCode::Text, text.as_bytes(), masking_key());
    }

    /// Sends the messages of these frames before any that waits.
    pub(super) fn take_urgent(&mut self, frames: &mut Vec<u8>) {
        if self.urgent.is_empty() && !frames.is_empty() {
            std::mem::swap(&mut self.urgent, frames);
        } else {
            self.urgent.append(frames);
        }
    }

    /// Whether there are so many of them that nothing more is to be read that might be replied to.
    pub(super) const fn is_full(&self) -> bool {
        self.urgent.len() > MOST_URGENT
    }

    /// Whether bytes are left that the socket did not take, and whether it took any since this was
    /// asked last.
    pub(super) fn progress(&mut self, link: &Link) -> (bool, bool) {
        let is_left = link.has_backlog() || self.unflushed;
        (is_left, std::mem::take(&mut self.has_written))
    }

    /// Writes all that is due. Ready means that nothing is left to write.
    pub(super) fn poll(
        &mut self,
        io: &mut BoxedStream,
        link: &Link,
        mut outlet: Outlet<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        for _ in 0..WRITES_PER_STEP {
            ready!(link.hand_over_backlog(|left| self.poll_write(io, left, cx)))?;
            let is_left = self.wants_to_write(link, &outlet)
                && Workspace::with(|workspace| {
                    self.encode(workspace, link, &mut outlet, cx.waker());
                    let encoded = &mut workspace.write;
                    if encoded.is_empty() {
                        return Ok(false);
                    }
                    self.unflushed = true;
                    let handed = link.hand_over(encoded, |all| self.poll_write(io, all, cx));
                    workspace.recycle_write();
                    handed.map(|()| true)
                })?;
            if !is_left {
                if self.unflushed {
                    ready!(Pin::new(io).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether [`encode`](Self::encode) may find something: most turns of a session are about what it reads.
    fn wants_to_write(&self, link: &Link, outlet: &Outlet<'_>) -> bool {
        !matches!(outlet, Outlet::Open)
            || self.ping.is_some()
            || self.pongs.is_some()
            || !self.urgent.is_empty()
            || link.wants_to_write()
    }

    fn poll_write(
        &mut self,
        io: &mut BoxedStream,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(io).poll_write(cx, bytes))?;
        self.has_written |= written > 0;
        Poll::Ready(Ok(written))
    }

    fn encode(
        &mut self,
        workspace: &mut Workspace,
        link: &Link,
        outlet: &mut Outlet<'_>,
        waker: &Waker,
    ) {
        let Workspace { write: out, urgent, .. } = workspace;
        if let Some(pongs) = self.pongs.take() {
            for pong in &pongs.0 {
                link.encode_control(out, OpCode::Pong, pong.as_slice());
            }
        }
        if let Some(number) = self.ping.take() {
            link.encode_ping(out, &ping_payload(number));
        }
        if matches!(outlet, Outlet::Open | Outlet::Closing(Some(_), _)) {
            link.encode_greeting(out, WRITE_SIZE, &mut self.messages);
        }
        if !self.urgent.is_empty() && link.is_greeted() {
            link.append_frames(out, &self.urgent);
            self.urgent.clear();
            // An idle session keeps no memory.
            *urgent = std::mem::take(&mut self.urgent);
        }
        let farewell = match outlet {
            Outlet::Open => {
                link.encode_messages((out, WRITE_SIZE), &mut self.messages, waker);
                None
            }
            // RFC 6455 §5.5.1: no data frame follows a close frame.
            Outlet::Closing(None, _) => None,
            Outlet::Closing(farewell, flush_until) => {
                link.encode_messages((out, WRITE_SIZE), &mut self.messages, waker);
                let is_held = link.held_until().is_some_and(|due| due >= *flush_until);
                if link.has_due() && !is_held { None } else { farewell.take() }
            }
            Outlet::Ending(farewell) => farewell.take(),
        };
        if let Some(farewell) = farewell {
            let payload = match farewell {
                Farewell::Frame(frame) => frame.payload(),
                Farewell::Empty => vec![],
            };
            link.encode_control(out, OpCode::Close, &payload);
        }
    }
}
