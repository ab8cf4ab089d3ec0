//! What holds for every policy and every text.

use proptest::prelude::*;

use super::{AccessPolicy, CanonicalUrl, Host, Rule};

/// Texts that are nearly URLs, so that many of them are.
fn url_text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => r"(wss?|WS|http)://[a-cA-C0-1x%.*_-]{0,8}(localhost|\.example|127\.1|\[::1\]|\[::ffff:7f00:1\]|bü\.de|)\.?(:[0-9]{0,5})?(/[a-c.%2fF5cEe/]{0,12}){0,2}(\?[a-c/%@]{0,4})?",
        1 => r"[ws:/\\@.#?a-c0-9\[\]%\t ]{0,24}",
        1 => any::<String>(),
    ]
}

fn rule_text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => r"(allow|deny) (wss?://)?(\*|\*\.example|[a-c]{1,2}(\.example|\.localhost)?|localhost|127\.0\.0\.1|\[::1\]|\[0\.0\.0\.0/0\]|\[::/0\])(:\*|:[1-9][0-9]{0,3})?(/[a-c]{0,2}/?)?",
        1 => any::<String>(),
    ]
}

/// The texts of the valid rules among some.
fn rules() -> impl Strategy<Value = Vec<String>> {
    let valid = |text: &String| text.parse::<Rule>().is_ok();
    prop::collection::vec(rule_text(), 0..8)
        .prop_map(move |texts| texts.into_iter().filter(valid).collect())
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused(text: String, url in url_text(), rule in rule_text()) {
        for text in [text, url, rule] {
            let _ = CanonicalUrl::parse(&text);
            let _ = CanonicalUrl::parse(&format!("wss://{text}"));
            let _ = text.parse::<Rule>();
            let _ = format!("allow {text}").parse::<Rule>();
            let _ = AccessPolicy::from_text(&text).map_err(|error| error.to_string());
            let _ = AccessPolicy::deny_all().with_grant_resolved([&text]);
        }
    }

    #[test]
    fn the_canonical_form_is_its_own(text in url_text()) {
        if let Ok(url) = CanonicalUrl::parse(&text) {
            prop_assert_eq!(CanonicalUrl::parse(url.as_str()), Ok(url.clone()));
            prop_assert_eq!(format!("{}{}", url.origin(), url.request_target()), url.as_str());
            prop_assert!(!url.to_string().contains('?') || url.to_string().ends_with("?…"));
            // The canonical host reads the same to a parser that knows nothing of odd spellings.
            if let Host::Name(name) = url.host() {
                prop_assert!(name.parse::<std::net::IpAddr>().is_err());
            }
        }
    }

    #[test]
    fn no_spelling_makes_the_check_and_the_dial_differ(rules in rules(), text in url_text()) {
        let policy = AccessPolicy::from_rules(&rules).unwrap();
        let Ok(allowed) = policy.check(&text) else { return Ok(()) };
        let url = allowed.url();
        // What the user wrote, as a browser reads it.
        let written = url::Url::parse(&text).unwrap();
        let host = url.host().to_string();
        prop_assert_eq!(written.host_str().map(|host| host.trim_end_matches('.')), Some(&*host));
        prop_assert_eq!(written.port_or_known_default(), Some(url.port()));
        prop_assert_eq!(written.scheme(), url.scheme().as_str());
        // What is dialled, as the HTTP library reads it.
        let dialled: actix_web::http::Uri = url.as_str().parse().unwrap();
        prop_assert_eq!(dialled.host(), Some(&*host));
        prop_assert_eq!(dialled.port_u16().unwrap_or(url.scheme().default_port()), url.port());
        prop_assert_eq!(dialled.authority().map(AsRef::as_ref), Some(url.authority()));
        prop_assert_eq!(dialled.path_and_query().map(ToString::to_string), Some(url.request_target().to_owned()));
        // What resolvers are asked for is never read as an address.
        if let Host::Name(name) = url.host() {
            prop_assert!(name.parse::<std::net::IpAddr>().is_err());
        }
    }

    #[test]
    fn the_normal_form_of_a_rule_is_its_own(text in rule_text()) {
        if let Ok(rule) = text.parse::<Rule>() {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_in_canonical_form(rules in rules(), text in url_text()) {
        let policy = AccessPolicy::from_rules(&rules).unwrap();
        if let Ok(allowed) = policy.check(&text) {
            prop_assert_eq!(policy.check(allowed.url().as_str()), Ok(allowed.clone()));
            prop_assert!(allowed.rule().matches(allowed.url()));
        }
    }

    #[test]
    fn one_more_deny_rule_never_allows_more(
        rules in rules(), more in rule_text(), text in url_text(), address: std::net::IpAddr,
    ) {
        let policy = AccessPolicy::from_rules(&rules).unwrap();
        let denying = more.replacen("allow", "deny", 1);
        let Ok(stricter) = AccessPolicy::from_rules(rules.iter().chain([&denying])) else { return Ok(()) };
        if let Ok(allowed) = stricter.check(&text) {
            prop_assert_eq!(policy.check(&text), Ok(allowed.clone()));
            let address_is_allowed = stricter.check_address(&allowed, address).is_ok();
            prop_assert!(!address_is_allowed || policy.check_address(&allowed, address).is_ok());
        }
    }

    #[test]
    fn the_order_of_the_rules_decides_nothing(rules in rules(), text in url_text(), address: std::net::IpAddr) {
        let forwards = AccessPolicy::from_rules(&rules).unwrap();
        let backwards = AccessPolicy::from_rules(rules.iter().rev()).unwrap();
        let verdict = |policy: &AccessPolicy| {
            policy.check(&text).map(|allowed| policy.check_address(&allowed, address).is_ok()).ok()
        };
        prop_assert_eq!(verdict(&forwards), verdict(&backwards));
    }
}
