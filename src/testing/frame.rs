use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A frame as a client sent it, unmasked.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientFrame {
    /// The opcode (RFC 6455 §5.2): 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

/// The bytes of a server's frame: `first` holds FIN, the reserved bits and the opcode; the length
/// is written in its shortest form. Nothing is checked, so that what is wrong can be sent.
#[must_use]
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ ..=125), _) => bytes.push(len),
        (_, Ok(len)) => {
            bytes.push(126);
            bytes.extend(len.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

impl ClientFrame {
    /// Reads one frame. What no client of RFC 6455 may send is an error of the kind `InvalidData`;
    /// the end of the stream is `UnexpectedEof`.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let first = stream.read_u8().await?;
        if first & 0xF0 != 0x80 {
            return Err(invalid("a frame that is not final, or has reserved bits"));
        }
        let second = stream.read_u8().await?;
        if second & 0x80 == 0 {
            return Err(invalid("a frame that is not masked"));
        }
        let len = match second & 0x7F {
            126 => u64::from(stream.read_u16().await?),
            127 => stream.read_u64().await?,
            len => u64::from(len),
        };
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await?;
        let len = usize::try_from(len).map_err(|_| invalid("a frame of a length beyond memory"))?;
        let mut payload = vec![0; len];
        stream.read_exact(&mut payload).await?;
        for (byte, key) in payload.iter_mut().zip(mask.into_iter().cycle()) {
            *byte ^= key;
        }
        Ok(Self { opcode: first & 0x0F, payload })
    }

    /// A text frame.
    pub fn text(text: impl Into<String>) -> Self {
        Self { opcode: 1, payload: text.into().into_bytes() }
    }

    /// A binary frame.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self { opcode: 2, payload: bytes.into() }
    }

    /// A pong.
    pub fn pong(bytes: impl Into<Vec<u8>>) -> Self {
        Self { opcode: 10, payload: bytes.into() }
    }

    /// A close frame with a code and no reason.
    #[must_use]
    pub fn close(code: u16) -> Self {
        Self { opcode: 8, payload: code.to_be_bytes().into() }
    }

    /// Whether it is a close frame.
    #[must_use]
    pub const fn is_close(&self) -> bool {
        self.opcode == 8
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the client sent {what}"))
}

impl fmt::Debug for ClientFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.opcode {
            1 => "text",
            2 => "binary",
            8 => "close",
            9 => "ping",
            10 => "pong",
            _ => "unknown",
        };
        let shown = self.payload.get(..64).unwrap_or(&self.payload);
        write!(f, "{name}({} bytes: \"{}\")", self.payload.len(), shown.escape_ascii())
    }
}
