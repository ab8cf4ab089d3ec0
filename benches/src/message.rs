//! The messages that are sent and received.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What one message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// Text of so many bytes.
    Text(usize),
    Binary(usize),
    /// A trade of an exchange.
    Tick,
    /// A message that was written in a Discord channel.
    DiscordEvent,
    /// The answer to a JSON-RPC request.
    JsonRpc,
}

impl Shape {
    pub(crate) const fn is_json(self) -> bool {
        matches!(self, Self::Tick | Self::DiscordEvent | Self::JsonRpc)
    }

    pub(crate) const fn is_binary(self) -> bool {
        matches!(self, Self::Binary(_))
    }

    pub(crate) fn payload(self) -> Vec<u8> {
        match self {
            Self::Text(len) => FILLER.iter().copied().cycle().take(len).collect(),
            Self::Binary(len) => (0..=u8::MAX).cycle().take(len).collect(),
            Self::Tick => TICK.into(),
            Self::DiscordEvent => DISCORD_EVENT.into(),
            Self::JsonRpc => JSON_RPC.into(),
        }
    }

    /// The whole unmasked frame, as a server sends it.
    pub(crate) fn frame(self) -> Vec<u8> {
        let payload = self.payload();
        let mut frame = vec![if self.is_binary() { 0x82 } else { 0x81 }];
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(len @ 0..=125), _) => frame.push(len),
            (_, Ok(len)) => {
                frame.push(126);
                frame.extend(len.to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    /// Reads the message as a value, as its user would. Returns how many bytes that value holds.
    pub(crate) fn parse(self, text: &str) -> serde_json::Result<usize> {
        Ok(match self {
            Self::Tick => serde_json::from_str::<Tick<'_>>(text)?.pair.len(),
            Self::DiscordEvent => serde_json::from_str::<DiscordEvent<'_>>(text)?.d.content.len(),
            Self::JsonRpc => serde_json::from_str::<JsonRpc<'_>>(text)?.result.get().len(),
            Self::Text(_) | Self::Binary(_) => text.len(),
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(len) => write!(f, "text {}", Size(*len)),
            Self::Binary(len) => write!(f, "binary {}", Size(*len)),
            Self::Tick => write!(f, "trade tick, {} B", TICK.len()),
            Self::DiscordEvent => write!(f, "Discord event, {} B", DISCORD_EVENT.len()),
            Self::JsonRpc => write!(f, "JSON-RPC answer, {} B", JSON_RPC.len()),
        }
    }
}

struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1024 => write!(f, "{bytes} B"),
            bytes @ 1024..1_048_576 => write!(f, "{} KiB", bytes / 1024),
            bytes => write!(f, "{} MiB", bytes / 1_048_576),
        }
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a user would read of it")]
struct Tick<'a> {
    #[serde(borrow)]
    ch: &'a str,
    pair: &'a str,
    px: f64,
    sz: f64,
    n: u64,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a user would read of it")]
struct DiscordEvent<'a> {
    op: u8,
    s: u64,
    #[serde(borrow)]
    t: &'a str,
    d: DiscordMessage<'a>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a user would read of it")]
struct DiscordMessage<'a> {
    #[serde(borrow)]
    id: &'a str,
    channel_id: &'a str,
    content: &'a str,
    author: DiscordUser<'a>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a user would read of it")]
struct DiscordUser<'a> {
    #[serde(borrow)]
    id: &'a str,
    username: &'a str,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a user would read of it")]
struct JsonRpc<'a> {
    #[serde(borrow)]
    jsonrpc: &'a str,
    id: u64,
    result: &'a RawValue,
}

const FILLER: &[u8; 64] = br#"{"ch":"trades","pair":"BTC-USD","px":67123.45,"sz":0.125,"n":42}"#;

const TICK: &str = r#"{"ch":"trades","pair":"BTC-USD","px":67123.45,"sz":0.125,"n":42}"#;

const DISCORD_EVENT: &str = r#"{"t":"MESSAGE_CREATE","s":4217,"op":0,"d":{"type":0,"tts":false,"timestamp":"2026-03-01T12:34:56.789000+00:00","pinned":false,"nonce":"1213141516171819202","mentions":[],"mention_roles":[],"mention_everyone":false,"member":{"roles":["892345678901234567"],"premium_since":null,"nick":null,"mute":false,"joined_at":"2024-01-01T00:00:00.000000+00:00","deaf":false},"id":"1213141516171819203","flags":0,"embeds":[],"edited_timestamp":null,"content":"did anybody restart the build?","components":[],"channel_id":"892345678901234568","author":{"username":"ferris","public_flags":0,"id":"892345678901234569","global_name":"Ferris","discriminator":"0","avatar":"d41d8cd98f00b204e9800998ecf8427e"},"attachments":[],"guild_id":"892345678901234560"}}"#;

const JSON_RPC: &str = r#"{"jsonrpc":"2.0","id":83,"result":{"number":"0x1b4","hash":"0xdc0818cf78f21a8e70579cb46a43643f78291264dda342ae31049421c82d21ae","parentHash":"0xe99e022112df268087ea7eafaf4790497fd21dbeeb6bd7a1721df161a6657a54","nonce":"0x689056015818adbe","gasLimit":"0x1388","gasUsed":"0x0","timestamp":"0x55ba467c","transactions":[]}}"#;
