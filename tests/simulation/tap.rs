//! What a client writes into one stream, and what it has read from it. Pure: bytes come in, messages
//! come out.

use tokio::time::Instant;

/// The client's half of one stream.
#[derive(Default)]
pub(crate) struct Tap {
    /// Of the request's head, then of the frame that is under way.
    held: Vec<u8>,
    begun: Option<Instant>,
    stage: Stage,
    /// A data frame was written behind a close frame.
    pub(crate) went_on: bool,
    read: Vec<u8>,
    /// The session's number, by its greeting.
    pub(crate) epoch: Option<u64>,
    /// The socket took less than was offered, so that times are not those of the library's decisions.
    pub(crate) choked: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Request,
    Open,
    /// A close frame was written.
    Closed,
}

/// A data message.
pub(crate) struct Written {
    pub(crate) begun: Instant,
    pub(crate) is_whole: bool,
    /// Its text, or the beginning of it.
    pub(crate) text: String,
}

/// Of what was read, what may hold a server's first message.
const REMEMBERED: usize = 4_096;

impl Tap {
    /// The socket took these bytes. Returns the messages that they complete.
    pub(crate) fn wrote(&mut self, mut bytes: &[u8], now: Instant) -> Vec<Written> {
        if self.stage == Stage::Request {
            self.held.extend_from_slice(bytes);
            let Some(end) = self.held.windows(4).position(|window| window == b"\r\n\r\n") else {
                return vec![];
            };
            let behind = self.held.len() - (end + 4);
            bytes = &bytes[bytes.len() - behind..];
            (self.held, self.stage) = (Vec::new(), Stage::Open);
        }
        let mut written = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let begun = *self.begun.get_or_insert(now);
            let missing = missing(&self.held);
            let take = missing.min(bytes.len() - at);
            self.held.extend_from_slice(&bytes[at..at + take]);
            at += take;
            if self::missing(&self.held) == 0 {
                let opcode = self.held.first().map_or(0, |first| first & 0x0F);
                self.went_on |= self.stage == Stage::Closed && opcode < 8;
                if opcode == 8 {
                    self.stage = Stage::Closed;
                }
                written.extend(message(&self.held, begun, true));
                self.held.clear();
                self.begun = None;
            }
        }
        written
    }

    /// The message that the socket took a part of only.
    pub(crate) fn unfinished(&self) -> Option<Written> {
        if self.stage == Stage::Open { message(&self.held, self.begun?, false) } else { None }
    }

    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let room = REMEMBERED - self.read.len().min(REMEMBERED);
        self.read.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// A server's first message has come, or its end.
    pub(crate) fn has_read_first(&self) -> bool {
        self.read.windows(6).any(|window| window == br#""n":0}"#)
    }
}

/// Bytes that a frame lacks, as far as can be told.
fn missing(held: &[u8]) -> usize {
    let before_key = before_key(held);
    let Some(length) = held.get(1..before_key) else { return before_key - held.len() };
    let payload = match *length {
        [short] => usize::from(short & 0x7F),
        [_, a, b] => usize::from(u16::from_be_bytes([a, b])),
        _ => length[1..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    before_key + 4 + payload - held.len()
}

/// Bytes before a frame's masking key, as far as can be told.
fn before_key(held: &[u8]) -> usize {
    match held.get(1).map(|length| length & 0x7F) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    }
}

/// What is known of a frame's message, unless it is a control frame.
fn message(held: &[u8], begun: Instant, is_whole: bool) -> Option<Written> {
    let opcode = held.first()? & 0x0F;
    if opcode >= 8 {
        return None;
    }
    let (key, payload) = held.get(before_key(held)..)?.split_at_checked(4)?;
    let unmasked = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
    let text = String::from_utf8_lossy(&unmasked.take(100).collect::<Vec<_>>()).into_owned();
    Some(Written { begun, is_whole, text })
}

/// A number of a message, also where only its beginning is known.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
    let end = rest.find([',', '}'])?;
    rest[..end].parse().ok()
}
