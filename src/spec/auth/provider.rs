use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::Credentials;
use crate::{
    lifecycle::{ConnectionId, ExitReason, ProviderError},
    policy::CanonicalUrl,
};

/// Gives the credentials of each attempt: a token that was copied once is stale at the next
/// reconnect.
///
/// It is asked on every attempt, after the connection's turn to dial has come, and told why. When the
/// server answers 401 or 403 it is asked again at once; when it then gives the same credentials, and
/// they are refused the same way, the connection gives up. Other credentials are tried after the
/// backoff.
///
/// An answer must come within [`Timeouts::provider`](crate::Timeouts::provider). A panic in here ends
/// the attempt with the class `Crash` and harms nothing else.
///
/// A closure is one:
///
/// ```
/// use wsvisor::{ConnectionSpec, Credentials, ProviderError, ProviderRequest};
///
/// async fn fetch_token() -> Result<String, std::io::Error> {
///     Ok("eyJhbGciOi…".into())
/// }
///
/// let spec = ConnectionSpec::json("ticker", "wss://stream.example.com/v1")
///     .auth(|_: ProviderRequest| async {
///         let token = fetch_token().await;
///         let token = token.map_err(|_| ProviderError::retry("the token service is down"))?;
///         Ok(Credentials::bearer(token))
///     });
/// ```
pub trait CredentialProvider: Send + Sync + 'static {
    /// The credentials for this attempt.
    fn credentials(&self, request: ProviderRequest) -> Providing<'_, Credentials>;

    /// Names of the headers that it sets. A connection that is given one of them besides is refused
    /// with [`InvalidHeaders`](crate::ConnectError::InvalidHeaders).
    fn header_names(&self) -> &[&str] {
        &["authorization"]
    }
}

/// A provider's answer under way.
pub type Providing<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + 'a>>;

impl<F, A> CredentialProvider for F
where
    F: Fn(ProviderRequest) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Credentials, ProviderError>> + 'static,
{
    fn credentials(&self, request: ProviderRequest) -> Providing<'_, Credentials> {
        Box::pin(self(request))
    }
}

/// What a provider is told of the attempt that it is asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderRequest {
    /// The connection.
    pub connection: ConnectionId,
    /// What is dialled; none where the provider is asked for just that.
    pub url: Option<CanonicalUrl>,
    /// Why there is an attempt.
    pub cause: AttemptCause,
    /// Why the last attempt or session ended; none before the first.
    pub last_failure: Option<ExitReason>,
}

/// Why a provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptCause {
    /// The first attempt with these parameters.
    First,
    /// A later one.
    Reconnect,
    /// The server refused the credentials of the last attempt that reached it.
    Refused {
        /// 401 or 403.
        status: u16,
    },
}

/// A shared provider, as a connection's parameters hold it.
#[derive(Clone)]
pub(crate) struct SharedCredentialProvider(pub(crate) Arc<dyn CredentialProvider>);

impl SharedCredentialProvider {
    pub(crate) fn new(provider: impl CredentialProvider) -> Self {
        Self(Arc::new(provider))
    }
}

impl fmt::Debug for SharedCredentialProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialProvider(..)")
    }
}
