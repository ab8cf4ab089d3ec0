use std::{fmt::Write as _, time::Duration};

/// What a client asks for when it offers permessage-deflate (RFC 7692 §7.1), and how it compresses
/// once a server agrees. A server may also not agree: then nothing is compressed.
///
/// Compression saves bytes and costs time and memory: up to 40 KiB for a connection that receives,
/// and some 300 KiB for one that sends, as long as it sends. Do not compress secrets together with
/// text that an attacker chooses: the length tells (CRIME, BREACH).
///
/// ```
/// use wsvisor::{PerMessageDeflate, Settings};
///
/// // The server keeps no memory of earlier messages, so neither do we.
/// let settings = Settings::default()
///     .deflate(PerMessageDeflate::default().server_no_context_takeover());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMessageDeflate {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<WindowBits>,
    pub(super) client_max_window_bits: WindowBits,
    pub(super) threshold: usize,
    pub(super) level: u8,
    pub(super) release_after: Duration,
}

impl PerMessageDeflate {
    /// Asks the server to compress each message by itself (§7.1.1.1). Then an idle connection needs
    /// no memory to receive, and repetition over messages is not made use of.
    #[must_use]
    pub const fn server_no_context_takeover(mut self) -> Self {
        self.server_no_context_takeover = true;
        self
    }

    /// Compresses each message by itself (§7.1.1.2). Then the connections of a thread share one
    /// compressor.
    #[must_use]
    pub const fn client_no_context_takeover(mut self) -> Self {
        self.client_no_context_takeover = true;
        self
    }

    /// Asks the server for a smaller window (§7.1.2.1), which bounds what this end must remember. A
    /// server that cannot limit its window declines the extension.
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: WindowBits) -> Self {
        self.server_max_window_bits = Some(bits);
        self
    }

    /// Compresses with a smaller window (§7.1.2.2). The server may ask for a still smaller one.
    /// Default 15.
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: WindowBits) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// Sends messages shorter than this, in bytes, as they are. Default 128: what is shorter hardly
    /// shrinks. With 0 even a message that grows by it is compressed; else that one goes as it is.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets how hard to look for repetition, from 1, fast, to 9, small; values beyond are taken for
    /// these. Default 6.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = match level {
            0 => 1,
            1..=9 => level,
            _ => 9,
        };
        self
    }

    /// Sets for how long a connection may send nothing compressed before its compressor is given
    /// back; it takes at most twice as long. The next message starts a new one. Default 10 s.
    #[must_use]
    pub const fn release_after(mut self, idle: Duration) -> Self {
        self.release_after = idle;
        self
    }

    /// The value of `Sec-WebSocket-Extensions` that offers this.
    #[must_use]
    pub fn header_value(&self) -> String {
        let mut value = String::from("permessage-deflate");
        if self.server_no_context_takeover {
            value.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            value.push_str("; client_no_context_takeover");
        }
        if let Some(bits) = self.server_max_window_bits {
            // Writing into a string cannot fail.
            let _ = write!(value, "; server_max_window_bits={}", bits.get());
        }
        value.push_str("; client_max_window_bits");
        if self.client_max_window_bits != WindowBits::MAX {
            let _ = write!(value, "={}", self.client_max_window_bits.get());
        }
        value
    }
}

impl Default for PerMessageDeflate {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: WindowBits::MAX,
            threshold: 128,
            level: 6,
            release_after: Duration::from_secs(10),
        }
    }
}

/// The size of a window in which repetition is found, as a power of two: 9 for 512 bytes, to 15 for
/// 32 KiB.
///
/// RFC 7692 has 8 too, which deflate libraries do not: it cannot be offered. From a server it is
/// accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 512 bytes.
    pub const MIN: Self = Self(9);
    /// 32 KiB.
    pub const MAX: Self = Self(15);

    /// The window of 2 to the power of `bits` bytes.
    ///
    /// # Errors
    ///
    /// When `bits` is not within 9 and 15.
    pub const fn new(bits: u8) -> Result<Self, InvalidWindowBits> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 {
            Ok(Self(bits))
        } else {
            Err(InvalidWindowBits(bits))
        }
    }

    /// The exponent.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// There is no such window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window of {0} bits: use 9 to 15")]
pub struct InvalidWindowBits(u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered() {
        let offer = PerMessageDeflate::default();
        let nine = WindowBits::MIN;
        for (offer, value) in [
            (offer, "permessage-deflate; client_max_window_bits"),
            (
                offer.server_no_context_takeover().client_max_window_bits(nine),
                "permessage-deflate; server_no_context_takeover; client_max_window_bits=9",
            ),
            (
                offer.client_no_context_takeover().server_max_window_bits(nine),
                "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; \
                 client_max_window_bits",
            ),
        ] {
            assert_eq!(offer.header_value(), value);
        }
    }

    #[test]
    fn windows_have_9_to_15_bits() {
        let valid: Vec<u8> = (0..=u8::MAX).filter(|&bits| WindowBits::new(bits).is_ok()).collect();
        assert_eq!(valid, [9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(WindowBits::new(8).unwrap_err().to_string(), "a window of 8 bits: use 9 to 15");
        assert_eq!(WindowBits::new(12).unwrap().get(), 12);
    }

    #[test]
    fn levels_are_1_to_9() {
        let levels =
            [0, 1, 6, 9, 10, 255].map(|level| PerMessageDeflate::default().level(level).level);
        assert_eq!(levels, [1, 1, 6, 9, 9, 9]);
    }
}
