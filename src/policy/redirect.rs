use url::{SyntaxViolation, Url};

use super::{AccessPolicy, Allowed, CanonicalUrl, Denied, InvalidUrl, Scheme};

/// An answer that sends elsewhere, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) to: Allowed,
    /// Scheme, host and port are those of the URL that was asked: credentials may go along.
    pub(crate) same_origin: bool,
}

/// Why a redirect was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectRefused {
    /// Redirects are not followed unless that is asked for.
    #[error(
        "redirects to {to} are not followed; dial that URL, or allow redirects with follow_redirects"
    )]
    NotFollowed {
        /// Where to.
        to: CanonicalUrl,
    },
    /// There were as many redirects as are allowed, and one more.
    #[error("more than {limit} redirects; the last is to {to}")]
    TooMany {
        /// Redirects that are followed.
        limit: u8,
        /// Where the last one leads.
        to: CanonicalUrl,
    },
    /// From `wss` to `ws`.
    #[error("a redirect to {to} would give TLS up")]
    Downgrade {
        /// Where to.
        to: CanonicalUrl,
    },
    /// The access policy does not allow the target.
    #[error("a redirect leads where nobody may go: {0}")]
    Denied(#[source] Denied),
    /// The answer has no `Location`, or more than one.
    #[error("the redirect needs one Location, and has {count}")]
    Location {
        /// How many it has.
        count: usize,
    },
    /// The `Location` is not a URL that could be dialled.
    #[error("the redirect's Location is not a WebSocket URL: {0}")]
    Invalid(#[source] InvalidUrl),
}

/// The statuses that send elsewhere (RFC 9110 §15.4).
pub(crate) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

impl AccessPolicy {
    /// Judges a redirect that came in answer to a request for `from`, as the one after `followed`
    /// others, of which `limit` are followed.
    pub(crate) fn check_redirect(
        &self,
        from: &CanonicalUrl,
        locations: &[&[u8]],
        followed: u8,
        limit: u8,
    ) -> Result<Redirect, RedirectRefused> {
        let [location] = locations else {
            return Err(RedirectRefused::Location { count: locations.len() });
        };
        let to = target(from, location).map_err(RedirectRefused::Invalid)?;
        if limit == 0 {
            return Err(RedirectRefused::NotFollowed { to });
        }
        if followed >= limit {
            return Err(RedirectRefused::TooMany { limit, to });
        }
        if from.scheme() == Scheme::Wss && to.scheme() == Scheme::Ws {
            return Err(RedirectRefused::Downgrade { to });
        }
        let same_origin = to.origin() == from.origin();
        match self.check_url(&to) {
            Ok(to) => Ok(Redirect { to, same_origin }),
            Err(denied) => Err(RedirectRefused::Denied(denied)),
        }
    }
}

/// Where a `Location` leads, seen from the URL that was asked. It may be relative (RFC 9110 §10.2.2),
/// and HTTP's names of the schemes stand for ours, for servers send redirects without a thought of
/// `ws`. Else it is held to what holds for every URL.
fn target(from: &CanonicalUrl, location: &[u8]) -> Result<CanonicalUrl, InvalidUrl> {
    let text = std::str::from_utf8(location).map_err(|_| InvalidUrl::Malformed)?;
    if let Some(found) = text.chars().find(|c| c.is_control()) {
        return Err(InvalidUrl::ControlCharacter { found });
    }
    let has_scheme = Url::parse(text).is_ok_and(|url| !url.scheme().is_empty());
    if has_scheme {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "ws",
            "https" => "wss",
            _ => scheme,
        };
        return CanonicalUrl::parse(&format!("{scheme}:{rest}"));
    }
    let base = Url::parse(from.as_str())?;
    let refused = std::cell::Cell::new(None);
    let note = |violation: SyntaxViolation| {
        refused.set(refused.get().or(InvalidUrl::from_violation(violation).map(|_| violation)));
    };
    let joined =
        Url::options().base_url(Some(&base)).syntax_violation_callback(Some(&note)).parse(text);
    match refused.get().and_then(InvalidUrl::from_violation) {
        Some(refusal) => Err(refusal),
        None => CanonicalUrl::parse(joined?.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> CanonicalUrl {
        text.parse().unwrap()
    }

    /// 300 and 304 to 306 send nowhere by themselves (RFC 9110 §15.4).
    #[test]
    fn five_statuses_send_elsewhere() {
        let all: Vec<u16> = (100..600).filter(|status| is_redirect(*status)).collect();
        assert_eq!(all, [301, 302, 303, 307, 308]);
    }

    #[test]
    fn where_a_location_leads() {
        use InvalidUrl as E;
        let from = url("wss://a.example:8443/feed/v1?token=canary");
        for (location, expected) in [
            ("wss://b.example/x", Ok("wss://b.example/x")),
            ("https://b.example/x?y", Ok("wss://b.example/x?y")),
            ("HTTP://b.example", Ok("ws://b.example/")),
            ("http://b.example:443/", Ok("ws://b.example:443/")),
            ("ws://B.example.", Ok("ws://b.example/")),
            ("/other", Ok("wss://a.example:8443/other")),
            ("v2", Ok("wss://a.example:8443/feed/v2")),
            ("../v2?q", Ok("wss://a.example:8443/v2?q")),
            ("?q", Ok("wss://a.example:8443/feed/v1?q")),
            ("", Ok("wss://a.example:8443/feed/v1?token=canary")),
            ("//b.example/x", Ok("wss://b.example/x")),
            ("//0x7f.1/", Ok("wss://127.0.0.1/")),
            ("/é", Ok("wss://a.example:8443/%C3%A9")),
            ("ftp://b.example", Err(E::Scheme)),
            ("javascript:alert(1)", Err(E::Scheme)),
            ("https:b.example", Err(E::Slashes)),
            ("https:///b.example", Err(E::Slashes)),
            (r"\\b.example/x", Err(E::Slashes)),
            (r"/\b.example/x", Err(E::Slashes)),
            (r"//b.example\@c.example", Err(E::Backslash)),
            ("//user:pass@b.example/", Err(E::Userinfo)),
            ("https://canary@b.example/", Err(E::Userinfo)),
            ("/x#fragment", Err(E::Fragment)),
            (" /x", Err(E::SurroundingSpace)),
            ("/x\r\nSet-Cookie: a", Err(E::ControlCharacter { found: '\r' })),
            ("//b..example/", Err(E::HostLabelEmpty { position: 2 })),
            ("//b.example:0/", Err(E::PortZero)),
        ] {
            let expected = expected.map(url);
            assert_eq!(target(&from, location.as_bytes()), expected, "{location}");
        }
        assert_eq!(target(&from, b"/\xff"), Err(E::Malformed));
    }

    #[test]
    fn each_hop_is_judged() {
        use RedirectRefused as E;
        let policy = AccessPolicy::from_rules([
            "allow *.example:*",
            "allow ws://*.example:*",
            "deny bad.example",
        ])
        .unwrap();
        let check = |from: &str, location: &str, followed, limit| {
            policy.check_redirect(&url(from), &[location.as_bytes()], followed, limit)
        };
        let to = |text| policy.check(text).unwrap();
        let (a, b) = ("wss://a.example/", "wss://b.example/");
        let redirect = |text, same_origin| Ok(Redirect { to: to(text), same_origin });
        assert_eq!(check(a, "/x", 0, 1), redirect("wss://a.example/x", true));
        assert_eq!(check(a, b, 0, 1), redirect(b, false));
        assert_eq!(check(a, "wss://a.example:444", 0, 1), redirect("wss://a.example:444", false));
        assert_eq!(check("ws://a.example", a, 0, 1), redirect(a, false));
        assert_eq!(check(a, b, 0, 0), Err(E::NotFollowed { to: url(b) }));
        assert_eq!(check(a, b, 2, 2), Err(E::TooMany { limit: 2, to: url(b) }));
        for location in ["ws://b.example/", "http://b.example/"] {
            let downgrade = Err(E::Downgrade { to: url("ws://b.example/") });
            assert_eq!(check(a, location, 0, 5), downgrade);
        }
        let denied = |text| Err(E::Denied(policy.check(text).unwrap_err()));
        assert_eq!(check(a, "//bad.example", 0, 5), denied("wss://bad.example/"));
        assert_eq!(check(a, "//other.net", 0, 5), denied("wss://other.net/"));
        assert_eq!(check(a, "//127.0.0.1", 0, 5), denied("wss://127.0.0.1/"));
        assert_eq!(policy.check_redirect(&url(a), &[], 0, 5), Err(E::Location { count: 0 }));
        let two: [&[u8]; 2] = [b"/x", b"/y"];
        assert_eq!(policy.check_redirect(&url(a), &two, 0, 5), Err(E::Location { count: 2 }));
    }

    #[test]
    fn refusals_show_no_query() {
        let from = url("wss://a.example/?canary");
        let policy = AccessPolicy::from_rules(["allow a.example"]).unwrap();
        for (location, limit) in [
            ("//a.example/?canary", 0),
            ("//b.example/?canary", 1),
            ("ws://a.example/?canary", 1),
            ("https://canary:canary@a.example/?canary", 1),
            ("", 0),
        ] {
            let refused =
                policy.check_redirect(&from, &[location.as_bytes()], 0, limit).unwrap_err();
            let shown = format!("{refused} {refused:?}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
