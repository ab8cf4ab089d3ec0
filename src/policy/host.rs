use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::InvalidUrl;

/// The two schemes of a WebSocket URL (RFC 6455 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `ws`: in the clear, by default on port 80.
    Ws,
    /// `wss`: over TLS, by default on port 443.
    Wss,
}

impl Scheme {
    /// The port that a URL without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The scheme as it stands before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Reads `ws` or `wss` in any case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Ws, Self::Wss].into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The host of a [`CanonicalUrl`](super::CanonicalUrl).
///
/// `Display` writes it as it stands in a URL, an IPv6 address in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A DNS name: lower case, internationalised labels as `xn--…`, no dot at the end.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            // Not the standard library's form, which writes mapped addresses with dots.
            Self::V6(address) => url::Host::<&str>::Ipv6(address).fmt(f),
        }
    }
}

/// Whether a canonical name is `localhost` or below it: names that never go to DNS (RFC 6761 §6.3).
pub(crate) fn is_localhost(name: &str) -> bool {
    name.strip_suffix("localhost").is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Holds a name without its trailing dot to what DNS can carry (RFC 1035 §2.3.4) plus `_`. The
/// WHATWG URL parser lets far more pass, and other parsers read that differently.
pub(super) fn check_name(name: &str) -> Result<(), InvalidUrl> {
    for (position, label) in (1..).zip(name.split('.')) {
        if label.is_empty() {
            return Err(InvalidUrl::HostLabelEmpty { position });
        }
        if let Some(found) = label.chars().find(|&c| !is_name_character(c)) {
            return Err(InvalidUrl::HostCharacter { position, found });
        }
        if label.len() > MAX_LABEL {
            return Err(InvalidUrl::HostLabelTooLong { position, len: label.len() });
        }
    }
    if name.len() > MAX_NAME {
        return Err(InvalidUrl::HostTooLong { len: name.len() });
    }
    Ok(())
}

const fn is_name_character(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')
}

const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_localhost() {
        for name in ["localhost", "a.localhost", "a.b.localhost"] {
            assert!(is_localhost(name), "{name}");
        }
        for name in ["notlocalhost", "localhost.example.com", "local", "", "localhosts"] {
            assert!(!is_localhost(name), "{name}");
        }
    }

    #[test]
    fn hosts_read_as_in_a_url() {
        assert_eq!(Host::Name("a.example").to_string(), "a.example");
        assert_eq!(Host::V4(Ipv4Addr::LOCALHOST).to_string(), "127.0.0.1");
        assert_eq!(Host::V6(Ipv6Addr::LOCALHOST).to_string(), "[::1]");
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        assert_eq!(Host::V6(mapped).to_string(), "[::ffff:7f00:1]");
    }
}
