use super::RuleError;

/// Why a text is not an [`AccessPolicy`](super::AccessPolicy): one rule of it is wrong, and so the
/// whole is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access policy, line {line}, `{rule}`: {reason}")]
#[non_exhaustive]
pub struct PolicyError {
    /// The line or, where the rules came one by one, the position of the wrong rule, counted from
    /// 1.
    pub line: usize,
    /// The wrong rule as it was given, with `…` for what may be a credential: everything up to an
    /// `@`, and everything from a `?` or `#`.
    pub rule: String,
    /// What is wrong with it.
    #[source]
    pub reason: RuleError,
}

impl PolicyError {
    pub(super) fn new(line: usize, rule: &str, reason: RuleError) -> Self {
        Self { line, rule: redacted(rule.trim()), reason }
    }
}

/// A wrong rule has no parts to rely on, so this hides rather too much.
fn redacted(rule: &str) -> String {
    let effect =
        ["allow ", "deny "].into_iter().find(|effect| rule.starts_with(effect)).unwrap_or("");
    let pattern = rule.strip_prefix(effect).unwrap_or(rule).trim_start();
    let (hidden, rest) = pattern.rsplit_once('@').map_or(("", pattern), |(_, rest)| ("…@", rest));
    let (shown, cut) = rest.split_once(['?', '#']).map_or((rest, ""), |(shown, _)| (shown, "…"));
    format!("{effect}{hidden}{}{cut}", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_what_and_why() {
        let error = PolicyError::new(3, " allow https://h ", RuleError::Scheme);
        assert_eq!(
            error.to_string(),
            "access policy, line 3, `allow https://h`: scheme: only wss and ws are WebSocket schemes; leave it out for wss"
        );
    }

    #[test]
    fn credentials_are_hidden() {
        for (rule, shown) in [
            ("allow wss://canary:canary@h/a", "allow …@h/a"),
            ("allow wss://h/a?canary#canary", "allow wss://h/a…"),
            ("allow wss://h/#canary", "allow wss://h/…"),
            ("allow  wss://can?ary@h", "allow …@h"),
            ("canary can/ary@h/?canary", "…@h/…"),
            ("wss://h", "wss://h"),
            ("allow", "allow"),
            ("allow a\u{1b}[31m\u{202e}", r"allow a\u{1b}[31m\u{202e}"),
        ] {
            assert_eq!(redacted(rule), shown);
        }
    }
}
