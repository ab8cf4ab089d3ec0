use std::{borrow::Cow, fmt};

use crate::{policy::InvalidUrl, protocol::InvalidHeader};

/// What a provider of credentials or endpoints answers when it has none.
///
/// Its text is shown in events and logs: put no secret in it, and mind that the errors of HTTP
/// clients may hold a URL with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    text: Cow<'static, str>,
    for_good: bool,
}

impl ProviderError {
    /// There is none now, and may be later: the attempt fails and another follows after the backoff.
    pub fn retry(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), for_good: false }
    }

    /// There is none and will be none: the connection gives up.
    pub fn fatal(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), for_good: true }
    }

    /// Whether another attempt would meet it again.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        self.for_good
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text.escape_debug())
    }
}

impl std::error::Error for ProviderError {}

/// Why a provider gave nothing that an attempt could use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderFailure {
    /// It said that it has nothing.
    #[error("{0}")]
    Refused(#[from] ProviderError),
    /// It panicked. What it said is not kept, for it may be a secret.
    #[error("the provider panicked")]
    Panicked,
    /// What it gave cannot be sent as a header.
    #[error("the provider's answer cannot be sent: {0}")]
    Header(#[from] InvalidHeader),
    /// What it gave is not a WebSocket URL.
    #[error("the provider's answer is not a WebSocket URL: {0}")]
    Url(#[from] InvalidUrl),
}
