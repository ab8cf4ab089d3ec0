use std::{net::Ipv4Addr, str::FromStr};

use super::{
    Effect, InvalidUrl, Rule, Scheme, host_pattern::HostPattern, path_pattern::PathPattern,
    rule::PortPattern,
};

/// Why a text is not a [`Rule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The rule does not begin with `allow` or `deny` and a space.
    #[error("effect: a rule begins with `allow ` or `deny `, in lower case")]
    Effect,
    /// There is nothing behind the effect.
    #[error("pattern: missing; write what the rule speaks of, as in `allow wss://example.com`")]
    PatternMissing,
    /// The pattern has white space in it.
    #[error("pattern: has white space in it; write one rule a line, and a space in a path as %20")]
    Whitespace,
    /// The pattern has a `?`.
    #[error(
        "query: rules do not look at it; remove the ? and what follows, or write %3F in a path"
    )]
    Query,
    /// The scheme is another than `ws` and `wss`.
    #[error("scheme: only wss and ws are WebSocket schemes; leave it out for wss")]
    Scheme,
    /// The pattern has no host.
    #[error("host: missing; write a name, an address, or * for any name")]
    HostMissing,
    /// A `*` stands elsewhere than alone or as the first label of a name.
    #[error("host: * stands alone or as the first label before a name, as in *.example.com")]
    Wildcard,
    /// An IPv6 address is not in brackets, or there are two ports.
    #[error("host: has a colon; write an IPv6 address in brackets, as in [::1], and only one port")]
    Ipv6Unbracketed,
    /// A single IPv4 address is in brackets.
    #[error("host: only IPv6 addresses and CIDR ranges are in brackets; write {address} without")]
    Ipv4Bracketed {
        /// The address in the brackets.
        address: Ipv4Addr,
    },
    /// An IPv4 address is in a form that people read wrongly, such as one with octal numbers.
    #[error("host: means the IPv4 address {canonical}; if that is intended, write it so")]
    Ipv4Spelling {
        /// The address as it is to be written.
        canonical: Ipv4Addr,
    },
    /// A bracket is not closed, or something other than a port or path follows it.
    #[error("host: [ needs a ] with nothing but a port or a path behind it")]
    Bracket,
    /// What should be an address or a range is neither.
    #[error("address: neither an IP address nor a CIDR range; write it as in ::1 or 10.0.0.0/8")]
    Address,
    /// A CIDR range names an address in the network rather than the network.
    #[error(
        "address: has bits set behind its prefix; for the whole network write {network}, else drop the prefix"
    )]
    HostBits {
        /// The network that the address is in.
        network: String,
    },
    /// The port is not a number from 1 to 65535 and not `*`.
    #[error("port: not a number from 1 to 65535 without leading zeros, nor *")]
    Port,
    /// The path has a `*`.
    #[error(
        "path: has no wildcards; end it in / for all paths below it, or write %2A for the character"
    )]
    PathWildcard,
    /// The path has an escaped slash, backslash or dot, which servers read differently; it could
    /// never match.
    #[error(
        "path: %2f, %5c and %2e mean different things to different servers; write the path without"
    )]
    PathEscape,
    /// The host or the path could not stand in a URL.
    #[error(transparent)]
    Url(InvalidUrl),
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse_rule(text)
    }
}

/// Parses one rule. White space around it, and more than one space behind the effect, are forgiven.
fn parse_rule(text: &str) -> Result<Rule, RuleError> {
    let (effect, pattern) = split_effect(text.trim())?;
    if pattern.contains(char::is_whitespace) {
        return Err(RuleError::Whitespace);
    }
    if pattern.contains('?') {
        return Err(RuleError::Query);
    }
    if pattern.contains('#') {
        return Err(RuleError::Url(InvalidUrl::Fragment));
    }
    let (scheme, rest) = split_scheme(pattern)?;
    let (authority, path) = split_path(rest);
    if authority.contains('@') {
        return Err(RuleError::Url(InvalidUrl::Userinfo));
    }
    let (host, port) = split_port(authority)?;
    if host.is_empty() {
        return Err(RuleError::HostMissing);
    }
    Ok(Rule {
        effect,
        scheme,
        host: HostPattern::parse(host)?,
        port: port.map_or(Ok(PortPattern::Only(scheme.default_port())), parse_port)?,
        path: if path.is_empty() { None } else { Some(PathPattern::parse(path)?) },
    })
}

fn split_effect(text: &str) -> Result<(Effect, &str), RuleError> {
    let (effect, pattern) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let effect = match effect {
        "allow" => Effect::Allow,
        "deny" => Effect::Deny,
        _ => return Err(RuleError::Effect),
    };
    match pattern.trim_start() {
        "" => Err(RuleError::PatternMissing),
        pattern => Ok((effect, pattern)),
    }
}

/// `://` counts only before the path, where a slash has not been seen.
fn split_scheme(pattern: &str) -> Result<(Scheme, &str), RuleError> {
    match pattern.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            Scheme::from_name(scheme).map(|scheme| (scheme, rest)).ok_or(RuleError::Scheme)
        }
        _ => Ok((Scheme::Wss, pattern)),
    }
}

/// A slash in brackets belongs to a CIDR range.
fn split_path(rest: &str) -> (&str, &str) {
    let host_end = if rest.starts_with('[') { rest.find(']').unwrap_or(0) } else { 0 };
    let slash = rest.match_indices('/').map(|(at, _)| at).find(|at| *at >= host_end);
    rest.split_at(slash.unwrap_or(rest.len()))
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), RuleError> {
    if !authority.starts_with('[') {
        return Ok(match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        });
    }
    let end = authority.find(']').ok_or(RuleError::Bracket)? + 1;
    match authority.split_at(end) {
        (host, "") => Ok((host, None)),
        (host, rest) => Ok((host, Some(rest.strip_prefix(':').ok_or(RuleError::Bracket)?))),
    }
}

fn parse_port(text: &str) -> Result<PortPattern, RuleError> {
    if text == "*" {
        return Ok(PortPattern::Any);
    }
    let is_plain = text.starts_with(|c: char| matches!(c, '1'..='9'));
    match text.parse() {
        Ok(port) if is_plain => Ok(PortPattern::Only(port)),
        _ => Err(RuleError::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (text, normal) in [
            ("allow wss://example.com", "allow wss://example.com"),
            ("allow example.com", "allow wss://example.com"),
            ("deny ws://example.com", "deny ws://example.com"),
            ("  allow \t WSS://Example.COM.:443  ", "allow wss://example.com"),
            ("allow ws://example.com:80", "allow ws://example.com"),
            ("allow ws://example.com:443", "allow ws://example.com:443"),
            ("allow example.com:*", "allow wss://example.com:*"),
            ("allow example.com:1", "allow wss://example.com:1"),
            ("allow example.com:65535/", "allow wss://example.com:65535/"),
            ("allow *", "allow wss://*"),
            ("allow ws://*:*", "allow ws://*:*"),
            ("allow *.bücher.example", "allow wss://*.xn--bcher-kva.example"),
            ("allow *.com", "allow wss://*.com"),
            ("allow localhost:8080", "allow wss://localhost:8080"),
            ("allow 127.0.0.1", "allow wss://127.0.0.1"),
            ("allow [127.0.0.1/32]:9", "allow wss://127.0.0.1:9"),
            ("allow [10.0.0.0/8]:*/a", "allow wss://[10.0.0.0/8]:*/a"),
            ("allow [0:0::1]", "allow wss://[::1]"),
            ("allow [::1/128]", "allow wss://[::1]"),
            ("allow [::ffff:1.2.3.4]", "allow wss://[::ffff:102:304]"),
            ("allow [FD00::/8]:8443", "allow wss://[fd00::/8]:8443"),
            ("allow h/a/../b/", "allow wss://h/b/"),
            ("allow h/é", "allow wss://h/%C3%A9"),
            ("allow h/a://b@c:d", "allow wss://h/a://b@c:d"),
        ] {
            let rule = parse_rule(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rule.to_string(), normal, "{text}");
            assert_eq!(parse_rule(normal), Ok(rule), "{normal}");
        }
    }

    #[test]
    fn what_is_not_a_rule() {
        use InvalidUrl as U;
        use RuleError as E;
        for (text, error) in [
            ("", E::Effect),
            ("wss://h", E::Effect),
            ("Allow h", E::Effect),
            ("allowh", E::Effect),
            ("block h", E::Effect),
            ("allow", E::PatternMissing),
            ("deny  ", E::PatternMissing),
            ("allow a b", E::Whitespace),
            ("allow a,\u{a0}b", E::Whitespace),
            ("allow h # why", E::Whitespace),
            ("allow h?q", E::Query),
            ("allow h/a?q", E::Query),
            ("allow h/#a", E::Url(U::Fragment)),
            ("allow https://h", E::Scheme),
            ("allow *://h", E::Scheme),
            ("allow ://h", E::Scheme),
            ("allow /path", E::HostMissing),
            ("allow wss:///path", E::HostMissing),
            ("allow :80", E::HostMissing),
            ("allow wss://", E::HostMissing),
            ("allow **", E::Wildcard),
            ("allow a.*", E::Wildcard),
            ("allow *a.com", E::Wildcard),
            ("allow *.*.com", E::Wildcard),
            ("allow a.*.com", E::Wildcard),
            ("allow *.10.0.0.1", E::Wildcard),
            ("allow *.", E::Wildcard),
            ("allow ::1", E::Ipv6Unbracketed),
            ("allow h:1:2", E::Ipv6Unbracketed),
            ("allow [127.0.0.1]", E::Ipv4Bracketed { address: Ipv4Addr::LOCALHOST }),
            ("allow 127.1", E::Ipv4Spelling { canonical: Ipv4Addr::LOCALHOST }),
            ("allow 0177.0.0.1", E::Ipv4Spelling { canonical: Ipv4Addr::LOCALHOST }),
            ("allow 2130706433", E::Ipv4Spelling { canonical: Ipv4Addr::LOCALHOST }),
            ("allow 127.0.0.1.", E::Ipv4Spelling { canonical: Ipv4Addr::LOCALHOST }),
            ("allow [::1", E::Bracket),
            ("allow [::1]x", E::Bracket),
            ("allow [10.0.0.0/8", E::Bracket),
            ("allow []", E::Address),
            ("allow [h]", E::Address),
            ("allow [fe80::1%lo]", E::Address),
            ("allow [10.0.0.0/33]", E::Address),
            ("allow [10.0.0.0/x]", E::Address),
            ("allow [10.0.0/8]", E::Address),
            ("allow [10.1.2.3/8]", E::HostBits { network: "10.0.0.0/8".into() }),
            ("allow [fd00::1/8]", E::HostBits { network: "fd00::/8".into() }),
            ("allow h:", E::Port),
            ("allow h:0", E::Port),
            ("allow h:080", E::Port),
            ("allow h:+80", E::Port),
            ("allow h:65536", E::Port),
            ("allow h:80-90", E::Port),
            ("allow [::1]:", E::Port),
            ("allow h/*", E::PathWildcard),
            ("allow h/a%2Fb", E::PathEscape),
            ("deny h/a%5cb", E::PathEscape),
            ("allow h/a%2eb", E::PathEscape),
            (r"allow h/a\b", E::Url(U::Backslash)),
            (r"allow h\b", E::Url(U::Backslash)),
            ("allow u@h", E::Url(U::Userinfo)),
            ("allow u:p@h:80", E::Url(U::Userinfo)),
            ("allow a..b", E::Url(U::HostLabelEmpty { position: 2 })),
            ("allow .example.com", E::Url(U::HostLabelEmpty { position: 1 })),
            ("allow a;b", E::Url(U::HostCharacter { position: 1, found: ';' })),
            ("allow 1.2.3.4.5", E::Url(U::Ipv4)),
            ("allow h\0", E::Url(U::ControlCharacter { found: '\0' })),
            ("allow h/\u{1b}", E::Url(U::ControlCharacter { found: '\u{1b}' })),
        ] {
            assert_eq!(parse_rule(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_unbracketed_range_is_an_address_and_a_path() {
        // It grants less than was meant, never more.
        assert_eq!(parse_rule("allow 10.0.0.0/8").unwrap().to_string(), "allow wss://10.0.0.0/8");
    }
}
