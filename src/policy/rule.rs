use std::{fmt, net::IpAddr};

use super::{
    CanonicalUrl, Host, Scheme,
    host_pattern::HostPattern,
    path_pattern::{PathPattern, is_ambiguous},
};

/// What a [`Rule`] does with the URLs that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// They may be dialled, unless another rule denies them.
    Allow,
    /// They must not be dialled, whatever other rules say.
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// One rule of an [`AccessPolicy`](super::AccessPolicy), parsed.
///
/// `Display` writes its normal form: the scheme spelled out, lower case, international names as
/// `xn--…`, no default port. Parsing the normal form gives the same rule. A clone is cheap.
///
/// ```
/// use wsvisor::policy::{Effect, Rule};
///
/// let rule: Rule = "allow *.Example.com:443/feed/".parse()?;
/// assert_eq!(rule.to_string(), "allow wss://*.example.com/feed/");
/// assert_eq!(rule.effect(), Effect::Allow);
/// # Ok::<(), wsvisor::policy::RuleError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(super) effect: Effect,
    pub(super) scheme: Scheme,
    pub(super) host: HostPattern,
    pub(super) port: PortPattern,
    pub(super) path: Option<PathPattern>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PortPattern {
    Any,
    Only(u16),
}

impl Rule {
    /// Whether the rule allows or denies.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the rule speaks of this URL.
    #[must_use]
    pub fn matches(&self, url: &CanonicalUrl) -> bool {
        match url.host() {
            Host::Name(name) => self.host.holds_name(name) && self.matches_but_for_host(url),
            Host::V4(address) => self.matches_at(url, address.into()),
            Host::V6(address) => self.matches_at(url, address.into()),
        }
    }

    /// Whether the rule speaks of this URL, its host being or leading to this address.
    pub(super) fn matches_at(&self, url: &CanonicalUrl, address: IpAddr) -> bool {
        // A mapped address leads to the IPv4 address in it: denying that denies both, while
        // allowing it does not open the odd spelling.
        let denied = self.effect == Effect::Deny && self.host.holds_address(address.to_canonical());
        (denied || self.host.holds_address(address)) && self.matches_but_for_host(url)
    }

    fn matches_but_for_host(&self, url: &CanonicalUrl) -> bool {
        let port = match self.port {
            PortPattern::Any => true,
            PortPattern::Only(port) => port == url.port(),
        };
        let path = match &self.path {
            None => true,
            // What the path means is for the server to say, so take the worse of its meanings.
            Some(_) if is_ambiguous(url.path()) => self.effect == Effect::Deny,
            Some(pattern) => pattern.matches(url.path()),
        };
        self.scheme == url.scheme() && port && path
    }
}

/// In normal form.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}", self.effect, self.scheme, self.host)?;
        match self.port {
            PortPattern::Any => f.write_str(":*")?,
            PortPattern::Only(port) if port == self.scheme.default_port() => {}
            PortPattern::Only(port) => write!(f, ":{port}")?,
        }
        self.path.as_ref().map_or(Ok(()), |path| path.fmt(f))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        for (rule, url, expected) in [
            ("allow wss://h", "wss://h", true),
            ("allow wss://h", "wss://h/any/path?any", true),
            ("allow wss://h", "wss://h:8443", false),
            ("allow wss://h", "ws://h", false),
            ("allow wss://h", "ws://h:443", false),
            ("allow ws://h", "wss://h", false),
            ("allow ws://h:443", "wss://h", false),
            ("allow h", "wss://h", true),
            ("allow h", "ws://h", false),
            ("allow h:*", "wss://h:8443", true),
            ("allow h:*", "wss://h", true),
            ("allow ws://h", "ws://h:80", true),
            ("allow h:8443", "wss://h:8443", true),
            ("allow h:8443", "wss://h", false),
            ("allow h/feed", "wss://h/feed?a/../b", true),
            ("allow h/feed", "wss://h/other?/feed", false),
            ("allow h/feed/", "wss://h/feed/../admin", false),
            ("allow h/feed/", "wss://h/feed/%2e%2e/admin", false),
            // What cannot be read in one way is allowed by no path rule …
            ("allow h/feed/", "wss://h/feed/..%2fadmin", false),
            ("allow h/feed/", "wss://h/feed/..%5Cadmin", false),
            ("allow h/feed/", "wss://h/feed/a%2eb", false),
            ("allow h/", "wss://h/feed%2Fa", false),
            ("allow h", "wss://h/feed%2fa", true),
            ("allow h/feed/", "wss://h/feed/?a%2fb", true),
            // … and denied by all of them.
            ("deny h/admin/", "wss://h/admin%2fx", true),
            ("deny h/admin/", "wss://h/feed/..%2fadmin/x", true),
            ("deny h/admin/", "wss://other/admin%2fx", false),
            ("deny h/admin", "wss://h/%61dmin", true),
            // An IPv4 rule opens no mapped address, but closes it.
            ("allow [8.8.8.0/24]", "wss://[::ffff:8.8.8.8]", false),
            ("deny [8.8.8.0/24]", "wss://[::ffff:8.8.8.8]", true),
        ] {
            let matched = rule.parse::<Rule>().unwrap().matches(&url.parse().unwrap());
            assert_eq!(matched, expected, "{rule} and {url}");
        }
    }
}
