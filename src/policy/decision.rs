use super::{CanonicalUrl, InvalidUrl, Rule};

/// A URL that an [`AccessPolicy`](super::AccessPolicy) allows. Only a policy makes one, so holding
/// it is the proof.
///
/// It speaks for the policy that made it: check again when the policy changes, and before every new
/// attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    url: CanonicalUrl,
    rule: Rule,
}

impl Allowed {
    pub(super) const fn new(url: CanonicalUrl, rule: Rule) -> Self {
        Self { url, rule }
    }

    /// The URL to dial.
    #[must_use]
    pub const fn url(&self) -> &CanonicalUrl {
        &self.url
    }

    /// The rule that allows it; of several, the one that describes the host most closely.
    #[must_use]
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The URL alone.
    #[must_use]
    pub fn into_url(self) -> CanonicalUrl {
        self.url
    }
}

/// Why a URL must not be dialled, for operators. Give [`opaque`](Self::opaque) to those who are not
/// trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The text is not a URL that could be dialled.
    #[error("invalid URL: {0}")]
    InvalidUrl(#[from] InvalidUrl),
    /// A `deny` rule matches.
    #[error("{url} is blocked by the rule `{rule}`; remove the rule to allow it")]
    ByRule {
        /// What was asked for.
        url: CanonicalUrl,
        /// The rule.
        rule: Rule,
    },
    /// No `allow` rule matches.
    #[error("{url} is blocked, for no rule allows it; add one such as `allow {}`", .url.origin())]
    NoRule {
        /// What was asked for.
        url: CanonicalUrl,
    },
}

impl Denied {
    /// The same refusal without its reason, for untrusted callers: reasons would let them explore
    /// the policy.
    #[must_use]
    pub const fn opaque(&self) -> UrlBlocked {
        UrlBlocked(())
    }
}

/// A refusal that tells nothing but itself.
///
/// ```
/// use wsvisor::AccessPolicy;
///
/// let denied = AccessPolicy::deny_all().check("wss://internal.example.com").unwrap_err();
/// assert_eq!(denied.opaque().to_string(), "the URL is blocked by the access policy");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL is blocked by the access policy")]
pub struct UrlBlocked(());
