use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, sleep_until, timeout_at},
};

use super::{ClientFrame, Stream, UpgradeRequest, frame::frame, patience::soon};

/// The server's side of one connection. It does what a test tells it, right or wrong.
///
/// What is expected and does not come is a panic, as an assertion is; a `try_` method answers
/// instead.
#[derive(Debug)]
pub struct Peer<S = Stream> {
    stream: S,
    /// Bytes that came behind what was asked for.
    received: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Over a stream of yours, a TLS stream for one.
    pub const fn over(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// The stream, to do what no method here does.
    pub const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream, without the server around it, and without the bytes that it has read.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Reads the upgrade request.
    ///
    /// # Panics
    /// When it does not come, or is longer than 64 KiB.
    pub async fn request(&mut self) -> UpgradeRequest {
        let request = soon("the upgrade request", self.try_request()).await;
        request.unwrap_or_else(|error| panic!("no upgrade request: {error}"))
    }

    /// Reads the upgrade request and accepts it.
    ///
    /// # Panics
    /// When the request does not come or the answer cannot be written.
    pub async fn shake_hands(&mut self) -> UpgradeRequest {
        self.shake_hands_with("").await
    }

    /// Accepts with these header lines more; each ends in `\r\n`.
    ///
    /// # Panics
    /// When the request does not come or the answer cannot be written.
    pub async fn shake_hands_with(&mut self, headers: &str) -> UpgradeRequest {
        let request = self.request().await;
        self.write(request.acceptance(headers)).await;
        request
    }

    /// Writes bytes as they are.
    ///
    /// # Panics
    /// When the client does not take them.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let written = soon("the client to read", self.try_write(bytes)).await;
        written.unwrap_or_else(|error| panic!("the client does not read: {error}"));
    }

    /// Sends a text message in one frame.
    ///
    /// # Panics
    /// When the client does not take it.
    pub async fn text(&mut self, text: impl AsRef<str>) {
        self.write(frame(0x81, text.as_ref())).await;
    }

    /// Sends a binary message in one frame.
    ///
    /// # Panics
    /// When the client does not take it.
    pub async fn binary(&mut self, bytes: impl AsRef<[u8]>) {
        self.write(frame(0x82, bytes)).await;
    }

    /// Sends a ping.
    ///
    /// # Panics
    /// When the client does not take it.
    pub async fn ping(&mut self, payload: impl AsRef<[u8]>) {
        self.write(frame(0x89, payload)).await;
    }

    /// Sends a close frame with this code and no reason.
    ///
    /// # Panics
    /// When the client does not take it.
    pub async fn close(&mut self, code: u16) {
        self.write(frame(0x88, code.to_be_bytes())).await;
    }

    /// The client's next frame.
    ///
    /// # Panics
    /// When none comes, or one that no client may send.
    pub async fn read(&mut self) -> ClientFrame {
        let frame = soon("a frame", self.try_read()).await;
        frame.unwrap_or_else(|error| panic!("no frame: {error}"))
    }

    /// Reads up to the client's close frame, and returns its payload.
    ///
    /// # Panics
    /// When none comes.
    pub async fn read_close(&mut self) -> Vec<u8> {
        loop {
            let frame = self.read().await;
            if frame.is_close() {
                return frame.payload;
            }
        }
    }

    /// The client ends the stream, and sends nothing before.
    ///
    /// # Panics
    /// When it sends something, or does not end the stream.
    pub async fn read_end(&mut self) {
        if let Ok(frame) = soon("the end of the stream", self.try_read()).await {
            panic!("the client sent {frame:?} instead of ending the stream");
        }
    }

    /// Ends the server's direction of the stream; the client's stays open.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads the upgrade request.
    ///
    /// # Errors
    /// When the client ends the stream before it is whole, or it is longer than 64 KiB.
    pub async fn try_request(&mut self) -> io::Result<UpgradeRequest> {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            if let Some(at) = self.received.windows(END.len()).position(|bytes| bytes == END) {
                let head = self.received.drain(..at + END.len()).collect();
                return String::from_utf8(head).map(UpgradeRequest).map_err(io::Error::other);
            }
            if self.received.len() > 64 * 1024 {
                return Err(io::Error::other("its head has no end"));
            }
            self.receive().await?;
        }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Writes bytes one by one, with a pause before each.
    pub(super) async fn drip(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            tokio::time::sleep(pause).await;
            self.try_write([*byte]).await?;
        }
        Ok(())
    }

    /// The client's next frame.
    ///
    /// # Errors
    /// `UnexpectedEof` when it ended the stream, `InvalidData` for a frame that no client may send.
    pub async fn try_read(&mut self) -> io::Result<ClientFrame> {
        loop {
            if let Some((frame, len)) = ClientFrame::parse(&self.received)? {
                self.received.drain(..len);
                return Ok(frame);
            }
            self.receive().await?;
        }
    }

    /// Waits for so long, and answers the client's pings meanwhile. What else comes is kept.
    pub async fn pause(&mut self, time: Duration) {
        let over = Instant::now() + time;
        // A client that is gone, or sends no frames, has no pings to answer.
        while let Ok(Ok(())) = timeout_at(over, self.answer_next_pings()).await {}
        sleep_until(over).await;
    }

    async fn answer_next_pings(&mut self) -> io::Result<()> {
        let mut at = 0;
        // Before the handshake, or when the client sends something that no client may, no frame is found.
        while let Ok(Some((read, len))) =
            ClientFrame::parse(self.received.get(at..).unwrap_or_default())
        {
            if read.is_ping() {
                self.received.drain(at..at + len);
                self.try_write(frame(0x8A, &read.payload)).await?;
            } else {
                at += len;
            }
        }
        self.receive().await
    }

    /// Nothing is lost when this is cancelled.
    async fn receive(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Peer {
    /// Drops the connection so that the client sees a reset.
    ///
    /// # Panics
    /// When the system refuses the socket option that does it.
    pub fn reset(self) {
        self.stream.reset().unwrap_or_else(|error| panic!("cannot reset: {error}"));
    }
}
