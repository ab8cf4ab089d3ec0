use std::{fmt, future::Future, sync::Arc};

use super::auth::{ProviderRequest, Providing};
use crate::{
    error::ConnectError,
    lifecycle::ProviderError,
    policy::{AccessPolicy, Allowed, Denied, InvalidUrl, PolicyDenied},
};

/// Where a connection leads: one URL, several that serve the same, or a provider that is asked for
/// the URL of each attempt.
///
/// Of several, the first is dialled first. The connection stays with the one that works, and goes
/// on to the next when an attempt did not reach a WebSocket server there, when the server answers
/// with 408, 425, 429 or 5xx, or closes with 1013; after the last comes the first. The access policy
/// must allow all of them.
///
/// ```
/// use wsvisor::{ConnectionSpec, Endpoints, ProviderRequest};
///
/// let one = ConnectionSpec::json("a", "wss://stream.example.com/v1");
/// let several = ConnectionSpec::json("b", ["wss://eu.example.com/v1", "wss://us.example.com/v1"]);
/// // A service whose URLs are tickets that can be used once.
/// let asked_for = ConnectionSpec::json(
///     "c",
///     Endpoints::provided_by(|_: ProviderRequest| async {
///         Ok("wss://stream.example.com/v1?ticket=…".to_owned())
///     }),
/// );
/// ```
#[derive(Clone)]
pub struct Endpoints(Arc<Kind>);

enum Kind {
    Listed(Box<[String]>),
    Provided(SharedEndpointProvider),
}

/// Gives the URL of each attempt. A closure is one.
///
/// The answer must come within [`Timeouts::provider`](crate::Timeouts::provider) and be allowed by the access
/// policy, which judges it on every attempt. It is asked before the connection's turn to dial has come,
/// because that depends on the host.
pub trait EndpointProvider: Send + Sync + 'static {
    /// A `ws` or `wss` URL for this attempt. Nothing shows its query.
    fn endpoint(&self, request: ProviderRequest) -> Providing<'_, String>;
}

impl<F, A> EndpointProvider for F
where
    F: Fn(ProviderRequest) -> A + Send + Sync + 'static,
    A: Future<Output = Result<String, ProviderError>> + 'static,
{
    fn endpoint(&self, request: ProviderRequest) -> Providing<'_, String> {
        Box::pin(self(request))
    }
}

impl Endpoints {
    /// Asks `provider` on every attempt.
    pub fn provided_by(provider: impl EndpointProvider) -> Self {
        Self(Arc::new(Kind::Provided(SharedEndpointProvider(Arc::new(provider)))))
    }

    /// Asks the policy about those that are known now.
    pub(crate) fn check(
        &self,
        policy: &AccessPolicy,
    ) -> Result<Arc<CheckedEndpoints>, ConnectError> {
        Ok(Arc::new(match &*self.0 {
            Kind::Listed(urls) if urls.is_empty() => return Err(ConnectError::NoEndpoint),
            Kind::Listed(urls) => {
                let allowed = urls.iter().map(|url| policy.check(url));
                CheckedEndpoints::Listed(allowed.collect::<Result<_, _>>()?)
            }
            Kind::Provided(provider) => CheckedEndpoints::Provided(provider.clone()),
        }))
    }

    /// As [`check`](Self::check), for one of many connections: where they lead to the same endpoints as the one
    /// before, they share what is kept of them.
    pub(crate) fn check_among(
        &mut self,
        familiar: &mut Familiar,
        policy: &AccessPolicy,
    ) -> Result<Arc<CheckedEndpoints>, ConnectError> {
        if let Some(Known { endpoints, checked }) = &familiar.0
            && let (Kind::Listed(urls), Kind::Listed(known)) = (&*self.0, &*endpoints.0)
            && let CheckedEndpoints::Listed(allowed) = &**checked
            && urls == known
            && allowed.iter().all(|allowed| policy.allows_as_before(allowed))
        {
            *self = endpoints.clone();
            return Ok(Arc::clone(checked));
        }
        let checked = self.check(policy)?;
        familiar.0 = Some(Known { endpoints: self.clone(), checked: Arc::clone(&checked) });
        Ok(checked)
    }
}

/// The endpoints that were checked last. Most connections of a fleet lead to the same place.
#[derive(Default)]
pub(crate) struct Familiar(Option<Known>);

struct Known {
    endpoints: Endpoints,
    checked: Arc<CheckedEndpoints>,
}

impl From<String> for Endpoints {
    fn from(url: String) -> Self {
        Self::from_iter([url])
    }
}

impl From<&String> for Endpoints {
    fn from(url: &String) -> Self {
        url.clone().into()
    }
}

impl From<&str> for Endpoints {
    fn from(url: &str) -> Self {
        url.to_owned().into()
    }
}

impl<U: Into<String>> From<Vec<U>> for Endpoints {
    fn from(urls: Vec<U>) -> Self {
        urls.into_iter().collect()
    }
}

impl<U: Into<String>, const N: usize> From<[U; N]> for Endpoints {
    fn from(urls: [U; N]) -> Self {
        urls.into_iter().collect()
    }
}

impl<U: Into<String>> FromIterator<U> for Endpoints {
    fn from_iter<I: IntoIterator<Item = U>>(urls: I) -> Self {
        Self(Arc::new(Kind::Listed(urls.into_iter().map(Into::into).collect())))
    }
}

/// How many there are; a URL may hold a secret.
impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Listed(urls) => write!(f, "Endpoints({})", urls.len()),
            Kind::Provided(_) => f.write_str("Endpoints(provided)"),
        }
    }
}

/// Endpoints that an attempt may dial, or be given.
pub(crate) enum CheckedEndpoints {
    Listed(Box<[Allowed]>),
    Provided(SharedEndpointProvider),
}

impl CheckedEndpoints {
    /// The first that the policy allows of those that are listed, beginning with the one of this
    /// number: of several, some may have been forbidden since they were checked.
    pub(crate) fn first_allowed(
        listed: &[Allowed],
        number: usize,
        policy: &AccessPolicy,
    ) -> Result<Allowed, PolicyDenied> {
        let mut refusal = None;
        for allowed in listed.iter().cycle().skip(number).take(listed.len()) {
            match policy.check_again(allowed) {
                Ok(again) => return Ok(again),
                Err(denied) => refusal = refusal.or(Some(denied)),
            }
        }
        // Cannot be: a list without endpoints was refused.
        Err(refusal.unwrap_or(Denied::InvalidUrl(InvalidUrl::HostMissing)).into())
    }

    /// Whether the policy allows any of those that are known before an attempt.
    pub(crate) fn judge(&self, policy: &AccessPolicy) -> Result<(), PolicyDenied> {
        match self {
            Self::Listed(listed) => Self::first_allowed(listed, 0, policy).map(drop),
            Self::Provided(_) => Ok(()),
        }
    }

    /// How many an attempt can choose from.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Listed(allowed) => allowed.len(),
            Self::Provided(_) => 1,
        }
    }
}

/// A shared provider.
#[derive(Clone)]
pub(crate) struct SharedEndpointProvider(pub(crate) Arc<dyn EndpointProvider>);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rule: &str) -> AccessPolicy {
        AccessPolicy::from_rules([rule]).unwrap()
    }

    /// The endpoints as the connection keeps them, and as its attempts do.
    fn checked(
        familiar: &mut Familiar,
        policy: &AccessPolicy,
        urls: &[&str],
    ) -> Result<Known, ConnectError> {
        let mut endpoints: Endpoints = urls.iter().copied().collect();
        let checked = endpoints.check_among(familiar, policy)?;
        Ok(Known { endpoints, checked })
    }

    #[test]
    fn the_same_endpoints_are_kept_once() {
        let (policy, familiar) = (policy("allow wss://*.example"), &mut Familiar::default());
        let both = ["wss://a.example/?token=1", "wss://b.example"];
        let first = checked(familiar, &policy, &both).unwrap();
        let second = checked(familiar, &policy, &both).unwrap();
        assert!(Arc::ptr_eq(&first.endpoints.0, &second.endpoints.0));
        assert!(Arc::ptr_eq(&first.checked, &second.checked));
        let other = checked(familiar, &policy, &both[..1]).unwrap();
        assert!(!Arc::ptr_eq(&first.endpoints.0, &other.endpoints.0));
        assert_eq!(other.checked.len(), 1);
    }

    #[test]
    fn what_is_familiar_is_judged_by_the_policy_of_the_day() {
        let familiar = &mut Familiar::default();
        let url = ["wss://a.example"];
        checked(familiar, &policy("allow wss://a.example"), &url).unwrap();
        let refused = checked(familiar, &policy("allow wss://b.example"), &url).err().unwrap();
        assert!(matches!(refused, ConnectError::UrlBlocked(_)), "{refused}");
        let known = checked(familiar, &policy("allow wss://*.example"), &url).unwrap();
        let CheckedEndpoints::Listed(allowed) = &*known.checked else { panic!("it is listed") };
        assert_eq!(allowed[0].rule().to_string(), "allow wss://*.example");
    }

    #[test]
    fn what_is_refused_does_not_become_familiar() {
        let (policy, familiar) = (policy("allow wss://a.example"), &mut Familiar::default());
        for urls in [&["wss://b.example"][..], &[], &["wss://a.example", "http://a.example"]] {
            assert!(checked(familiar, &policy, urls).is_err());
            assert!(familiar.0.is_none(), "{urls:?}");
        }
    }
}
