use url::{ParseError, SyntaxViolation};

/// Why a text is not a URL that may be dialled.
///
/// Its `Display` names the part that is wrong, why, and what to write. It never repeats the URL:
/// what is wrong with a URL may well be the credential in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// The text does not begin with a scheme.
    #[error("scheme: missing; a URL begins with wss:// or ws://")]
    SchemeMissing,
    /// The scheme is another than `ws` and `wss`.
    #[error(
        "scheme: only wss and ws are WebSocket schemes; write wss:// for https://, ws:// for http://"
    )]
    Scheme,
    /// There is a control character, a tab or a line break.
    #[error("control character U+{:04X}: must not stand in a URL; percent-encode or remove it", u32::from(*.found))]
    ControlCharacter {
        /// The first one.
        found: char,
    },
    /// There is a space before or after the URL.
    #[error("space before or after the URL; trim it")]
    SurroundingSpace,
    /// There is a backslash, which some parsers take for a slash and others for a part of the host.
    #[error("backslash: parsers disagree about what it means; write / or %5C")]
    Backslash,
    /// The scheme is not followed by exactly two slashes.
    #[error("slashes: exactly two must follow the scheme, as in wss://host")]
    Slashes,
    /// There is a user name, a password or a bare `@` before the host.
    #[error(
        "userinfo: credentials must not stand in a URL; send them in a header and remove everything up to the @"
    )]
    Userinfo,
    /// There is no host.
    #[error("host: missing; write it after the scheme, as in wss://host")]
    HostMissing,
    /// The host is not a domain name: a forbidden character, or a label that IDNA (UTS 46) refuses.
    #[error(
        "host: not a valid domain name; check it for spaces, symbols and mistyped international characters"
    )]
    Host,
    /// The host ends in a number but is not an IPv4 address.
    #[error(
        "host: ends in a number but is not an IPv4 address; write four numbers from 0 to 255, as in 192.0.2.1"
    )]
    Ipv4,
    /// The host is in brackets but is not an IPv6 address.
    #[error("host: not an IPv6 address; write it as in [2001:db8::1], without a zone")]
    Ipv6,
    /// Two dots follow each other in the host, or it begins with one.
    #[error("host: label {position} is empty; remove the extra dot")]
    HostLabelEmpty {
        /// Which label, counted from 1.
        position: usize,
    },
    /// A label of the host has a character that DNS host names do not have.
    #[error("host: label {position} has {found:?}; only a-z, 0-9, - and _ may stand there")]
    HostCharacter {
        /// Which label, counted from 1.
        position: usize,
        /// The first such character.
        found: char,
    },
    /// A label of the host is longer than DNS can carry.
    #[error("host: label {position} has {len} characters; DNS allows 63")]
    HostLabelTooLong {
        /// Which label, counted from 1.
        position: usize,
        /// Its length.
        len: usize,
    },
    /// The host is longer than DNS can carry.
    #[error("host: the name has {len} characters; DNS allows 253")]
    HostTooLong {
        /// Its length without a trailing dot.
        len: usize,
    },
    /// The port is not a number, or is greater than 65535.
    #[error("port: not a number from 1 to 65535")]
    Port,
    /// The port is 0.
    #[error("port: 0 cannot be dialled; use a number from 1 to 65535")]
    PortZero,
    /// There is a `#`, even with nothing behind it (RFC 6455 §3).
    #[error("fragment: a WebSocket URL has none; remove the # or write %23")]
    Fragment,
    /// The text is no URL for a reason that has no variant of its own.
    #[error("not a valid URL; write it as in wss://host/path")]
    Malformed,
}

impl InvalidUrl {
    /// What the parser would forgive and we do not: each of these makes two parsers see two
    /// different URLs.
    pub(super) const fn from_violation(violation: SyntaxViolation) -> Option<Self> {
        match violation {
            SyntaxViolation::Backslash => Some(Self::Backslash),
            SyntaxViolation::C0SpaceIgnored | SyntaxViolation::TabOrNewlineIgnored => {
                Some(Self::SurroundingSpace)
            }
            SyntaxViolation::ExpectedDoubleSlash => Some(Self::Slashes),
            SyntaxViolation::EmbeddedCredentials | SyntaxViolation::UnencodedAtSign => {
                Some(Self::Userinfo)
            }
            _ => None,
        }
    }
}

impl From<ParseError> for InvalidUrl {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::RelativeUrlWithoutBase => Self::SchemeMissing,
            ParseError::EmptyHost => Self::HostMissing,
            ParseError::IdnaError | ParseError::InvalidDomainCharacter => Self::Host,
            ParseError::InvalidIpv4Address => Self::Ipv4,
            ParseError::InvalidIpv6Address => Self::Ipv6,
            ParseError::InvalidPort => Self::Port,
            _ => Self::Malformed,
        }
    }
}
