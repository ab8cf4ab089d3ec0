use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use ipnet::IpNet;

use super::{Allowed, CanonicalUrl, Denied, Effect, PolicyError, Rule, host_pattern::parse_net};

/// Which URLs and which addresses may be dialled. What no rule allows is blocked.
///
/// A clone is cheap and shares the rules.
///
/// ```
/// use wsvisor::AccessPolicy;
///
/// let policy = AccessPolicy::from_rules([
///     "allow wss://*.example.com",
///     "deny wss://admin.example.com:*",
/// ])?;
/// let allowed = policy.check("WSS://Stream.example.com/v1")?;
/// assert_eq!(allowed.url().to_string(), "wss://stream.example.com/v1");
///
/// let denied = policy.check("wss://example.net/v1?token=secret").unwrap_err();
/// assert_eq!(
///     denied.to_string(),
///     "wss://example.net/v1?… is blocked, for no rule allows it; \
///      add one such as `allow wss://example.net`",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Rules
///
/// ```text
/// policy   = *rule                      ; no rules = nothing is allowed
/// rule     = ("allow" / "deny") SP pattern
/// pattern  = [scheme "://"] host [":" port] [path]
/// scheme   = "wss" / "ws"               ; omitted = wss
/// host     = name / "*." name / "*" / ipv4 / "[" (ipv6 / cidr) "]"
/// port     = 1..65535 / "*"             ; omitted = the scheme's default port
/// path     = "/" …                      ; omitted = any; "/" at the end = all below; else exact
/// ```
///
/// A URL is allowed if at least one `allow` rule matches it and no `deny` rule does; the order of
/// the rules does not matter. A rule matches if all its parts do:
///
/// - **scheme**: exactly. A rule without one speaks of `wss` only, a `deny` rule too.
/// - **host**: `*.example.com` is any name below `example.com`, not `example.com` itself. `*` is
///   any name. A host that is an IP address is matched by address and CIDR rules only, IPv4 by IPv4
///   and IPv6 by IPv6. One exception: who denies an IPv4 address denies its IPv4-mapped form.
/// - **port**: a rule without one speaks of the scheme's default port only; `:*` is any port.
/// - **path**: compared after percent-decoding. A path that holds `%2f`, `%5c` or `%2e` means
///   different things to different servers: no `allow` rule with a path matches it, and every
///   `deny` rule with a path does.
/// - the **query** is never looked at.
///
/// To deny a host altogether takes two rules: `deny wss://bad.example:*` and `deny
/// ws://bad.example:*`. Even then, denying a name is a convenience and not a boundary, for the same
/// server may have other names. To be safe, allow little.
///
/// To allow all names, say so: `allow wss://*:*` and `allow ws://*:*`. They still lead to public
/// addresses only, and IP addresses in URLs still need rules of their own, such as
/// `allow wss://[0.0.0.0/0]:*`, which allows private ones too.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccessPolicy(Arc<Inner>);

#[derive(Clone, Default, PartialEq, Eq)]
struct Inner {
    /// Each shared with what it allows.
    rules: Vec<Arc<Rule>>,
    granted: Vec<IpNet>,
}

impl AccessPolicy {
    /// The policy without rules, which blocks everything. It is the default.
    #[must_use]
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// A policy of these rules, in any order.
    ///
    /// # Errors
    ///
    /// If a text is not a rule; an empty one is not. Then there is no policy at all, for a policy
    /// that lacks a rule is another policy.
    pub fn from_rules(
        rules: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, PolicyError> {
        Self::from_numbered((1..).zip(rules))
    }

    /// A policy from a text with one rule a line. Blank lines are skipped, as is what stands behind
    /// a `#` at a line's start or after white space.
    ///
    /// ```
    /// use wsvisor::AccessPolicy;
    ///
    /// let policy = AccessPolicy::from_text("
    ///     ## market data
    ///     allow wss://stream.example.com
    ///     allow ws://10.1.2.3:9000        # our own gateway
    /// ")?;
    /// assert_eq!(policy.rules().len(), 2);
    ///
    /// let error = AccessPolicy::from_text("allow wss://a.example\npermit wss://b.example").unwrap_err();
    /// assert_eq!(error.line, 2);
    /// # Ok::<(), wsvisor::PolicyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a line is not a rule, with its number.
    pub fn from_text(text: &str) -> Result<Self, PolicyError> {
        let lines = (1..).zip(text.lines().map(without_comment));
        Self::from_numbered(lines.filter(|(_, line)| !line.is_empty()))
    }

    fn from_numbered(
        rules: impl Iterator<Item = (usize, impl AsRef<str>)>,
    ) -> Result<Self, PolicyError> {
        let parse = |(line, rule): (usize, _)| parse_rule(line, AsRef::as_ref(&rule));
        let rules = rules.map(|rule| parse(rule).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner { rules, granted: Vec::new() })))
    }

    /// Lets allowed *names* resolve into these networks too, given as CIDR ranges or addresses. By
    /// default names may lead to public addresses only; see [`check_address`](Self::check_address).
    ///
    /// ```
    /// use wsvisor::AccessPolicy;
    ///
    /// let policy = AccessPolicy::from_rules(["allow wss://*.corp.example"])?
    ///     .with_grant_resolved(["10.20.0.0/16"])?;
    /// let allowed = policy.check("wss://chat.corp.example").unwrap();
    /// assert!(policy.check_address(&allowed, "10.20.30.40".parse().unwrap()).is_ok());
    /// assert!(policy.check_address(&allowed, "10.21.0.1".parse().unwrap()).is_err());
    /// # Ok::<(), wsvisor::PolicyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a text is neither an address nor a CIDR range, or an address has bits set behind the
    /// prefix.
    pub fn with_grant_resolved(
        self,
        networks: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, PolicyError> {
        let parse = |(line, text): (usize, _)| parse_grant(line, AsRef::as_ref(&text));
        let more = (1..).zip(networks).map(parse);
        let more: Vec<_> = more.collect::<Result<_, _>>()?;
        let mut granted = self;
        Arc::make_mut(&mut granted.0).granted.extend(more);
        Ok(granted)
    }

    /// Judges a URL as a user wrote it. Dial only what comes back.
    ///
    /// # Errors
    ///
    /// If the text is not a WebSocket URL, a `deny` rule matches it, or no `allow` rule does.
    pub fn check(&self, url: &str) -> Result<Allowed, Denied> {
        self.check_url(&CanonicalUrl::parse(url)?)
    }

    /// Judges a parsed URL.
    ///
    /// # Errors
    ///
    /// If a `deny` rule matches it, or no `allow` rule does.
    pub fn check_url(&self, url: &CanonicalUrl) -> Result<Allowed, Denied> {
        self.judge(url).map(|rule| Allowed::new(url.clone(), Arc::clone(rule)))
    }

    /// Judges again what was allowed. What is allowed as before is kept as it is: its memory is shared.
    pub(crate) fn check_again(&self, allowed: &Allowed) -> Result<Allowed, Denied> {
        let rule = self.judge(allowed.url())?;
        Ok(if **rule == *allowed.rule() {
            allowed.clone()
        } else {
            Allowed::new(allowed.url().clone(), Arc::clone(rule))
        })
    }

    /// Whether it allows this again, by the same rule.
    pub(crate) fn allows_as_before(&self, allowed: &Allowed) -> bool {
        self.judge(allowed.url()).is_ok_and(|rule| **rule == *allowed.rule())
    }

    /// The rule that allows the URL.
    fn judge(&self, url: &CanonicalUrl) -> Result<&Arc<Rule>, Denied> {
        if let Some(rule) = self.matching(Effect::Deny, url) {
            return Err(Denied::ByRule { url: url.clone(), rule: Rule::clone(rule) });
        }
        self.matching(Effect::Allow, url).ok_or_else(|| Denied::NoRule { url: url.clone() })
    }

    /// The rules in the order in which they were given.
    #[must_use]
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.0.rules.iter().map(|rule| &**rule)
    }

    /// Of the rules that match the one closest to the host, so that the order of the rules decides
    /// nothing.
    fn matching(&self, effect: Effect, url: &CanonicalUrl) -> Option<&Arc<Rule>> {
        let rules = self.0.rules.iter();
        let matching = rules.filter(|rule| rule.effect == effect && rule.matches(url));
        matching.max_by_key(|rule| rule.host.closeness())
    }

    /// The `deny` rule, if any, that names this address as the host.
    pub(super) fn denies_resolved(&self, url: &CanonicalUrl, address: IpAddr) -> Option<&Rule> {
        self.rules().find(|rule| rule.effect == Effect::Deny && rule.matches_at(url, address))
    }

    pub(super) fn grants_resolved(&self, address: IpAddr) -> bool {
        self.0.granted.iter().any(|network| network.contains(&address))
    }
}

/// As [`AccessPolicy::from_text`] does.
impl FromStr for AccessPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::from_text(text)
    }
}

impl fmt::Debug for AccessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessPolicy")
            .field("rules", &self.0.rules)
            .field("granted", &self.0.granted)
            .finish()
    }
}

fn parse_rule(line: usize, rule: &str) -> Result<Rule, PolicyError> {
    rule.parse().map_err(|reason| PolicyError::new(line, rule, reason))
}

fn parse_grant(line: usize, text: &str) -> Result<IpNet, PolicyError> {
    parse_net(text).map_err(|reason| PolicyError::new(line, text, reason))
}

/// A `#` inside a word is not a comment: cutting it off could turn a wrong rule into a wide one.
fn without_comment(line: &str) -> &str {
    let starts_comment = |(at, _): &(usize, _)| {
        line.get(..*at)
            .is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    };
    let end = line.match_indices('#').find(starts_comment).map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or(line).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{InvalidUrl, RuleError};

    fn policy<const N: usize>(rules: [&str; N]) -> AccessPolicy {
        AccessPolicy::from_rules(rules).unwrap()
    }

    #[test]
    fn what_no_rule_allows_is_blocked() {
        let url: CanonicalUrl = "wss://example.com".parse().unwrap();
        let denied = Err(Denied::NoRule { url: url.clone() });
        assert_eq!(AccessPolicy::deny_all().check_url(&url), denied);
        assert_eq!(AccessPolicy::default().check("wss://example.com"), denied);
        assert_eq!(policy(["deny wss://other"]).check_url(&url), denied);
        let invalid = Err(Denied::InvalidUrl(InvalidUrl::Scheme));
        assert_eq!(AccessPolicy::deny_all().check("https://example.com"), invalid);
    }

    #[test]
    fn a_text_is_parsed_and_its_rules_are_shown() {
        let policy: AccessPolicy = "allow wss://a.example".parse().unwrap();
        assert!(policy.check("wss://a.example").is_ok());
        let shown = format!("{policy:?}");
        assert!(shown.contains("Rule(allow wss://a.example)"), "{shown}");
    }

    #[test]
    fn deny_beats_allow_in_any_order() {
        let rules = [
            "allow wss://*.example.com",
            "deny wss://admin.example.com",
            "allow wss://admin.example.com",
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let policy = policy(order.map(|index| rules[index]));
            let url = "wss://admin.example.com/".parse().unwrap();
            let rule = rules[1].parse().unwrap();
            assert_eq!(policy.check_url(&url), Err(Denied::ByRule { url, rule }));
            assert!(policy.check("wss://www.example.com").is_ok());
        }
    }

    #[test]
    fn the_closest_rule_answers_in_any_order() {
        for rules in [
            ["allow ws://*", "allow ws://*.localhost", "allow ws://a.localhost"],
            ["allow ws://a.localhost", "allow ws://*.localhost", "allow ws://*"],
        ] {
            let allowed = policy(rules).check("ws://a.localhost").unwrap();
            assert_eq!(allowed.rule().to_string(), "allow ws://a.localhost");
        }
    }

    #[test]
    fn spellings_do_not_pass_a_deny_rule() {
        let policy = policy([
            "allow ws://*:*",
            "allow ws://[0.0.0.0/0]:*",
            "deny ws://[127.0.0.0/8]:*",
            "deny ws://evil.example:*",
        ]);
        for url in [
            "ws://127.1",
            "ws://[::ffff:7f00:1]",
            "ws://2130706433",
            "ws://0x7f000001",
            "ws://0177.0.0.1",
            "ws://127.0.0.1.:8080/",
            "ws://EVIL.example",
            "ws://evil.example.",
            "ws://evil。example",
            "ws://%65vil.example:81",
        ] {
            assert!(matches!(policy.check(url), Err(Denied::ByRule { .. })), "{url}");
        }
        assert!(policy.check("ws://128.0.0.1").is_ok());
    }

    #[test]
    fn a_text_has_lines_and_comments() {
        let text = "\u{20}# head\r\n\r\n  allow\twss://a.example   # why\r\n#deny wss://b.example\n deny  a.example/x \n";
        let rules: Vec<_> =
            AccessPolicy::from_text(text).unwrap().rules().map(ToString::to_string).collect();
        assert_eq!(rules, ["allow wss://a.example", "deny wss://a.example/x"]);
        assert_eq!(AccessPolicy::from_text(" \n# only words\n"), Ok(AccessPolicy::deny_all()));
    }

    #[test]
    fn one_wrong_rule_refuses_the_policy() {
        let error = AccessPolicy::from_text("allow a.example\n\n# c\nallow b.example/#c\nallow")
            .unwrap_err();
        assert_eq!((error.line, error.rule.as_str()), (4, "allow b.example/…"));
        assert_eq!(error.reason, RuleError::Url(InvalidUrl::Fragment));

        let error = AccessPolicy::from_rules(["allow a.example", ""]).unwrap_err();
        assert_eq!((error.line, error.reason), (2, RuleError::Effect));
        let error = AccessPolicy::from_rules(["allow a.example\nallow b.example"]).unwrap_err();
        assert_eq!(error.reason, RuleError::Whitespace);

        let error =
            AccessPolicy::deny_all().with_grant_resolved(["10.0.0.0/8", "10.0.0.1/8"]).unwrap_err();
        assert_eq!((error.line, error.rule.as_str()), (2, "10.0.0.1/8"));
        assert_eq!(error.reason, RuleError::HostBits { network: "10.0.0.0/8".into() });
    }

    #[test]
    fn denials_say_why_but_not_the_secret() {
        let policy = policy(["allow wss://ok.example", "deny wss://bad.example"]);
        for (url, text) in [
            (
                "wss://bad.example/a?canary",
                "wss://bad.example/a?… is blocked by the rule `deny wss://bad.example`; remove the rule to allow it",
            ),
            (
                "ws://[::1]:81/a?canary",
                "ws://[::1]:81/a?… is blocked, for no rule allows it; add one such as `allow ws://[::1]:81`",
            ),
            (
                "wss://canary@ok.example",
                "invalid URL: userinfo: credentials must not stand in a URL; send them in a header and remove everything up to the @",
            ),
        ] {
            let denied = policy.check(url).unwrap_err();
            assert_eq!(denied.to_string(), text);
            assert!(!format!("{denied:?}").contains("canary"));
            assert_eq!(format!("{:?}", denied.opaque()), "ConnectionFailed");
        }
        assert!(!format!("{:?}", policy.check("wss://ok.example?canary")).contains("canary"));
    }

    #[test]
    fn it_can_be_shared() {
        const fn shared<T: Clone + Send + Sync>() {}
        shared::<AccessPolicy>();
        shared::<Allowed>();
    }
}
