use std::{fmt, future::Future, sync::Arc};

use secrecy::SecretString;

use super::{CredentialProvider, Credentials, ProviderRequest, Providing};
use crate::lifecycle::ProviderError;

/// The M² platform's two kinds of authentication, as a provider that is ready to use.
///
/// [`delegated`](Self::delegated) proves to a service of yours who the user is: a token of the web
/// platform as `Authorization: Bearer …`, with the headers of its [`Scope`]. Such a token lives for
/// about five minutes, so that one is asked for on every attempt.
///
/// [`web_platform`](Self::web_platform) is for the platform's own interfaces: the key of an
/// organization as `x-api-key`.
///
/// ```
/// use wsvisor::{ConnectionSpec, PlatformAuth, ProviderError, Scope};
///
/// async fn request_token(scope: Scope) -> Result<String, ProviderError> {
///     Ok("eyJhbGciOi…".into())
/// }
///
/// let scope = Scope::World {
///     organization: "o1".into(),
///     project: "p1".into(),
///     world: "w1".into(),
/// };
/// let spec = ConnectionSpec::json("game", "wss://game.example.com/v1")
///     .auth(PlatformAuth::delegated(scope, request_token));
/// ```
#[derive(Clone, Debug)]
pub struct PlatformAuth {
    scope: Scope,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Token(Arc<dyn TokenSource>),
    ApiKey(SecretString),
}

/// What a delegated token is valid for. Each scope adds its claims to the token, and its headers to
/// the handshake.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The user alone.
    #[default]
    None,
    /// `x-m2-organization-id`.
    Organization {
        /// The organization's id.
        organization: String,
    },
    /// The same, and `x-m2-project-id`.
    Project {
        /// The organization's id.
        organization: String,
        /// The project's id.
        project: String,
    },
    /// The same, and `x-m2-world-id`. The platform's advice is to use this one wherever it can be.
    World {
        /// The organization's id.
        organization: String,
        /// The project's id.
        project: String,
        /// The world's id.
        world: String,
    },
    /// The headers of a project, and `x-m2-launch-context-id`. The platform has deprecated it.
    LaunchContext {
        /// The organization's id.
        organization: String,
        /// The project's id.
        project: String,
        /// The launch context's id.
        launch_context: String,
    },
}

const ORGANIZATION: &str = "x-m2-organization-id";
const PROJECT: &str = "x-m2-project-id";
const WORLD: &str = "x-m2-world-id";
const LAUNCH_CONTEXT: &str = "x-m2-launch-context-id";

impl Scope {
    /// The headers of the scope.
    fn headers(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::None => vec![],
            Self::Organization { organization } => vec![(ORGANIZATION, organization)],
            Self::Project { organization, project } => {
                vec![(ORGANIZATION, organization), (PROJECT, project)]
            }
            Self::World { organization, project, world } => {
                vec![(ORGANIZATION, organization), (PROJECT, project), (WORLD, world)]
            }
            Self::LaunchContext { organization, project, launch_context } => vec![
                (ORGANIZATION, organization),
                (PROJECT, project),
                (LAUNCH_CONTEXT, launch_context),
            ],
        }
    }
}

/// Where delegated tokens come from: a closure that asks the web platform for one of this scope.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that is valid now.
    fn token(&self, scope: Scope) -> Providing<'_, SecretString>;
}

impl<F, A, T> TokenSource for F
where
    F: Fn(Scope) -> A + Send + Sync + 'static,
    A: Future<Output = Result<T, ProviderError>> + 'static,
    T: Into<SecretString>,
{
    fn token(&self, scope: Scope) -> Providing<'_, SecretString> {
        let token = self(scope);
        Box::pin(async move { token.await.map(Into::into) })
    }
}

impl PlatformAuth {
    /// Delegated Token Auth: `tokens` is asked on every attempt.
    pub fn delegated(scope: Scope, tokens: impl TokenSource) -> Self {
        Self { scope, proof: Proof::Token(Arc::new(tokens)) }
    }

    /// Web Platform Auth, with an organization's key.
    pub fn web_platform(scope: Scope, api_key: impl Into<SecretString>) -> Self {
        Self { scope, proof: Proof::ApiKey(api_key.into()) }
    }
}

impl CredentialProvider for PlatformAuth {
    fn credentials(&self, _: ProviderRequest) -> Providing<'_, Credentials> {
        Box::pin(async {
            let credentials = match &self.proof {
                Proof::Token(tokens) => {
                    Credentials::bearer(tokens.token(self.scope.clone()).await?)
                }
                Proof::ApiKey(key) => Credentials::header("x-api-key", key.clone()),
            };
            let scope = self.scope.headers().into_iter();
            Ok(scope.fold(credentials, |all, (name, id)| all.and_header(name, id)))
        })
    }

    fn header_names(&self) -> &[&str] {
        match self.proof {
            Proof::Token(_) => &["authorization", ORGANIZATION, PROJECT, WORLD, LAUNCH_CONTEXT],
            Proof::ApiKey(_) => &["x-api-key", ORGANIZATION, PROJECT, WORLD, LAUNCH_CONTEXT],
        }
    }
}

/// The kind alone: ids are values of headers.
impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Organization { .. } => "Organization(..)",
            Self::Project { .. } => "Project(..)",
            Self::World { .. } => "World(..)",
            Self::LaunchContext { .. } => "LaunchContext(..)",
        })
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::ApiKey(_) => "ApiKey(..)",
        })
    }
}
