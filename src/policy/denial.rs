use std::net::IpAddr;

use super::{AccessPolicy, AddressBlocked, Allowed, CanonicalUrl, Denied, Rule};

/// What an [`AccessPolicy`] does not allow of a connection: its URL, or the address that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyDenied {
    /// The URL.
    #[error(transparent)]
    Url(#[from] Denied),
    /// The address that the URL's host was resolved to.
    #[error("{url} is connected to an address that is blocked: {blocked}")]
    Address {
        /// What is connected to.
        url: CanonicalUrl,
        /// Which address, and why.
        #[source]
        blocked: AddressBlocked,
    },
}

impl PolicyDenied {
    /// The `deny` rule that decided; none where no rule allows it, or the address is not public.
    #[must_use]
    pub const fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Url(denied) => denied.rule(),
            Self::Address { blocked, .. } => blocked.rule(),
        }
    }
}

impl AccessPolicy {
    /// Judges what is connected to: the URL and, where it is known, the address.
    ///
    /// # Errors
    ///
    /// If the policy allows the URL or the address no more.
    pub fn check_connection(
        &self,
        url: &CanonicalUrl,
        address: Option<IpAddr>,
    ) -> Result<Allowed, PolicyDenied> {
        self.at(self.check_url(url)?, address)
    }

    /// Judges again what is connected to, and was allowed.
    pub(crate) fn check_connection_again(
        &self,
        allowed: &Allowed,
        address: Option<IpAddr>,
    ) -> Result<Allowed, PolicyDenied> {
        self.at(self.check_again(allowed)?, address)
    }

    fn at(&self, allowed: Allowed, address: Option<IpAddr>) -> Result<Allowed, PolicyDenied> {
        match address.map_or(Ok(()), |address| self.check_address(&allowed, address)) {
            Ok(()) => Ok(allowed),
            Err(blocked) => Err(PolicyDenied::Address { url: allowed.into_url(), blocked }),
        }
    }
}

/// A failure that tells nothing but itself, for callers who are not trusted: reasons would let them
/// explore the access policy, and the network behind it. What is blocked and what is refused look the
/// same, as browsers have it (the Living Standard on `WebSocket`, "fail the connection").
///
/// ```
/// use wsvisor::AccessPolicy;
///
/// let denied = AccessPolicy::deny_all().check("wss://internal.example.com").unwrap_err();
/// assert_eq!(denied.opaque().to_string(), "the connection failed");
/// ```
///
/// It says nothing of time: who is told at once that a URL is blocked, and of a refused connection
/// later, can tell the two apart all the same. Tell both through the same channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the connection failed")]
#[non_exhaustive]
pub struct ConnectionFailed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_and_address_are_judged_again() {
        let url: CanonicalUrl = "wss://a.example/feed?token=canary".parse().unwrap();
        let check = |rules: &[&str], address: Option<&str>| {
            let policy = AccessPolicy::from_rules(rules).unwrap();
            policy.check_connection(&url, address.map(|ip| ip.parse().unwrap()))
        };
        assert!(check(&["allow a.example"], Some("8.8.8.8")).is_ok());
        assert!(check(&["allow a.example"], None).is_ok());

        let denied = check(&["allow *", "deny a.example"], None).unwrap_err();
        assert_eq!(denied.rule().unwrap().to_string(), "deny wss://a.example");
        assert!(denied.to_string().contains("`deny wss://a.example`"), "{denied}");

        let denied = check(&["allow *", "deny [8.8.8.8/32]"], Some("8.8.8.8")).unwrap_err();
        assert_eq!(denied.rule().unwrap().to_string(), "deny wss://8.8.8.8");
        assert_eq!(
            denied.to_string(),
            "wss://a.example/feed?… is connected to an address that is blocked: 8.8.8.8 is blocked by the \
             rule `deny wss://8.8.8.8`; remove the rule to allow it"
        );

        let denied = check(&["allow *"], Some("10.0.0.1")).unwrap_err();
        assert_eq!(denied.rule(), None);
        assert_eq!(check(&[], None).unwrap_err().rule(), None);
    }

    #[test]
    fn what_was_allowed_is_judged_by_the_rules_of_now() {
        let policy = |rules: &[&str]| AccessPolicy::from_rules(rules).unwrap();
        let before = policy(&["allow *"]).check("wss://a.example").unwrap();
        let again = |rules: &[&str], address: Option<&str>| {
            let address = address.map(|ip| ip.parse().unwrap());
            policy(rules).check_connection_again(&before, address)
        };
        assert_eq!(again(&["allow *"], Some("8.8.8.8")), Ok(before.clone()));
        let by_another = again(&["allow *", "allow a.example"], None).unwrap();
        assert_eq!(by_another.rule().to_string(), "allow wss://a.example");
        assert_eq!(by_another.url(), before.url());

        let url = |denied: PolicyDenied| matches!(denied, PolicyDenied::Url(_));
        assert!(url(again(&["allow b.example"], None).unwrap_err()));
        assert!(url(again(&["allow *", "deny a.example"], Some("8.8.8.8")).unwrap_err()));
        let blocked = again(&["allow *"], Some("10.0.0.1")).unwrap_err();
        assert!(matches!(blocked, PolicyDenied::Address { url, .. } if url == *before.url()));
    }
}
