use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end of an in-memory byte stream that behaves as TCP does: bounded, so that a reader who
/// does not read holds the writer back; closed in each direction by itself; and it can be reset.
///
/// Dropping an end closes it. As in TCP, dropping it with bytes unread resets the stream.
#[derive(Debug)]
pub struct Pipe {
    incoming: Arc<Mutex<Channel>>,
    outgoing: Arc<Mutex<Channel>>,
    /// Held as long as this end is, for whoever counts the ends.
    counted: Option<Arc<()>>,
}

/// One direction.
#[derive(Debug)]
struct Channel {
    bytes: VecDeque<u8>,
    capacity: usize,
    end: Option<End>,
    /// Nobody will ever read what is written.
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What a reader meets once it has read all bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Reset,
}

impl Pipe {
    /// Two ends of a stream that holds `capacity` bytes in each direction.
    #[must_use]
    pub fn pair(capacity: usize) -> (Self, Self) {
        let (one, two) = (Channel::new(capacity), Channel::new(capacity));
        let near = Self { incoming: Arc::clone(&one), outgoing: Arc::clone(&two), counted: None };
        (near, Self { incoming: two, outgoing: one, counted: None })
    }

    pub(super) fn counted(self, by: Arc<()>) -> Self {
        let mut counted = self;
        counted.counted = Some(by);
        counted
    }

    /// Ends the stream so that the other end sees a reset, after the bytes that were sent.
    pub fn reset(self) {
        lock(&self.outgoing).finish(End::Reset);
        lock(&self.incoming).abandon();
    }
}

impl Channel {
    fn new(capacity: usize) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            bytes: VecDeque::new(),
            capacity,
            end: None,
            reader_gone: false,
            reader: None,
            writer: None,
        }))
    }

    fn finish(&mut self, end: End) {
        if self.end != Some(End::Reset) {
            self.end = Some(end);
        }
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    /// The reader is gone. Whether it left bytes unread.
    fn abandon(&mut self) -> bool {
        self.reader_gone = true;
        wake(&mut self.writer);
        !std::mem::take(&mut self.bytes).is_empty()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut channel = lock(&self.incoming);
        if !channel.bytes.is_empty() {
            let wanted = buffer.remaining().min(channel.bytes.len());
            let (first, second) = channel.bytes.as_slices();
            let from_first = wanted.min(first.len());
            buffer.put_slice(first.get(..from_first).unwrap_or_default());
            buffer.put_slice(second.get(..wanted - from_first).unwrap_or_default());
            channel.bytes.drain(..wanted);
            wake(&mut channel.writer);
            return Poll::Ready(Ok(()));
        }
        match channel.end {
            Some(End::Finished) => Poll::Ready(Ok(())),
            Some(End::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                channel.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut channel = lock(&self.outgoing);
        if channel.reader_gone {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if channel.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = channel.capacity.saturating_sub(channel.bytes.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            channel.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        channel.bytes.extend(bytes.get(..room).unwrap_or_default());
        wake(&mut channel.reader);
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.outgoing).finish(End::Finished);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let unread = lock(&self.incoming).abandon();
        lock(&self.outgoing).finish(if unread { End::Reset } else { End::Finished });
    }
}

/// A poisoned lock means that a test panicked while it held it; the bytes are whole all the same.
fn lock(channel: &Mutex<Channel>) -> MutexGuard<'_, Channel> {
    channel.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_keep_their_order_through_a_small_pipe() {
        let (mut near, mut far) = Pipe::pair(7);
        let sent: Vec<u8> = (0..=255).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move { near.write_all(&sent).await });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap().unwrap();
        assert_eq!(received, expected);
    }

    #[tokio::test]
    async fn a_full_pipe_holds_the_writer_back() {
        let (mut near, mut far) = Pipe::pair(4);
        near.write_all(b"1234").await.unwrap();
        let mut more = polled_once(near.write(b"5"));
        assert!(more.is_none(), "the pipe is full");
        assert_eq!(far.read_u8().await.unwrap(), b'1');
        more = polled_once(near.write(b"5"));
        assert_eq!(more.unwrap().unwrap(), 1);
    }

    /// What `work` gives when it is polled once.
    fn polled_once<T>(work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (mut near, mut far) = Pipe::pair(16);
        near.write_all(b"last").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        far.write_all(b"answer").await.unwrap();
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last");
        drop(far);
        near.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "lastanswer");
    }

    #[tokio::test]
    async fn a_reset_comes_after_the_bytes_and_fails_the_writer() {
        let (mut near, mut far) = Pipe::pair(16);
        near.write_all(b"x").await.unwrap();
        near.reset();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
        assert_eq!(far.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(far.write(b"y").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn dropping_with_bytes_unread_is_a_reset() {
        let (mut near, mut far) = Pipe::pair(16);
        far.write_all(b"never read").await.unwrap();
        near.write_all(b"bye").await.unwrap();
        drop(near);
        let mut text = String::new();
        let error = far.read_to_string(&mut text).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
