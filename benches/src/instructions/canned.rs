//! A server that costs next to nothing, so that what is counted is the client.

use std::{
    io,
    pin::Pin,
    str,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wsvisor::{BoxedStream, Dialler, Dialling, Target};

/// Answers each handshake, sends the same bytes so many times, and answers pings and the close.
pub(crate) struct Canned {
    read: Vec<u8>,
    times: u32,
}

struct Stream {
    /// The request, until it is whole.
    request: Option<Vec<u8>>,
    /// What is to be read first.
    answer: Vec<u8>,
    read: Vec<u8>,
    times: u32,
    reader: Option<Waker>,
    /// The client's close frame was answered: nothing follows.
    ended: bool,
}

impl Canned {
    pub(crate) const fn silent() -> Self {
        Self { read: Vec::new(), times: 0 }
    }

    pub(super) const fn that_sends(read: Vec<u8>, times: u32) -> Self {
        Self { read, times }
    }
}

impl Dialler for Canned {
    fn dial<'a>(&'a self, _: Target<'a>) -> Dialling<'a> {
        let stream = Stream {
            request: Some(Vec::new()),
            answer: Vec::new(),
            read: self.read.clone(),
            times: self.times,
            reader: None,
            ended: false,
        };
        Box::pin(async { Ok(Box::new(stream) as BoxedStream) })
    }
}

impl Stream {
    fn written(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.request {
            Some(request) => {
                request.extend_from_slice(bytes);
                if request.ends_with(b"\r\n\r\n") {
                    self.answer = upgrade(request)?;
                    self.request = None;
                }
            }
            // A masked ping, alone in its write.
            None if bytes.first() == Some(&0x89) => self.answer.extend(pong(bytes)),
            None if bytes.first() == Some(&0x88) => {
                self.answer.extend([0x88, 0]);
                self.ended = true;
            }
            None => return Ok(()),
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Ok(())
    }
}

fn upgrade(request: &[u8]) -> io::Result<Vec<u8>> {
    let request = str::from_utf8(request).map_err(io::Error::other)?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    let key = key.ok_or_else(|| io::Error::other("no key"))?;
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(answer.into_bytes())
}

fn pong(ping: &[u8]) -> Vec<u8> {
    let len = ping.get(1).map_or(0, |len| len & 0x7F);
    let (mask, payload) = ping.get(2..).unwrap_or_default().split_at_checked(4).unwrap_or_default();
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x8A, len].into_iter().chain(payload.take(len.into())).collect()
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        if !stream.answer.is_empty() {
            let len = stream.answer.len().min(buf.remaining());
            buf.put_slice(&stream.answer[..len]);
            stream.answer.drain(..len);
        } else if stream.request.is_none()
            && stream.times > 0
            && buf.remaining() >= stream.read.len()
        {
            buf.put_slice(&stream.read);
            stream.times -= 1;
        } else if !stream.ended {
            stream.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written(bytes)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
