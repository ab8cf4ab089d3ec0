use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{CanonicalUrl, Host, RuleError, host::is_localhost};

/// The hosts that a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostPattern {
    /// `*`: any name.
    AnyName,
    /// `*.name`: one or more labels in front of this name.
    Below(Arc<str>),
    /// This name.
    Name(Arc<str>),
    /// These addresses; a single one is a network of full length.
    Net(IpNet),
}

impl HostPattern {
    /// Parses what stands between the scheme and the port of a rule.
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        if let Some(rest) = text.strip_prefix('[') {
            let inside = rest.strip_suffix(']').ok_or(RuleError::Bracket)?;
            return parse_bracketed(inside);
        }
        if text.contains(':') {
            return Err(RuleError::Ipv6Unbracketed);
        }
        if text == "*" {
            return Ok(Self::AnyName);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.is_empty() || name.contains('*') {
            return Err(RuleError::Wildcard);
        }
        // The same parser as for URLs, so that the two sides of a comparison cannot differ.
        let url = CanonicalUrl::parse(&format!("wss://{name}/")).map_err(RuleError::Url)?;
        match url.host() {
            Host::Name(name) if below => Ok(Self::Below(name.into())),
            Host::Name(name) => Ok(Self::Name(name.into())),
            Host::V4(_) | Host::V6(_) if below => Err(RuleError::Wildcard),
            Host::V4(address) if name.parse::<Ipv4Addr>() == Ok(address) => {
                Ok(Self::Net(IpAddr::V4(address).into()))
            }
            Host::V4(canonical) => Err(RuleError::Ipv4Spelling { canonical }),
            // Cannot be: an IPv6 address has brackets.
            Host::V6(_) => Err(RuleError::Ipv6Unbracketed),
        }
    }

    pub(super) fn holds_name(&self, name: &str) -> bool {
        match self {
            Self::AnyName => true,
            Self::Below(parent) => is_below(name, parent),
            Self::Name(own) => **own == *name,
            Self::Net(_) => false,
        }
    }

    /// Whether the pattern names this very address, or a network that it is in.
    pub(super) fn holds_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Net(net) if net.contains(&address))
    }

    /// Whether the pattern names `localhost` or a name below it in full.
    pub(super) fn is_exact_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if is_localhost(name))
    }

    /// How closely the pattern describes its hosts; the greater, the closer.
    pub(super) fn closeness(&self) -> usize {
        match self {
            Self::AnyName => 0,
            Self::Below(parent) => parent.len(),
            Self::Name(_) => usize::MAX,
            Self::Net(net) => usize::from(net.prefix_len()),
        }
    }
}

/// In the rule's normal form.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyName => f.write_str("*"),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Name(name) => f.write_str(name),
            Self::Net(net) if net.prefix_len() < net.max_prefix_len() => write!(f, "[{net}]"),
            Self::Net(IpNet::V4(net)) => Host::V4(net.addr()).fmt(f),
            Self::Net(IpNet::V6(net)) => Host::V6(net.addr()).fmt(f),
        }
    }
}

/// Parses an address or a network in CIDR notation whose host bits are zero.
pub(super) fn parse_net(text: &str) -> Result<IpNet, RuleError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = text.parse().map_err(|_| RuleError::Address)?;
    if net.addr() == net.network() {
        Ok(net)
    } else {
        Err(RuleError::HostBits { network: net.trunc().to_string() })
    }
}

fn parse_bracketed(inside: &str) -> Result<HostPattern, RuleError> {
    if let Ok(address) = inside.parse::<Ipv4Addr>() {
        return Err(RuleError::Ipv4Bracketed { address });
    }
    parse_net(inside).map(HostPattern::Net)
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, url: &str) -> bool {
        let url = CanonicalUrl::parse(url).unwrap();
        let pattern = HostPattern::parse(pattern).unwrap();
        match url.host() {
            Host::Name(name) => pattern.holds_name(name),
            Host::V4(address) => pattern.holds_address(address.into()),
            Host::V6(address) => pattern.holds_address(address.into()),
        }
    }

    #[test]
    fn names() {
        for (pattern, url, expected) in [
            ("example.com", "wss://EXAMPLE.com.", true),
            ("example.com", "wss://www.example.com", false),
            ("example.com", "wss://example.com.evil.net", false),
            ("*.example.com", "wss://www.example.com", true),
            ("*.example.com", "wss://a.b.example.com", true),
            ("*.example.com", "wss://example.com", false),
            ("*.example.com", "wss://badexample.com", false),
            ("*.bücher.example", "wss://www.BÜCHER.example", true),
            ("*", "wss://example.com", true),
            ("*", "wss://localhost", true),
            ("*", "wss://127.0.0.1", false),
            ("*", "wss://2130706433", false),
            ("*", "wss://[::1]", false),
        ] {
            assert_eq!(matches(pattern, url), expected, "{pattern} and {url}");
        }
    }

    #[test]
    fn what_is_below_has_a_label_more() {
        for (name, below) in [("a.b.c", true), ("b.c", false), (".b.c", false), ("ab.c", false)] {
            assert_eq!(is_below(name, "b.c"), below, "{name}");
        }
    }

    #[test]
    fn addresses() {
        for (pattern, url, expected) in [
            ("127.0.0.1", "wss://127.0.0.1", true),
            ("127.0.0.1", "wss://0x7f.1", true),
            ("127.0.0.1", "wss://[::ffff:127.0.0.1]", false),
            ("[::ffff:127.0.0.1]", "wss://[::ffff:7f00:1]", true),
            ("[::ffff:127.0.0.1]", "wss://127.0.0.1", false),
            ("[::1]", "wss://[0::1]", true),
            ("[10.0.0.0/8]", "wss://10.255.255.255", true),
            ("[10.0.0.0/8]", "wss://11.0.0.0", false),
            ("[0.0.0.0/0]", "wss://[::1]", false),
            ("[::/0]", "wss://1.1.1.1", false),
            ("[fd00::/8]", "wss://[fd00:ec2::254]", true),
            ("[fd00::/8]", "wss://[fe00::]", false),
        ] {
            assert_eq!(matches(pattern, url), expected, "{pattern} and {url}");
        }
    }
}
