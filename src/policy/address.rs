use std::net::IpAddr;

use super::{AccessPolicy, Allowed, Host, Rule, SpecialUse, host::is_localhost};

/// Why an address must not be connected to although the URL is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressBlocked {
    /// A name leads to an address that is not public, and no grant covers it.
    #[error(
        "{address} is in {special_use}, where a name must not lead; if it is meant to, grant its network to \
         resolved names or allow the address itself"
    )]
    NotPublic {
        /// What the name resolved to.
        address: IpAddr,
        /// Why it is not public.
        special_use: SpecialUse,
    },
    /// A `deny` rule names the address, or a network that it is in.
    #[error("{address} is blocked by the rule `{rule}`; remove the rule to allow it")]
    ByRule {
        /// What the name resolved to.
        address: IpAddr,
        /// The rule.
        rule: Rule,
    },
    /// `localhost`, or a name below it, leads elsewhere (RFC 6761 §6.3).
    #[error("{address} is not a loopback address, as localhost must be; do not ask DNS for it")]
    NotLoopback {
        /// What the name resolved to.
        address: IpAddr,
    },
    /// The URL's host is an address, and this is another one.
    #[error("{address} is not {expected}, the address in the URL; connect to that one")]
    NotTheHost {
        /// What was to be connected to.
        address: IpAddr,
        /// What the URL says.
        expected: IpAddr,
    },
}

impl AddressBlocked {
    /// The `deny` rule that decided, if one did.
    #[must_use]
    pub const fn rule(&self) -> Option<&Rule> {
        match self {
            Self::ByRule { rule, .. } => Some(rule),
            _ => None,
        }
    }
}

impl AccessPolicy {
    /// Judges an address that the host of an allowed URL resolved to. Ask for every address, on
    /// every attempt, and connect to no other.
    ///
    /// - An address in the URL itself was allowed by a rule that names it, and may be connected to.
    /// - A name may lead to public addresses ([`is_public`](super::is_public)) and to what
    ///   [`with_grant_resolved`](Self::with_grant_resolved) grants. IPv4-mapped, NAT64 and other
    ///   addresses that carry an IPv4 address are not public and need a grant in their IPv6 form.
    /// - `localhost` and the names below it may lead to loopback addresses only. The rule must name
    ///   them in full, as in `allow ws://localhost:8080`, or a grant cover the address.
    /// - No address may be connected to that a `deny` rule with the URL's scheme, port and path
    ///   names.
    ///
    /// ```
    /// use wsvisor::AccessPolicy;
    ///
    /// let policy = AccessPolicy::from_rules(["allow wss://example.com"])?;
    /// let allowed = policy.check("wss://example.com").unwrap();
    /// assert!(policy.check_address(&allowed, "93.184.215.14".parse().unwrap()).is_ok());
    ///
    /// let blocked = policy.check_address(&allowed, "10.1.2.3".parse().unwrap()).unwrap_err();
    /// assert!(blocked.to_string().starts_with("10.1.2.3 is in 10.0.0.0/8 (private, RFC 1918)"));
    /// # Ok::<(), wsvisor::PolicyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the address must not be connected to.
    pub fn check_address(&self, allowed: &Allowed, address: IpAddr) -> Result<(), AddressBlocked> {
        if let Some(rule) = self.denies_resolved(allowed.url(), address) {
            return Err(AddressBlocked::ByRule { address, rule: rule.clone() });
        }
        match allowed.url().host() {
            Host::V4(literal) => check_literal(literal.into(), address),
            Host::V6(literal) => check_literal(literal.into(), address),
            Host::Name(name) if is_localhost(name) => self.check_localhost(allowed.rule(), address),
            Host::Name(_) => self.check_resolved(address),
        }
    }

    fn check_localhost(&self, rule: &Rule, address: IpAddr) -> Result<(), AddressBlocked> {
        if !address.is_loopback() {
            return Err(AddressBlocked::NotLoopback { address });
        }
        if rule.host.is_exact_localhost() { Ok(()) } else { self.check_resolved(address) }
    }

    fn check_resolved(&self, address: IpAddr) -> Result<(), AddressBlocked> {
        match SpecialUse::of(address) {
            Some(special_use) if !self.grants_resolved(address) => {
                Err(AddressBlocked::NotPublic { address, special_use })
            }
            _ => Ok(()),
        }
    }
}

fn check_literal(expected: IpAddr, address: IpAddr) -> Result<(), AddressBlocked> {
    if address == expected { Ok(()) } else { Err(AddressBlocked::NotTheHost { address, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(
        rules: [&str; N],
        granted: &[&str],
        url: &str,
        address: &str,
    ) -> Result<(), AddressBlocked> {
        let policy = AccessPolicy::from_rules(rules).unwrap().with_grant_resolved(granted).unwrap();
        let allowed = policy.check(url).unwrap_or_else(|denied| panic!("{denied}"));
        policy.check_address(&allowed, address.parse().unwrap())
    }

    fn not_public(address: &str) -> Result<(), AddressBlocked> {
        let address = address.parse().unwrap();
        Err(AddressBlocked::NotPublic { address, special_use: SpecialUse::of(address).unwrap() })
    }

    #[test]
    fn a_name_leads_to_the_public() {
        for rule in ["allow ws://a.example", "allow ws://*.example", "allow ws://*"] {
            let check = |address| check([rule], &[], "ws://a.example", address);
            for address in ["8.8.8.8", "2606:4700:4700::1111"] {
                assert_eq!(check(address), Ok(()), "{rule} {address}");
            }
            for address in [
                "127.0.0.1",
                "0.0.0.0",
                "::",
                "::1",
                "::ffff:7f00:1",
                "::ffff:a9fe:a9fe",
                "::ffff:8.8.8.8",
                "fe80::1",
                "64:ff9b::7f00:1",
                "2002:7f00:1::",
                "100.64.0.1",
                "224.0.0.1",
                "255.255.255.255",
                "169.254.169.254",
                "fd00:ec2::254",
            ] {
                assert_eq!(check(address), not_public(address), "{rule} {address}");
            }
        }
    }

    #[test]
    fn grants_are_for_names_and_taken_literally() {
        let check = |granted: &[&str], address| {
            check(["allow ws://a.example"], granted, "ws://a.example", address)
        };
        assert_eq!(check(&["10.0.0.0/8"], "10.1.2.3"), Ok(()));
        assert_eq!(check(&["10.0.0.0/8"], "11.1.2.3"), Ok(()));
        assert_eq!(check(&["10.0.0.0/8"], "192.168.0.1"), not_public("192.168.0.1"));
        assert_eq!(check(&["10.0.0.0/8"], "::ffff:10.1.2.3"), not_public("::ffff:10.1.2.3"));
        assert_eq!(check(&["::ffff:10.0.0.0/104"], "::ffff:10.1.2.3"), Ok(()));
        assert_eq!(check(&["64:ff9b::/96"], "64:ff9b::8.8.8.8"), Ok(()));
        assert_eq!(check(&["127.0.0.1", "::1"], "::1"), Ok(()));
    }

    #[test]
    fn an_address_in_the_url_is_its_own_grant() {
        for (rule, url, address) in [
            ("allow ws://127.0.0.1", "ws://0x7f.1", "127.0.0.1"),
            ("allow ws://[10.0.0.0/8]", "ws://10.1.2.3", "10.1.2.3"),
            ("allow ws://[::1]", "ws://[::1]", "::1"),
            ("allow ws://[::ffff:127.0.0.1]", "ws://[::ffff:7f00:1]", "::ffff:127.0.0.1"),
        ] {
            assert_eq!(check([rule], &[], url, address), Ok(()), "{url}");
            let (address, expected) = ("8.8.8.8".parse().unwrap(), address.parse().unwrap());
            let blocked = Err(AddressBlocked::NotTheHost { address, expected });
            assert_eq!(check([rule], &[], url, "8.8.8.8"), blocked, "{url}");
        }
    }

    #[test]
    fn localhost_is_loopback_and_must_be_named() {
        for host in ["localhost", "app.localhost", "LOCALHOST."] {
            let (rule, url) = (format!("allow ws://{host}"), format!("ws://{host}"));
            let check =
                |rules, granted: &[&str], address| check::<2>(rules, granted, &url, address);
            for address in ["127.0.0.1", "127.255.255.254", "::1"] {
                assert_eq!(check([&rule, "deny ws://x"], &[], address), Ok(()));
                assert_eq!(check(["allow ws://*", &rule], &[], address), Ok(()));
                assert_eq!(check([&rule, "allow ws://*"], &[], address), Ok(()));
                assert_eq!(
                    check(["allow ws://*", "deny ws://x"], &[], address),
                    not_public(address)
                );
                assert_eq!(
                    check(["allow ws://*", "deny ws://x"], &["127.0.0.0/8", "::1"], address),
                    Ok(())
                );
            }
            for address in ["10.0.0.1", "8.8.8.8", "::", "::ffff:127.0.0.1"] {
                let blocked =
                    Err(AddressBlocked::NotLoopback { address: address.parse().unwrap() });
                assert_eq!(check([&rule, "deny ws://x"], &["10.0.0.0/8"], address), blocked);
            }
        }
        // A name that is not localhost may not lead to loopback, though a rule names it in full.
        let nip = check(
            ["allow ws://127.0.0.1.nip.example"],
            &[],
            "ws://127.0.0.1.nip.example",
            "127.0.0.1",
        );
        assert_eq!(nip, not_public("127.0.0.1"));
    }

    #[test]
    fn a_denied_address_stays_denied_behind_a_name() {
        let deny = "deny ws://[8.8.8.0/24]:8080/a/";
        let address = "8.8.8.8";
        let check_url = |url| check(["allow ws://*:*", deny], &["0.0.0.0/0"], url, address);
        let blocked = AddressBlocked::ByRule {
            address: address.parse().unwrap(),
            rule: deny.parse().unwrap(),
        };
        assert_eq!(check_url("ws://dns.example:8080/a/b"), Err(blocked));
        assert_eq!(check_url("ws://dns.example:8080/b"), Ok(()));
        assert_eq!(check_url("ws://dns.example/a/b"), Ok(()));
        let mapped = "::ffff:8.8.8.8";
        let granted =
            check(["allow h", "deny [8.8.8.8/32]"], &["::ffff:0:0/96"], "wss://h", mapped);
        assert!(matches!(granted, Err(AddressBlocked::ByRule { .. })));
    }

    #[test]
    fn a_refusal_says_where_the_address_is_and_what_to_do() {
        let blocked = check(["allow a.example"], &[], "wss://a.example", "10.1.2.3").unwrap_err();
        assert_eq!(
            blocked.to_string(),
            "10.1.2.3 is in 10.0.0.0/8 (private, RFC 1918), where a name must not lead; if it is meant to, grant its \
             network to resolved names or allow the address itself"
        );
    }
}
