use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite as _;

#[cfg(feature = "deflate")]
use super::release::Release;
use super::{
    dialler::BoxedStream, entropy::masking_key, link::Link, vitals::ping_payload,
    workspace::Workspace,
};
#[cfg(feature = "deflate")]
use crate::protocol::DeflateAgreement;
use crate::protocol::{
    CloseFrame, ControlPayload, MessageEncoder, OpCode, encode_close, encode_frame,
};

/// The outgoing half of a session: everything that is due is masked and encoded into one buffer
/// and handed to the socket with one call.
#[derive(Default)]
pub(super) struct Writer {
    /// Encoded bytes that the socket did not take yet, from `taken` on.
    backlog: Vec<u8>,
    taken: usize,
    pongs: Vec<ControlPayload>,
    /// Messages that go before those that wait.
    urgent: Vec<String>,
    /// The number of the ping that is due.
    ping: Option<u32>,
    unflushed: bool,
    /// The socket took bytes since this was asked for.
    has_written: bool,
    messages: MessageEncoder,
    #[cfg(feature = "deflate")]
    release: Option<Box<Release>>,
}

/// Which messages may go out, and whether a close frame follows them.
pub(super) enum Outlet<'a> {
    /// The session is up: the outbox is written.
    Open,
    /// We want to close: the outbox is written, and then the frame.
    Closing(&'a mut Option<Farewell>),
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
/// Writes of one step, so that a flood of one session does not starve the others of its thread.
const WRITES_PER_STEP: usize = 8;
/// Pings that are answered one by one; of a flood, only the newest is (RFC 6455 §5.5.3).
const MAX_PONGS: usize = 16;

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
        if self.pongs.len() == MAX_PONGS {
            self.pongs.pop();
        }
        self.pongs.push(payload);
    }

    /// Sends a ping before any message that waits. One that still waits itself is replaced.
    pub(super) const fn ping(&mut self, number: u32) {
        self.ping = Some(number);
    }

    /// Sends a text message before any that waits.
    pub(super) fn urgent(&mut self, text: String) {
        self.urgent.push(text);
    }

    /// Whether bytes are left that the socket did not take, and whether it took any since this was
    /// asked last.
    pub(super) fn progress(&mut self) -> (bool, bool) {
        let is_left = !self.backlog.is_empty() || self.unflushed;
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
            ready!(self.poll_backlog(io, link, cx))?;
            let left = Workspace::with(|workspace| {
                self.encode(&mut workspace.write, link, &mut outlet);
                let left = self.poll_encoded(io, link, &mut workspace.write, cx);
                workspace.recycle_write();
                left
            });
            if !ready!(left)? {
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

    fn encode(&mut self, out: &mut Vec<u8>, link: &Link, outlet: &mut Outlet<'_>) {
        for pong in self.pongs.drain(..) {
            encode_frame(out, OpCode::Pong, pong.as_slice(), masking_key());
        }
        if self.pongs.capacity() > 0 {
            self.pongs = Vec::new();
        }
        if let Some(number) = self.ping.take() {
            encode_frame(out, OpCode::Ping, &ping_payload(number), masking_key());
        }
        for text in std::mem::take(&mut self.urgent) {
            encode_frame(out, OpCode::Text, text.as_bytes(), masking_key());
        }
        let farewell = match outlet {
            Outlet::Open => {
                link.encode_into(out, WRITE_SIZE, &mut self.messages);
                None
            }
            Outlet::Closing(farewell) => {
                link.encode_into(out, WRITE_SIZE, &mut self.messages);
                if link.has_queued() { None } else { farewell.take() }
            }
            Outlet::Ending(farewell) => farewell.take(),
        };
        match farewell {
            Some(Farewell::Frame(frame)) => encode_close(out, Some(&frame), masking_key()),
            Some(Farewell::Empty) => encode_close(out, None, masking_key()),
            None => {}
        }
        link.encoded(out.len());
    }

    /// Whether there was anything to write. What the socket does not take becomes the backlog.
    fn poll_encoded(
        &mut self,
        io: &mut BoxedStream,
        link: &Link,
        encoded: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if encoded.is_empty() {
            return Poll::Ready(Ok(false));
        }
        self.unflushed = true;
        let written = match Pin::new(io).poll_write(cx, encoded) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.has_written |= written > 0;
        link.handed_over(written);
        if written < encoded.len() {
            self.backlog = std::mem::take(encoded);
            self.taken = written;
        }
        Poll::Ready(Ok(true))
    }

    fn poll_backlog(
        &mut self,
        io: &mut BoxedStream,
        link: &Link,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(left) = self.backlog.get(self.taken..).filter(|left| !left.is_empty()) {
            let written = ready!(Pin::new(&mut *io).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_written = true;
            link.handed_over(written);
            self.taken += written;
        }
        if self.backlog.capacity() > 0 {
            self.backlog = Vec::new();
            self.taken = 0;
        }
        Poll::Ready(Ok(()))
    }
}
