use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// The `Sec-WebSocket-Key` of an opening handshake (RFC 6455 §4.1): sixteen random bytes, new for
/// each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of these random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(STANDARD.encode(bytes))
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `Sec-WebSocket-Accept` that a server must answer with (§4.2.2).
    #[must_use]
    pub fn accept(&self) -> String {
        let digest = Sha1::new().chain_update(self.as_str()).chain_update(GUID).finalize();
        STANDARD.encode(digest)
    }
}

/// Proves that the server speaks WebSocket: nothing else would append it (§1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_rfc_6455_section_1_3() {
        let key = Key::from_random(*b"the sample nonce");
        assert_eq!(key.as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
