/// What a peer may make us hold. Every limit is decided at a frame's header, before its payload is
/// stored.
///
/// ```
/// # use wsvisor::Limits;
/// let limits = Limits::default().with_max_frame(64 * 1024).with_max_message(1024 * 1024);
/// assert_eq!(limits.max_message(), 1024 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    frame: u32,
    message: u32,
    fragments: u32,
}

impl Limits {
    /// The largest payload of one data frame, in bytes. Default 16 MiB.
    #[must_use]
    pub const fn max_frame(&self) -> usize {
        self.frame as usize
    }

    /// The largest message, summed over its frames, in bytes. Default 16 MiB.
    #[must_use]
    pub const fn max_message(&self) -> usize {
        self.message as usize
    }

    /// The most frames one message may come in. Default 4,096.
    ///
    /// Without it a peer stays below the byte limits for ever with frames of one byte, or of none.
    #[must_use]
    pub const fn max_fragments(&self) -> u32 {
        self.fragments
    }

    /// Sets the largest payload of one data frame in bytes, at most `u32::MAX` (larger values are
    /// taken for it).
    #[must_use]
    pub fn with_max_frame(self, bytes: usize) -> Self {
        Self { frame: saturating_u32(bytes), ..self }
    }

    /// Sets the largest message in bytes, at most `u32::MAX` (larger values are taken for it): a
    /// [`Batch`](super::Batch) addresses its messages with 32 bits.
    #[must_use]
    pub fn with_max_message(self, bytes: usize) -> Self {
        Self { message: saturating_u32(bytes), ..self }
    }

    /// Sets the most frames one message may come in. With 0 or 1 no fragmented message is accepted.
    #[must_use]
    pub const fn with_max_fragments(self, frames: u32) -> Self {
        Self { fragments: frames, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 16 << 20, message: 16 << 20, fragments: 4096 }
    }
}

fn saturating_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_limits_saturate_at_32_bits() {
        let limits = Limits::default()
            .with_max_frame(usize::MAX)
            .with_max_message(usize::MAX)
            .with_max_fragments(7);
        assert_eq!(limits.max_frame(), u32::MAX as usize);
        assert_eq!(limits.max_message(), u32::MAX as usize);
        assert_eq!(limits.max_fragments(), 7);
    }
}
