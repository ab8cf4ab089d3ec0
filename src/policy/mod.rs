//! Which URL and which address may be dialled. Pure: no socket, no resolver, no clock.
//!
//! The decision has two halves, because a name says nothing about where it leads:
//!
//! 1. [`AccessPolicy::check`] parses a URL into its one [`CanonicalUrl`] and asks the rules. What
//!    comes back as [`Allowed`] is the only URL that may be dialled.
//! 2. After name resolution, [`AccessPolicy::check_address`] judges every address that the name
//!    resolved to. It keeps an allowed name from leading into the private network.
//!
//! Several addresses are connected to by turns, as RFC 8305 says (`happy_eyeballs.rs`).
//!
//! | to read about | see |
//! | --- | --- |
//! | the grammar of the rules and what they mean | [`AccessPolicy`] |
//! | which spellings of a URL are refused, which made one | [`CanonicalUrl`], [`InvalidUrl`] |
//! | which addresses are public | [`is_public`], [`SpecialUse`] |

mod access;
mod address;
mod canonical_url;
#[cfg(test)]
mod canonical_url_tests;
mod decision;
mod denial;
mod file;
mod grammar;
mod happy_eyeballs;
mod host;
mod host_pattern;
mod invalid_url;
mod path_pattern;
mod policy_error;
#[cfg(test)]
mod properties;
mod redirect;
mod rule;
mod special_use;

pub use access::AccessPolicy;
pub use address::AddressBlocked;
pub use canonical_url::CanonicalUrl;
pub use decision::{Allowed, Denied};
pub use denial::{ConnectionFailed, PolicyDenied};
pub use file::PolicyFileError;
pub use grammar::RuleError;
pub(crate) use happy_eyeballs::Race;
pub(crate) use host::is_localhost;
pub use host::{Host, Scheme};
pub use invalid_url::InvalidUrl;
pub use policy_error::PolicyError;
pub use redirect::RedirectRefused;
pub(crate) use redirect::{Redirect, is_redirect};
pub use rule::{Effect, Rule};
pub use special_use::{SpecialUse, is_public};
