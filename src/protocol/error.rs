use std::time::Duration;

use super::{CloseCode, CloseFrame, OpCode};

/// Why received bytes break RFC 6455, or a [limit](super::Limits). The connection is to be failed
/// (§7.1.7) with [`close_frame`](Self::close_frame).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame has one of the opcodes 3–7 or 11–15 (§5.2).
    #[error("unknown opcode {0:#x}: the server must only use opcodes of RFC 6455")]
    UnknownOpcode(u8),
    /// A frame has a reserved bit set although no extension was negotiated (§5.2).
    #[error(
        "reserved bits {0:03b} set: the server must not use extensions that were not negotiated"
    )]
    ReservedBits(u8),
    /// A server's frame is masked (§5.1).
    #[error("masked frame: a server must not mask")]
    MaskedFrame,
    /// A control frame is fragmented (§5.5).
    #[error("fragmented {opcode} frame: control frames must come whole")]
    FragmentedControl {
        /// Which control frame.
        opcode: OpCode,
    },
    /// A control frame is longer than 125 bytes (§5.5).
    #[error("{opcode} frame longer than 125 bytes: control frames must not be")]
    ControlTooLong {
        /// Which control frame.
        opcode: OpCode,
    },
    /// A continuation frame comes while no message is in progress (§5.4).
    #[error("continuation frame with nothing to continue: a message must start as text or binary")]
    StrayContinuation,
    /// A new message starts before the one in progress is finished (§5.4).
    #[error("{opcode} frame inside a fragmented message: the server must finish that first")]
    InterruptedMessage {
        /// The opcode of the frame that should have been a continuation.
        opcode: OpCode,
    },
    /// A payload length is not written in its shortest form (§5.2).
    #[error("payload length {len} not in its shortest form: the server must use the fewest bytes")]
    NonMinimalLength {
        /// The announced payload length in bytes.
        len: u64,
    },
    /// A 64-bit payload length has its top bit set (§5.2).
    #[error("payload length of 2^63 bytes or more: the top bit of a length must be zero")]
    LengthTopBit,
    /// A data frame announces more than [`Limits::max_frame`](super::Limits::max_frame).
    #[error("frame of {announced} bytes, the limit is {limit}: raise max_frame to accept it")]
    FrameTooBig {
        /// The payload length that the header announces, in bytes.
        announced: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A message grows past [`Limits::max_message`](super::Limits::max_message).
    #[error("message of {announced} bytes, the limit is {limit}: raise max_message to accept it")]
    MessageTooBig {
        /// The length of all frames so far, this one's announced length included, in bytes.
        announced: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A message comes in more frames than [`Limits::max_fragments`](super::Limits::max_fragments).
    #[error("message in more than {limit} frames: raise max_fragments to accept it")]
    TooManyFragments {
        /// The limit in frames.
        limit: u32,
    },
    /// A frame or message was begun and not finished within
    /// [`Timeouts::message`](crate::Timeouts::message).
    #[error("message not finished within {limit:?}: raise timeouts.message for a slow server")]
    Stalled {
        /// The limit.
        limit: Duration,
    },
    /// A text message is not UTF-8 (§8.1).
    #[error("text message is not UTF-8: the server should send it as binary")]
    InvalidUtf8,
    /// A compressed message is not what RFC 7692 makes of any message.
    #[error("compressed message is not DEFLATE, or is cut short")]
    InvalidDeflate,
    /// A Close frame has a payload of one byte, half a code (§5.5.1).
    #[error(
        "close frame with a payload of one byte: it must be empty or start with a two-byte code"
    )]
    TruncatedCloseCode,
    /// A Close frame carries a code that must not be sent (§7.4).
    #[error("close frame with code {0}, which must not be sent")]
    InvalidCloseCode(u16),
    /// A Close frame's reason is not UTF-8 (§5.5.1).
    #[error("close reason is not UTF-8")]
    InvalidCloseReason,
}

impl ProtocolError {
    /// The code to fail the connection with (§7.4.1): 1002, 1007 for text that is not UTF-8 and for
    /// what cannot be decompressed, 1009 past a limit of size, 1008 past the limit of time.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidDeflate | Self::InvalidCloseReason => {
                CloseCode::INVALID_DATA
            }
            Self::FrameTooBig { .. }
            | Self::MessageTooBig { .. }
            | Self::TooManyFragments { .. } => CloseCode::TOO_BIG,
            Self::Stalled { .. } => CloseCode::POLICY,
            Self::UnknownOpcode(_)
            | Self::ReservedBits(_)
            | Self::MaskedFrame
            | Self::FragmentedControl { .. }
            | Self::ControlTooLong { .. }
            | Self::StrayContinuation
            | Self::InterruptedMessage { .. }
            | Self::NonMinimalLength { .. }
            | Self::LengthTopBit
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The Close frame that tells the server: [`close_code`](Self::close_code), and this error's
    /// message as the reason.
    #[must_use]
    pub fn close_frame(&self) -> CloseFrame {
        CloseFrame::truncated(self.close_code(), &self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_close_code_and_says_what_happened() {
        let cases = [
            (ProtocolError::UnknownOpcode(11), 1002, "0xb"),
            (ProtocolError::ReservedBits(0b100), 1002, "100"),
            (ProtocolError::FragmentedControl { opcode: OpCode::Ping }, 1002, "ping"),
            (ProtocolError::InvalidUtf8, 1007, "UTF-8"),
            (ProtocolError::InvalidDeflate, 1007, "DEFLATE"),
            (ProtocolError::InvalidCloseReason, 1007, "reason"),
            (ProtocolError::InvalidCloseCode(1005), 1002, "1005"),
            (ProtocolError::FrameTooBig { announced: 1 << 33, limit: 10 }, 1009, "8589934592"),
            (ProtocolError::MessageTooBig { announced: 12, limit: 10 }, 1009, "limit is 10"),
            (ProtocolError::TooManyFragments { limit: 4096 }, 1009, "4096"),
            (ProtocolError::Stalled { limit: Duration::from_mins(1) }, 1008, "60s"),
        ];
        for (error, code, text) in cases {
            assert_eq!(error.close_code(), CloseCode::from(code), "{error:?}");
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(error.close_frame().code(), error.close_code());
            assert!(error.to_string().starts_with(error.close_frame().reason()));
        }
    }
}
