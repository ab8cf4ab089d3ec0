use std::{fmt, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::soon;

/// A listener on a loopback port that accepts when the test says so.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// The server's side of one connection.
pub(crate) struct Peer<S = TcpStream>(pub(crate) S);

/// The head of the upgrade request.
#[derive(Clone, Debug)]
pub(crate) struct Head(String);

/// A frame as the client sent it, unmasked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Listens on this address, which a server before it may have used.
    pub(crate) async fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        Self { listener, address }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// The next TCP connection.
    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = soon("a TCP connection", self.listener.accept()).await.expect("accept");
        Peer(stream)
    }

    /// The next WebSocket connection.
    pub(crate) async fn open(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.shake_hands().await;
        peer
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Reads the upgrade request.
    pub(crate) async fn request(&mut self) -> Head {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("the upgrade request", self.0.read_u8()).await.expect("a whole head"));
        }
        Head(String::from_utf8(head).expect("the head is text"))
    }

    /// Reads the upgrade request and accepts it.
    pub(crate) async fn shake_hands(&mut self) -> Head {
        self.shake_hands_with("").await
    }

    /// Accepts with these header lines more.
    pub(crate) async fn shake_hands_with(&mut self, headers: &str) -> Head {
        let head = self.request().await;
        self.write(head.acceptance(headers)).await;
        head
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        soon("the client to read", self.0.write_all(bytes.as_ref())).await.expect("written");
    }

    /// Writes what may no longer be wanted.
    pub(crate) async fn try_write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("the client to read or drop", self.0.write_all(bytes.as_ref())).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.write(frame(0x81, text.as_bytes())).await;
    }

    /// Closes with a code and no reason.
    pub(crate) async fn close(&mut self, code: u16) {
        self.write(frame(0x88, &code.to_be_bytes())).await;
    }

    /// The client's next frame.
    pub(crate) async fn read(&mut self) -> Frame {
        soon("a frame", self.try_read()).await.expect("a frame before the end of the stream")
    }

    /// The client's next frame; none when it ended the stream instead.
    pub(crate) async fn try_read(&mut self) -> Option<Frame> {
        let first = self.0.read_u8().await.ok()?;
        assert_eq!(first & 0xF0, 0x80, "the client sends whole frames without reserved bits");
        let second = self.0.read_u8().await.ok()?;
        assert_eq!(second & 0x80, 0x80, "the client masks");
        let len = match second & 0x7F {
            126 => u64::from(self.0.read_u16().await.ok()?),
            127 => self.0.read_u64().await.ok()?,
            len => u64::from(len),
        };
        let mut mask = [0; 4];
        self.0.read_exact(&mut mask).await.ok()?;
        let mut payload = vec![0; usize::try_from(len).expect("a sane length")];
        self.0.read_exact(&mut payload).await.ok()?;
        for (byte, key) in payload.iter_mut().zip(mask.into_iter().cycle()) {
            *byte ^= key;
        }
        Some(Frame { opcode: first & 0x0F, payload })
    }

    /// Reads up to the client's close frame and returns its payload.
    pub(crate) async fn read_close(&mut self) -> Vec<u8> {
        loop {
            let frame = self.read().await;
            if frame.opcode == 8 {
                return frame.payload;
            }
        }
    }

    /// The client ends the stream, and sends nothing before.
    pub(crate) async fn read_end(&mut self) {
        let frame = soon("the end of the stream", self.try_read()).await;
        assert_eq!(frame, None);
    }
}

impl Peer {
    /// Drops the connection so that the client sees a reset.
    #[expect(deprecated, reason = "a linger of zero never blocks")]
    pub(crate) fn reset(self) {
        self.0.set_linger(Some(std::time::Duration::ZERO)).expect("the socket is open");
    }
}

impl Head {
    /// The answer that accepts this request.
    pub(crate) fn acceptance(&self, headers: &str) -> String {
        let accept = self.accept();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        )
    }

    /// `Sec-WebSocket-Accept` for this request's key (RFC 6455 §4.2.2).
    pub(crate) fn accept(&self) -> String {
        let key = self.header("sec-websocket-key").expect("the request has a key");
        let magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
        STANDARD.encode(Sha1::digest(format!("{key}{magic}")))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(given, value)| given.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(crate) fn request_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(64)];
        write!(f, "Frame(opcode {}, {} bytes, {:?})", self.opcode, self.payload.len(), shown)
    }
}

/// A server's frame: `first` is FIN, reserved bits and opcode; the length is the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(u8::try_from(len).expect("it is below 126")),
        126..=0xFFFF => {
            bytes.push(126);
            bytes.extend(u16::try_from(len).expect("it fits").to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}
