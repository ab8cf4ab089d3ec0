//! What a connection is asked to be.

mod auth;
mod connection;
mod correlator;
mod endpoints;
mod greeting;
mod headers;
mod proxies;
mod readiness;
mod replies;
mod settings;
mod supervisor;
mod terms;

pub(crate) use auth::SharedCredentialProvider;
pub use auth::{
    AttemptCause, CredentialProvider, Credentials, PlatformAuth, ProviderRequest, Providing, Scope,
    TokenSource,
};
pub use connection::ConnectionSpec;
pub(crate) use connection::check_id;
pub(crate) use correlator::SharedCorrelator;
pub use correlator::{Correlator, JsonRpc};
pub(crate) use endpoints::{CheckedEndpoints, Familiar, SharedEndpointProvider};
pub use endpoints::{EndpointProvider, Endpoints};
pub(crate) use greeting::GreetingSource;
pub use greeting::{Greeting, NewSession};
pub(crate) use headers::{Header, Headers, check_subprotocols};
pub(crate) use proxies::{Dns, Login, ProxyKind};
pub use proxies::{InvalidProxy, Proxies, Proxy};
pub use readiness::Readiness;
pub(crate) use readiness::{ReadyBy, SharedPredicate};
pub use replies::Replies;
pub(crate) use replies::SharedReplier;
pub use settings::{Kind, Settings, Timeouts};
pub use supervisor::{ChildSpec, SupervisorSpec};
