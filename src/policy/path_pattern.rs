use std::{fmt, sync::Arc};

use super::{CanonicalUrl, RuleError};

/// The paths that a rule speaks of: one path or, with a `/` at its end, all paths below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PathPattern(Arc<str>);

impl PathPattern {
    /// Parses what stands behind the authority of a rule, beginning with its `/`.
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        if text.contains('*') {
            return Err(RuleError::PathWildcard);
        }
        let url = CanonicalUrl::parse(&format!("wss://host{text}")).map_err(RuleError::Url)?;
        if is_ambiguous(url.path()) {
            return Err(RuleError::PathEscape);
        }
        Ok(Self(url.path().into()))
    }

    /// Whether the canonical path is, once percent-decoded, the pattern or below it. The path must
    /// not be [ambiguous](is_ambiguous).
    pub(super) fn matches(&self, path: &str) -> bool {
        let mut path = decoded(path);
        let starts = decoded(&self.0).all(|byte| path.next() == Some(byte));
        starts && (self.0.ends_with('/') || path.next().is_none())
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the path holds an escaped slash, backslash or dot. Some servers decode these before they
/// look for segments and dot segments, others after, so that the path has no one meaning.
pub(super) fn is_ambiguous(path: &str) -> bool {
    path.as_bytes().windows(3).any(|window| {
        let [b'%', digits @ ..] = window else { return false };
        [b"2f", b"5c", b"2e"].iter().any(|escape| digits.eq_ignore_ascii_case(*escape))
    })
}

fn decoded(path: &str) -> impl Iterator<Item = u8> {
    let mut rest = path.as_bytes();
    std::iter::from_fn(move || {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..)?),
            },
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        rest = after;
        Some(byte)
    })
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_and_prefix() {
        for (pattern, path, expected) in [
            ("/feed", "/feed", true),
            ("/feed", "/feed/", false),
            ("/feed", "/feeds", false),
            ("/feed", "/fee", false),
            ("/feed", "/FEED", false),
            ("/feed", "/%66eed", true),
            ("/%66eed", "/feed", true),
            ("/feed/", "/feed/", true),
            ("/feed/", "/feed/a/b", true),
            ("/feed/", "/feed", false),
            ("/feed/", "/feeds/", false),
            ("/", "/", true),
            ("/", "/any/thing", true),
            ("/a/../b", "/b", true),
            ("/é", "/%C3%a9", true),
            ("/a%zz", "/a%zz", true),
            ("/a%zz", "/a%25zz", true),
            ("/a%", "/a%", true),
            ("/a%4", "/aA", false),
        ] {
            let found = PathPattern::parse(pattern).unwrap().matches(path);
            assert_eq!(found, expected, "{pattern} and {path}");
        }
    }

    #[test]
    fn what_has_no_one_meaning() {
        for path in ["/a%2fb", "/a%2Fb", "/a%5cb", "/%5C", "/a%2eb", "/%2E"] {
            assert!(is_ambiguous(path), "{path}");
        }
        for path in ["/", "/a.b", "/%252f", "/2f", "/%2", "/%20"] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }
}
