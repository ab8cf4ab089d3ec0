//! What proves to a server who connects.

mod credentials;
mod platform;
mod provider;

pub use credentials::Credentials;
pub(crate) use credentials::basic;
pub use platform::{PlatformAuth, Scope, TokenSource};
pub(crate) use provider::SharedCredentialProvider;
pub use provider::{AttemptCause, CredentialProvider, ProviderRequest, Providing};
