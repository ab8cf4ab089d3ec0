use std::{fmt, io};

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
    /// The frame that `bytes` begin with, and its length; none while it is not whole. What no client
    /// of RFC 6455 may send is an error of the kind `InvalidData`.
    pub(super) fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return Ok(None) };
        if first & 0xF0 != 0x80 {
            return Err(invalid("a frame that is not final, or has reserved bits"));
        }
        if second & 0x80 == 0 {
            return Err(invalid("a frame that is not masked"));
        }
        let extended = match second & 0x7F {
            126 => {
                rest.split_first_chunk().map(|(len, rest)| (u16::from_be_bytes(*len).into(), rest))
            }
            127 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest)),
            len => Some((len.into(), rest)),
        };
        let Some((len, rest)) = extended else { return Ok(None) };
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let len = usize::try_from(len).map_err(|_| invalid("a frame of a length beyond memory"))?;
        let Some(payload) = rest.get(..len) else { return Ok(None) };
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key);
        let frame = Self { opcode: first & 0x0F, payload: payload.collect() };
        Ok(Some((frame, bytes.len() - rest.len() + len)))
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

    /// Whether it is a ping.
    #[must_use]
    pub const fn is_ping(&self) -> bool {
        self.opcode == 9
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
