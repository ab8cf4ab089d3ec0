use std::fmt;

use bytestring::ByteString;

use super::ProtocolError;

/// The status code of a Close frame (RFC 6455 §7.4, with what IANA registered since).
///
/// Any `u16` can be held, because a peer can send any; the two `is_valid_…` methods say which may
/// be used where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away, as in a shutdown.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that the endpoint cannot accept.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: stands for a Close frame without a code; never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: stands for a connection lost without a Close frame; never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that does not fit its type, as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a message that breaks the endpoint's policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client expected an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the endpoint met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; connect elsewhere or later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from its upstream.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 4000: what we close with when a watch of the session's liveness ends it. It is of the range for
    /// private use, and none of those with which servers forget the session.
    pub const JUDGED: Self = Self(4000);
    /// 1015: stands for a failed TLS handshake; never sent.
    pub const TLS: Self = Self(1015);

    /// The code as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a Close frame may carry this code: 1000–1003, 1007–1014 and 3000–4999 (§7.4.1,
    /// §7.4.2).
    #[must_use]
    pub const fn is_valid_on_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Whether a program may choose this code: 1000 and 3000–4999, as in the browsers'
    /// `WebSocket.close()`.
    #[must_use]
    pub const fn is_valid_for_application(self) -> bool {
        matches!(self.0, 1000 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::NORMAL => "normal",
            Self::GOING_AWAY => "going away",
            Self::PROTOCOL_ERROR => "protocol error",
            Self::UNSUPPORTED => "unsupported data",
            Self::NO_STATUS => "no status",
            Self::ABNORMAL => "abnormal",
            Self::INVALID_DATA => "invalid data",
            Self::POLICY => "policy violation",
            Self::TOO_BIG => "message too big",
            Self::MANDATORY_EXTENSION => "mandatory extension",
            Self::INTERNAL_ERROR => "internal error",
            Self::RESTART => "service restart",
            Self::TRY_AGAIN_LATER => "try again later",
            Self::BAD_GATEWAY => "bad gateway",
            Self::TLS => "TLS handshake",
            Self(code) => return write!(f, "{code}"),
        };
        write!(f, "{} ({name})", self.0)
    }
}

/// What a Close frame says: a code that may be sent and a reason of at most 123 bytes (RFC 6455
/// §5.5.1).
///
/// `Display` escapes control characters of the reason, for a log line must not be forged by a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    code: CloseCode,
    reason: ByteString,
}

impl CloseFrame {
    /// The longest reason in bytes: a control frame's 125 less the code's two.
    pub const MAX_REASON: usize = 123;

    /// A Close frame of a program's choosing.
    ///
    /// # Errors
    ///
    /// [`InvalidClose`] if the code [is not for applications](CloseCode::is_valid_for_application)
    /// or the reason is longer than [`MAX_REASON`](Self::MAX_REASON) bytes.
    pub fn new(
        code: impl Into<CloseCode>,
        reason: impl Into<ByteString>,
    ) -> Result<Self, InvalidClose> {
        let (code, reason) = (code.into(), reason.into());
        if !code.is_valid_for_application() {
            return Err(InvalidClose::Code(code.get()));
        }
        if reason.len() > Self::MAX_REASON {
            return Err(InvalidClose::ReasonTooLong { len: reason.len() });
        }
        Ok(Self { code, reason })
    }

    /// The end of a session that did what it was for: 1000, no reason.
    pub(crate) const fn normal() -> Self {
        Self::bare(CloseCode::NORMAL)
    }

    /// A close frame of the library's choosing, with no reason.
    pub(crate) const fn bare(code: CloseCode) -> Self {
        Self { code, reason: ByteString::new() }
    }

    /// Parses a received Close frame's payload; an empty one says nothing.
    ///
    /// # Errors
    ///
    /// A payload of one byte, a code that [must not be sent](CloseCode::is_valid_on_wire), a reason
    /// that is not UTF-8.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, ProtocolError> {
        if payload.is_empty() {
            return Ok(None);
        }
        let (code, reason) =
            payload.split_first_chunk().ok_or(ProtocolError::TruncatedCloseCode)?;
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.is_valid_on_wire() {
            return Err(ProtocolError::InvalidCloseCode(code.get()));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
        Ok(Some(Self { code, reason: reason.into() }))
    }

    /// A Close frame of the library's choosing, such as 1001 or 1002, its reason cut to what fits.
    ///
    /// The code must be [valid on the wire](CloseCode::is_valid_on_wire); any other becomes 1011.
    pub(crate) fn truncated(code: CloseCode, reason: &str) -> Self {
        let code = if code.is_valid_on_wire() { code } else { CloseCode::INTERNAL_ERROR };
        let cut = reason.floor_char_boundary(Self::MAX_REASON);
        Self { code, reason: reason.get(..cut).unwrap_or_default().into() }
    }

    /// Why the connection closes.
    #[must_use]
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// A text for people; empty if none was given. It comes from the peer: do not trust it, do not
    /// log it unescaped.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The frame's payload: the code in network byte order, then the reason.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        [&self.code.get().to_be_bytes(), self.reason.as_bytes().as_ref()].concat()
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        if self.reason.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.reason.escape_debug())
    }
}

/// Why a program's [`CloseFrame`] cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClose {
    /// The code is reserved for the protocol or not defined.
    #[error("close code {0} is not for applications: use 1000 or one of 3000 to 4999")]
    Code(u16),
    /// The reason does not fit into a control frame.
    #[error("close reason of {len} bytes is too long: at most 123 bytes fit")]
    ReasonTooLong {
        /// The reason's length in bytes.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(code: u16, reason: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes(), reason].concat()
    }

    #[test]
    fn codes_on_the_wire() {
        // Autobahn 7.7 and 7.9, and the borders of every range.
        for code in [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ] {
            let frame = CloseFrame::parse(&payload(code, b"bye")).unwrap().unwrap();
            assert_eq!((frame.code().get(), frame.reason()), (code, "bye"));
            assert_eq!(frame.payload(), payload(code, b"bye"));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert_eq!(
                CloseFrame::parse(&payload(code, b"")),
                Err(ProtocolError::InvalidCloseCode(code))
            );
        }
    }

    #[test]
    fn a_code_is_a_number() {
        assert_eq!(u16::from(CloseCode::from(4_001)), 4_001);
        assert_eq!(CloseCode::TOO_BIG.get(), 1009);
    }

    #[test]
    fn shapes_of_a_received_payload() {
        assert_eq!(CloseFrame::parse(b""), Ok(None));
        assert_eq!(CloseFrame::parse(&[3]), Err(ProtocolError::TruncatedCloseCode));
        assert_eq!(
            CloseFrame::parse(&payload(1000, b"\xCE\xBA\xED\xA0\x80")),
            Err(ProtocolError::InvalidCloseReason)
        );
        assert!(CloseFrame::parse(&payload(1000, &[b'x'; 123])).unwrap().is_some());
    }

    #[test]
    fn programs_may_use_few_codes() {
        for code in [1000, 3000, 4999] {
            assert!(CloseFrame::new(code, "ok").is_ok());
        }
        for code in [0, 999, 1001, 1002, 1005, 1006, 1011, 1015, 2999, 5000] {
            assert_eq!(CloseFrame::new(code, ""), Err(InvalidClose::Code(code)));
        }
    }

    #[test]
    fn a_reason_is_measured_in_bytes() {
        let fits = "é".repeat(61) + "x";
        assert_eq!(CloseFrame::new(CloseCode::NORMAL, fits).unwrap().payload().len(), 125);
        let long = "é".repeat(62);
        assert_eq!(
            CloseFrame::new(CloseCode::NORMAL, &*long),
            Err(InvalidClose::ReasonTooLong { len: 124 })
        );
        let cut = CloseFrame::truncated(CloseCode::GOING_AWAY, &long);
        assert_eq!(cut.reason().len(), 122);
    }

    #[test]
    fn display_escapes_what_a_peer_could_forge() {
        let frame = CloseFrame::new(4000, "a\r\nERROR \u{1b}[31m\u{202e}").unwrap();
        assert_eq!(frame.to_string(), r"4000: a\r\nERROR \u{1b}[31m\u{202e}");
        assert_eq!(CloseFrame::new(1000, "").unwrap().to_string(), "1000 (normal)");
    }
}
