use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wsvisor::{BoxedStream, Dialler, Dialling, Target, testing::Network};

/// Dials into this network, and shows `seen` of each read of a stream how many bytes it brought, none
/// where it has to wait.
pub(crate) fn watching_reads(
    network: Network,
    seen: impl Fn(usize) + Send + Sync + 'static,
) -> impl Dialler {
    WatchesReads { network, seen: Arc::new(seen) }
}

struct WatchesReads {
    network: Network,
    seen: Seen,
}

type Seen = Arc<dyn Fn(usize) + Send + Sync>;

impl Dialler for WatchesReads {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        Box::pin(async move {
            let stream = self.network.dial(target).await?;
            Ok(Box::new(Watched { stream, seen: Arc::clone(&self.seen) }) as BoxedStream)
        })
    }
}

struct Watched {
    stream: BoxedStream,
    seen: Seen,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        (self.seen)(buffer.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
