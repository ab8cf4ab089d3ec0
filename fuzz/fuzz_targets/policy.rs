//! Any rules and any URL: no panic, one reading of each URL, and deny beats allow.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsvisor::{AccessPolicy, CanonicalUrl};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The first line is the URL, the others are rules.
    let (url, rules) = text.split_once('\n').unwrap_or((text, ""));
    let canonical = CanonicalUrl::parse(url);
    if let Ok(canonical) = &canonical {
        // What it was read as reads as itself, and is written without what may be secret.
        let again = format!("{}{}", canonical.origin(), canonical.request_target());
        assert_eq!(CanonicalUrl::parse(&again).as_ref(), Ok(canonical), "{url:?} {again:?}");
        let shown = format!("{canonical} {canonical:?}");
        assert!(
            !shown.contains('?')
                || !canonical.request_target().contains('?')
                || !shown.contains(query(canonical))
        );
    }
    assert!(AccessPolicy::deny_all().check(url).is_err());

    let Ok(policy) = AccessPolicy::from_text(rules) else { return };
    let Ok(allowed) = policy.check(url) else { return };
    let canonical = canonical.expect("only a URL is allowed");
    assert_eq!(allowed.url(), &canonical);
    // What is allowed is allowed by a rule, and a rule that denies takes it back.
    assert!(policy.rules().len() > 0);
    let origin = canonical.origin();
    let denying = format!("{rules}\ndeny {origin}");
    if let Ok(denying) = AccessPolicy::from_text(&denying) {
        assert!(denying.check(url).is_err(), "{denying:?} {url:?}");
    }
    // The rules are written as they are read.
    let written: Vec<String> = policy.rules().map(ToString::to_string).collect();
    let read = AccessPolicy::from_rules(&written).expect("rules are written as rules");
    assert!(read.check(url).is_ok(), "{written:?} {url:?}");
});

/// With its question mark; all of the target where there is none.
fn query(url: &CanonicalUrl) -> &str {
    let target = url.request_target();
    target.find('?').filter(|at| at + 8 < target.len()).map_or("\0", |at| &target[at..])
}
