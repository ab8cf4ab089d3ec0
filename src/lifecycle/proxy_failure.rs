use std::{fmt, io, sync::Arc};

use super::DialError;

/// Why a proxy gave no way to the server. No text holds its credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// The proxy could not be reached: its name, its port, or TLS with it.
    #[error("it cannot be reached: {0}")]
    Unreachable(#[source] Box<DialError>),
    /// It wants credentials, or refused those that it was given (407; SOCKS: no acceptable method, or
    /// a wrong password).
    #[error("it refused the credentials, or wants some{}", status(.0.as_ref()))]
    Unauthorized(Option<u16>),
    /// It may not or will not connect to this server (403 and other 4xx; SOCKS: not allowed by
    /// ruleset).
    #[error("it does not allow the connection{}", status(.0.as_ref()))]
    Forbidden(Option<u16>),
    /// It could not connect to the server (5xx; SOCKS: general failure).
    #[error("it could not connect to the server{}", status(.0.as_ref()))]
    BadGateway(Option<u16>),
    /// It could not connect to the server, and SOCKS says why.
    #[error("it could not connect to the server: {0}")]
    Target(TargetFailure),
    /// It answered something that is neither HTTP nor SOCKS5.
    #[error("it does not speak {0}: check its address and scheme")]
    WrongProtocol(&'static str),
    /// The head of its answer is longer than is read.
    #[error("the head of its answer is longer than {limit} bytes")]
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It sent bytes behind its answer, before anything was sent to the server.
    #[error("it sent bytes before the server was asked anything")]
    SpokeFirst,
    /// SOCKS5 cannot carry a name of this length; nothing was dialled.
    #[error("the server's name has {0} bytes, and SOCKS5 carries 255 at most")]
    NameTooLong(usize),
    /// The stream ended or failed while it was asked.
    #[error("the stream to it failed: {0}")]
    Stream(#[source] Arc<io::Error>),
}

/// What a SOCKS5 proxy says of the server (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TargetFailure {
    /// Its network cannot be reached.
    NetworkUnreachable,
    /// It cannot be reached, or its name not resolved.
    HostUnreachable,
    /// It refused the connection.
    ConnectionRefused,
    /// It is too many hops away.
    TtlExpired,
    /// The proxy cannot connect to this kind of address.
    AddressTypeNotSupported,
}

impl fmt::Display for TargetFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ConnectionRefused => "connection refused",
            Self::TtlExpired => "TTL expired",
            Self::AddressTypeNotSupported => "address type not supported",
        })
    }
}

impl ProxyFailure {
    /// Whether it says something of the server, and not of the proxy.
    #[must_use]
    pub const fn is_of_server(&self) -> bool {
        matches!(self, Self::BadGateway(_) | Self::Target(_))
    }
}

fn status(code: Option<&u16>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}
