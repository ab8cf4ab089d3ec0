use std::sync::Arc;

use super::{CanonicalUrl, ConnectionFailed, InvalidUrl, Rule};

/// A URL that an [`AccessPolicy`](super::AccessPolicy) allows. Only a policy makes one, so holding
/// it is the proof.
///
/// It speaks for the policy that made it: check again when the policy changes, and before every new
/// attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(Arc<Proof>);

/// Shared, for a connection keeps what it may dial and what it has dialled, which are mostly the same.
#[derive(Debug, PartialEq, Eq)]
struct Proof {
    url: CanonicalUrl,
    rule: Arc<Rule>,
}

impl Allowed {
    pub(super) fn new(url: CanonicalUrl, rule: Arc<Rule>) -> Self {
        Self(Arc::new(Proof { url, rule }))
    }

    /// The URL to dial.
    #[must_use]
    pub fn url(&self) -> &CanonicalUrl {
        &self.0.url
    }

    /// The rule that allows it; of several, the one that describes the host most closely.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.0.rule
    }

    /// The URL alone.
    #[must_use]
    pub fn into_url(self) -> CanonicalUrl {
        self.0.url.clone()
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
    /// The `deny` rule that decided; none where no rule allows the URL.
    #[must_use]
    pub const fn rule(&self) -> Option<&Rule> {
        match self {
            Self::ByRule { rule, .. } => Some(rule),
            Self::InvalidUrl(_) | Self::NoRule { .. } => None,
        }
    }

    /// The same refusal without its reason, for untrusted callers: reasons would let them explore
    /// the policy.
    #[must_use]
    pub const fn opaque(&self) -> ConnectionFailed {
        ConnectionFailed
    }
}
