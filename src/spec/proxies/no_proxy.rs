use std::net::IpAddr;

use ipnet::IpNet;

use crate::policy::{CanonicalUrl, Host};

/// The hosts that are reached without a proxy: what curl and others read from `NO_PROXY`.
///
/// Entries are separated by commas or blanks. `*` is all hosts; a name is that and all below it,
/// with a dot before it or not; an address is itself, and a network (`10.0.0.0/8`) all in it. An
/// entry may end in a port. Names are not resolved for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    All,
    Name(String),
    Network(IpNet),
}

impl NoProxy {
    pub(super) fn parse(text: &str) -> Self {
        let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
        Self(words.map(Entry::parse).collect())
    }

    pub(super) fn exempts(&self, url: &CanonicalUrl) -> bool {
        self.0.iter().any(|entry| entry.covers(url))
    }
}

impl Entry {
    fn parse(word: &str) -> Self {
        if let Some(host) = Pattern::parse_address(word) {
            return Self { host, port: None };
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (word, None),
        };
        let host = Pattern::parse_address(host).unwrap_or_else(|| Pattern::parse_name(host));
        Self { host, port }
    }

    fn covers(&self, url: &CanonicalUrl) -> bool {
        self.port.is_none_or(|port| port == url.port()) && self.host.covers(url.host())
    }
}

impl Pattern {
    fn parse_address(text: &str) -> Option<Self> {
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let network = match text.parse::<IpNet>() {
            Ok(network) => network.trunc(),
            Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
        };
        Some(Self::Network(network))
    }

    fn parse_name(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        Self::Name(name.trim_end_matches('.').to_ascii_lowercase())
    }

    fn covers(&self, host: Host<'_>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Name(name), Host::Name(host)) => {
                let below = host.strip_suffix(name.as_str());
                !name.is_empty()
                    && below.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            (Self::Network(network), Host::V4(address)) => network.contains(&IpAddr::V4(address)),
            (Self::Network(network), Host::V6(address)) => network.contains(&IpAddr::V6(address)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exempt() {
        #[rustfmt::skip]
        let table: [(&str, &[&str], &[&str]); 10] = [
            ("", &[], &["ws://a.example"]),
            ("*", &["ws://a.example", "ws://10.0.0.1", "wss://[::1]"], &[]),
            ("example.com", &["ws://example.com", "wss://a.b.example.com:8443", "ws://EXAMPLE.com."],
                &["ws://notexample.com", "ws://example.com.evil.org", "ws://example.org"]),
            (".Example.com", &["ws://example.com", "ws://a.example.com"], &["ws://notexample.com"]),
            ("*.example.com", &["ws://a.example.com"], &["ws://notexample.com"]),
            ("a.example, b.example\tc.example", &["ws://a.example", "ws://b.example", "ws://c.example"],
                &["ws://d.example"]),
            ("10.0.0.0/8,192.168.1.1", &["ws://10.1.2.3", "ws://192.168.1.1"],
                &["ws://11.0.0.1", "ws://192.168.1.2", "ws://a.10.example"]),
            ("10.1.2.3/8", &["ws://10.9.9.9"], &["ws://11.0.0.1"]),
            ("::1,[fd00::1]:81,fe80::/10", &["ws://[::1]", "ws://[fd00::1]:81", "ws://[fe80::2]"],
                &["ws://[fd00::1]", "ws://[::2]"]),
            ("example.com:8443,localhost:80,.", &["wss://example.com:8443", "ws://localhost"],
                &["wss://example.com", "wss://localhost", "ws://other.example"]),
        ];
        for (text, exempt, others) in table {
            let no_proxy = NoProxy::parse(text);
            let is_exempt = |url: &&&str| no_proxy.exempts(&url.parse().unwrap());
            assert!(exempt.iter().all(|url| is_exempt(&url)), "{text}: {no_proxy:?}");
            assert!(!others.iter().any(|url| is_exempt(&url)), "{text}: {no_proxy:?}");
        }
    }
}
