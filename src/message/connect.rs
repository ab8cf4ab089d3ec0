use std::{fmt, sync::Arc};

use actix::Message;
use secrecy::SecretString;

use crate::{
    error::ConnectError,
    lifecycle::Epoch,
    policy::AccessPolicy,
    protocol::InvalidHeader,
    spec::{
        CheckedEndpoints, CredentialProvider, Credentials, Endpoints, Familiar, Header, Headers,
        SharedCredentialProvider, check_subprotocols,
    },
};

/// Starts an attempt to connect. An answer of `Ok(Connecting)` is followed by exactly one of the
/// lifecycle events `Connected` and `ConnectionError`; after an error nothing follows.
#[derive(Clone, Message)]
#[rtype(result = "Result<Connecting, ConnectError>")]
pub struct Connect {
    endpoints: Endpoints,
    /// Boxed because most want nothing more, and a supervisor keeps it of each connection.
    wishes: Option<Box<ConnectWishes>>,
}

/// What the handshake is to carry, and where it may lead.
#[derive(Clone)]
struct ConnectWishes {
    subprotocols: Vec<String>,
    subprotocol_required: bool,
    headers: Vec<Header>,
    auth: Auth,
    redirects: u8,
}

impl Default for ConnectWishes {
    fn default() -> Self {
        Self {
            subprotocols: Vec::new(),
            subprotocol_required: false,
            headers: Vec::new(),
            auth: Auth::Fixed(Credentials::none()),
            redirects: 0,
        }
    }
}

/// What proves who connects.
#[derive(Clone)]
enum Auth {
    Fixed(Credentials),
    Provided(SharedCredentialProvider),
}

/// The attempt of this epoch has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connecting {
    /// The attempt's epoch.
    pub epoch: Epoch,
}

impl Connect {
    /// Connects to a `ws` or `wss` URL, one of several, or one that is asked for.
    #[must_use]
    pub fn to(endpoints: impl Into<Endpoints>) -> Self {
        Self { endpoints: endpoints.into(), wishes: None }
    }

    fn wishes(&mut self) -> &mut ConnectWishes {
        self.wishes.get_or_insert_default()
    }

    /// Offers a subprotocol to the server, after those offered before. An empty one is none.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.wishes().subprotocols.push(name.into());
        self
    }

    /// Fails the handshake when the server picks none of the subprotocols that are offered, as
    /// browsers do. Without it, such a server is connected to, and `Connected` tells that there is no
    /// subprotocol. One that was not offered always fails (RFC 6455 §4.1).
    #[must_use]
    pub fn require_subprotocol(mut self) -> Self {
        self.wishes().subprotocol_required = true;
        self
    }

    /// Follows so many redirects in one attempt; by default none are. Each hop is judged by the access
    /// policy as the first URL was, and so is the address that it leads to. From `wss` none leads to
    /// `ws`.
    ///
    /// Credentials, cookies and all other headers but `User-Agent` and `Origin` go along within the scheme,
    /// host and port of the URL alone; subprotocols go along everywhere. The next attempt begins at the
    /// URL again.
    #[must_use]
    pub fn follow_redirects(mut self, most: u8) -> Self {
        self.wishes().redirects = most;
        self
    }

    /// Adds a header to the handshake. Its value is never shown.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.wishes().headers.push((name.into(), value.into()));
        self
    }

    /// Sends `Authorization: Bearer …` with the handshake (RFC 6750).
    #[must_use]
    pub fn bearer_auth(self, token: impl Into<SecretString>) -> Self {
        self.credentials(Credentials::bearer(token))
    }

    /// Sends `Authorization: Basic …` with the handshake (RFC 7617).
    #[must_use]
    pub fn basic_auth(
        self,
        user: impl Into<SecretString>,
        password: impl Into<SecretString>,
    ) -> Self {
        self.credentials(Credentials::basic(user, password))
    }

    /// Sends these credentials with the handshake. The last choice of credentials holds.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.wishes().auth = Auth::Fixed(credentials);
        self
    }

    /// Asks `provider` for the credentials of each attempt. The last choice of credentials holds.
    #[must_use]
    pub fn auth(mut self, provider: impl CredentialProvider) -> Self {
        self.wishes().auth = Auth::Provided(SharedCredentialProvider::new(provider));
        self
    }

    /// Checks everything that can be known without the network, in the documented order.
    pub(crate) fn check(&self, policy: &AccessPolicy) -> Result<CheckedConnect, ConnectError> {
        self.checked(self.endpoints.check(policy)?)
    }

    /// The same for one of many: where they lead to the same endpoints as the one before, they share what is kept of
    /// them.
    pub(crate) fn check_among(
        &mut self,
        familiar: &mut Familiar,
        policy: &AccessPolicy,
    ) -> Result<CheckedConnect, ConnectError> {
        let endpoints = self.endpoints.check_among(familiar, policy)?;
        self.checked(endpoints)
    }

    fn checked(&self, endpoints: Arc<CheckedEndpoints>) -> Result<CheckedConnect, ConnectError> {
        let checked = self.wishes.as_deref().map(ConnectWishes::check).transpose();
        let wishes = checked.map_err(ConnectError::InvalidHeaders)?.map(Box::new);
        Ok(CheckedConnect { endpoints, wishes })
    }
}

impl ConnectWishes {
    fn check(&self) -> Result<CheckedWishes, InvalidHeader> {
        let subprotocols = check_subprotocols(&self.subprotocols)?;
        let subprotocol_required = self.subprotocol_required;
        if subprotocol_required && subprotocols.is_empty() {
            return Err(InvalidHeader::SubprotocolRequired);
        }
        let (headers, auth) = self.check_headers()?;
        let redirects = self.redirects;
        Ok(CheckedWishes { subprotocols, subprotocol_required, redirects, headers, auth })
    }

    fn check_headers(&self) -> Result<(Headers, CheckedAuth), InvalidHeader> {
        let headers = Headers::check(&self.headers)?;
        let auth = match &self.auth {
            Auth::Fixed(credentials) => CheckedAuth::Fixed(credentials.headers()?),
            Auth::Provided(provider) => {
                if let Some(name) = headers.first_of(provider.0.header_names().iter().copied()) {
                    return Err(InvalidHeader::SetByProvider(name.to_owned()));
                }
                CheckedAuth::Provided(provider.clone())
            }
        };
        if let CheckedAuth::Fixed(credentials) = &auth {
            credentials.joined_with(&headers)?;
        }
        Ok((headers, auth))
    }
}

/// What is left of a [`Connect`] once nothing can be wrong with it.
#[derive(Clone)]
pub(crate) struct CheckedConnect {
    pub(crate) endpoints: Arc<CheckedEndpoints>,
    /// Boxed because most want nothing more.
    wishes: Option<Box<CheckedWishes>>,
}

impl CheckedConnect {
    pub(crate) fn wishes(&self) -> &CheckedWishes {
        static NONE: CheckedWishes = CheckedWishes {
            subprotocols: Vec::new(),
            subprotocol_required: false,
            redirects: 0,
            headers: Headers::NONE,
            auth: CheckedAuth::Fixed(Headers::NONE),
        };
        self.wishes.as_deref().unwrap_or(&NONE)
    }
}

/// What the handshake carries, and where it may lead.
#[derive(Clone)]
pub(crate) struct CheckedWishes {
    pub(crate) subprotocols: Vec<String>,
    pub(crate) subprotocol_required: bool,
    /// Redirects that an attempt follows.
    pub(crate) redirects: u8,
    /// What the caller adds, without the credentials.
    pub(crate) headers: Headers,
    pub(crate) auth: CheckedAuth,
}

/// Credentials that can be sent, or a provider of them.
#[derive(Clone)]
pub(crate) enum CheckedAuth {
    Fixed(Headers),
    Provided(SharedCredentialProvider),
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a secret in its query, and so may a header's value or a subprotocol.
        let wishes = self.wishes.as_deref();
        let names: Vec<_> =
            wishes.iter().flat_map(|wishes| &wishes.headers).map(|(name, _)| name).collect();
        f.debug_struct("Connect")
            .field("subprotocols", &wishes.map_or(0, |wishes| wishes.subprotocols.len()))
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}
