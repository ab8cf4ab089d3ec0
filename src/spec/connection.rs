use std::sync::Arc;

use secrecy::SecretString;

use super::{CredentialProvider, Credentials, Endpoints, Kind, Settings};
use crate::{
    error::InvalidSpec,
    event::Subscription,
    lifecycle::{
        Backoff, Classify, ConnectionId, Intensity, RestartPolicy, RetryBudget, SharedClassify,
        StableAfter, Supervision,
    },
    message::Connect,
};

/// A connection that a supervisor is asked to keep: OTP's child spec.
///
/// ```
/// use wsvisor::{ConnectionSpec, RestartPolicy};
///
/// let spec = ConnectionSpec::json("ticker", "wss://stream.example.com/v1")
///     .subprotocol("v1.stream")
///     .restart(RestartPolicy::Transient);
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionSpec {
    pub(crate) id: ConnectionId,
    pub(crate) kind: Kind,
    pub(crate) connect: Connect,
    pub(crate) settings: Arc<Settings>,
    pub(crate) supervision: Arc<Supervision>,
    pub(crate) subscriptions: Vec<Subscription>,
}

impl ConnectionSpec {
    /// A connection whose messages are JSON.
    #[must_use]
    pub fn json(id: impl Into<ConnectionId>, url: impl Into<Endpoints>) -> Self {
        Self::new(id.into(), Kind::Json, url.into())
    }

    /// A connection whose messages are text, or bytes, as they come.
    #[must_use]
    pub fn string(id: impl Into<ConnectionId>, url: impl Into<Endpoints>) -> Self {
        Self::new(id.into(), Kind::String, url.into())
    }

    fn new(id: ConnectionId, kind: Kind, url: Endpoints) -> Self {
        Self {
            id,
            kind,
            connect: Connect::to(url),
            settings: Settings::shared_default(),
            supervision: Supervision::shared_default(),
            subscriptions: Vec::new(),
        }
    }

    /// Offers a subprotocol to the server, after those offered before.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.connect = self.connect.subprotocol(name);
        self
    }

    /// Fails the handshake when the server picks none of the subprotocols that are offered; see
    /// [`Connect::require_subprotocol`].
    #[must_use]
    pub fn require_subprotocol(mut self) -> Self {
        self.connect = self.connect.require_subprotocol();
        self
    }

    /// Follows so many redirects in one attempt; see [`Connect::follow_redirects`].
    #[must_use]
    pub fn follow_redirects(mut self, most: u8) -> Self {
        self.connect = self.connect.follow_redirects(most);
        self
    }

    /// Adds a header to the handshake.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.connect = self.connect.header(name, value);
        self
    }

    /// Sends `Authorization: Bearer …` with the handshake.
    #[must_use]
    pub fn bearer_auth(mut self, token: impl Into<SecretString>) -> Self {
        self.connect = self.connect.bearer_auth(token);
        self
    }

    /// Sends `Authorization: Basic …` with the handshake.
    #[must_use]
    pub fn basic_auth(
        mut self,
        user: impl Into<SecretString>,
        password: impl Into<SecretString>,
    ) -> Self {
        self.connect = self.connect.basic_auth(user, password);
        self
    }

    /// Sends these credentials with the handshake.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.connect = self.connect.credentials(credentials);
        self
    }

    /// Asks `provider` for the credentials of each attempt.
    #[must_use]
    pub fn auth(mut self, provider: impl CredentialProvider) -> Self {
        self.connect = self.connect.auth(provider);
        self
    }

    /// Tells a recipient of [`Lifecycle`](crate::Lifecycle), [`Received`](crate::Received) or
    /// [`ReceivedBatch`](crate::ReceivedBatch) what happens, from the first event on.
    #[must_use]
    pub fn subscribe(mut self, to: impl Into<Subscription>) -> Self {
        self.subscriptions.push(to.into());
        self
    }

    /// Sets when the connection is started again. Default: permanent.
    #[must_use]
    pub fn restart(mut self, restart: RestartPolicy) -> Self {
        Arc::make_mut(&mut self.supervision).restart = restart;
        self
    }

    /// Sets how long it waits between attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        Arc::make_mut(&mut self.supervision).backoff = backoff;
        self
    }

    /// Marks it as significant: its end by itself may be that of its supervisor, as
    /// [`AutoShutdown`](crate::AutoShutdown) says. It must be transient or temporary.
    #[must_use]
    pub fn significant(mut self) -> Self {
        Arc::make_mut(&mut self.supervision).significant = true;
        self
    }

    /// Sets what ends mean where the default table does not fit the server.
    #[must_use]
    pub fn classify(mut self, classify: impl Classify) -> Self {
        Arc::make_mut(&mut self.supervision).classify = Some(SharedClassify::new(classify));
        self
    }

    /// Sets when it gives up. Default: never.
    #[must_use]
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        Arc::make_mut(&mut self.supervision).budget = budget;
        self
    }

    /// Sets when a session counts as stable, so that the backoff starts again.
    #[must_use]
    pub fn stable_after(mut self, stable_after: StableAfter) -> Self {
        Arc::make_mut(&mut self.supervision).stable_after = stable_after;
        self
    }

    /// Sets limits of time and size, and trust.
    #[must_use]
    pub fn settings(mut self, settings: impl Into<Arc<Settings>>) -> Self {
        self.settings = settings.into();
        self
    }

    /// The connection's name.
    #[must_use]
    pub const fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// Whether it can be, under a supervisor of this intensity.
    pub(crate) fn check_for(&self, intensity: &Intensity) -> Result<(), InvalidSpec> {
        check_id(&self.id)?;
        self.supervision.check()?;
        self.settings.check()?;
        intensity.check_with(&self.supervision.backoff)
    }
}

pub(crate) fn check_id(id: &ConnectionId) -> Result<(), InvalidSpec> {
    let id = id.as_str();
    if id.is_empty() {
        Err(InvalidSpec::Id("it is empty"))
    } else if id.len() > 256 {
        Err(InvalidSpec::Id("it is longer than 256 bytes"))
    } else if id.chars().any(char::is_control) {
        Err(InvalidSpec::Id("it has a control character"))
    } else {
        Ok(())
    }
}
