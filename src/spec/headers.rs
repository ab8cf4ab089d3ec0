use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::protocol::{InvalidHeader, is_token};

/// The headers that a caller adds to the handshake, checked. Nothing shows their values.
#[derive(Clone, Default)]
pub(crate) struct Headers(Vec<Header>);

/// A header's name and its value.
pub(crate) type Header = (String, SecretString);

/// Bytes of all names and values together. Servers refuse more than 8 to 16 KiB.
const MAX_BYTES: usize = 8 * 1024;

/// Headers that the handshake writes itself, or that would change how HTTP frames it.
const RESERVED: [&str; 10] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "expect",
    "keep-alive",
    "via",
];
const RESERVED_PREFIXES: [&str; 2] = ["sec-", "proxy-"];

/// Headers that say who we are and prove nothing.
const HARMLESS: [&str; 2] = ["user-agent", "origin"];

impl Headers {
    /// No header.
    pub(crate) const NONE: Self = Self(Vec::new());

    pub(crate) fn check(given: &[Header]) -> Result<Self, InvalidHeader> {
        let len_of = |(name, value): &Header| name.len() + value.expose_secret().len();
        let len: usize = given.iter().map(len_of).sum();
        if len > MAX_BYTES {
            return Err(InvalidHeader::TooLong { len, limit: MAX_BYTES });
        }
        for (index, (name, value)) in given.iter().enumerate() {
            check_name(name)?;
            check_value(name, value.expose_secret())?;
            if given.iter().take(index).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
                return Err(InvalidHeader::Repeated(name.clone()));
            }
        }
        Ok(Self(given.to_vec()))
    }

    /// These and the others, checked together: no name twice, and not too long.
    pub(crate) fn joined_with(&self, others: &Self) -> Result<Self, InvalidHeader> {
        if others.0.is_empty() {
            return Ok(self.clone());
        }
        Self::check(&[self.0.as_slice(), others.0.as_slice()].concat())
    }

    /// Those that a server may see that the caller did not choose: of the others, any may be a
    /// credential.
    pub(crate) fn for_strangers(&self) -> Self {
        let may_see = |name: &str| HARMLESS.iter().any(|it| it.eq_ignore_ascii_case(name));
        Self(self.0.iter().filter(|(name, _)| may_see(name)).cloned().collect())
    }

    /// Names and values, for the wire alone.
    pub(crate) fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }

    /// The first of these names that is among them.
    pub(crate) fn first_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let is_here = |name: &&str| self.0.iter().any(|(here, _)| here.eq_ignore_ascii_case(name));
        names.into_iter().find(is_here)
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.expose().eq(other.expose())
    }
}

impl Eq for Headers {}

fn check_name(name: &str) -> Result<(), InvalidHeader> {
    if !is_token(name) {
        return Err(InvalidHeader::Name(name.to_owned()));
    }
    let lower = name.to_ascii_lowercase();
    let reserved = RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if reserved { Err(InvalidHeader::Reserved(name.to_owned())) } else { Ok(()) }
}

fn check_value(name: &str, value: &str) -> Result<(), InvalidHeader> {
    let allowed = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    match value.bytes().position(|byte| !allowed(&byte)) {
        Some(at) => Err(InvalidHeader::Value { name: name.to_owned(), at }),
        None => Ok(()),
    }
}

/// Each subprotocol is a token and offered once (RFC 6455 §4.1). An empty one is none.
pub(crate) fn check_subprotocols(given: &[String]) -> Result<Vec<String>, InvalidHeader> {
    let offered: Vec<String> = given.iter().filter(|name| !name.is_empty()).cloned().collect();
    for (index, name) in offered.iter().enumerate() {
        if !is_token(name) {
            return Err(InvalidHeader::Subprotocol { number: index + 1 });
        }
        if offered.iter().take(index).any(|earlier| earlier == name) {
            return Err(InvalidHeader::RepeatedSubprotocol { number: index + 1 });
        }
    }
    Ok(offered)
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(headers: &[(&str, &str)]) -> Result<Headers, InvalidHeader> {
        let owned: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Headers::check(&owned)
    }

    #[test]
    fn what_a_caller_may_set() {
        for name in ["Authorization", "Cookie", "Origin", "User-Agent", "Referer", "x-m2-world-id"]
        {
            assert!(check(&[(name, "value; with, punctuation\tand \"quotes\"")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        let name = |name: &str| check(&[(name, "x")]).unwrap_err();
        for bad in ["", "a b", "a:b", "a\nb", "ä", "a\0"] {
            assert_eq!(name(bad), InvalidHeader::Name(bad.into()));
        }
        for reserved in [
            "Host",
            "connection",
            "UPGRADE",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Expect",
            "Keep-Alive",
            "Via",
            "Proxy-Authorization",
            "Sec-WebSocket-Extensions",
            "sec-fetch-mode",
        ] {
            assert_eq!(name(reserved), InvalidHeader::Reserved(reserved.into()));
        }
        for (value, at) in [("a\r\nX-Evil: 1", 1), ("\0", 0), ("ab\x7f", 2), ("é", 0)] {
            let error = check(&[("x", value)]).unwrap_err();
            assert_eq!(error, InvalidHeader::Value { name: "x".into(), at });
            assert!(!error.to_string().contains("Evil"), "{error}");
        }
        assert_eq!(
            check(&[("x-a", "1"), ("X-A", "2")]),
            Err(InvalidHeader::Repeated("X-A".into()))
        );
        assert!(matches!(
            check(&[("x", &"v".repeat(9_000))]),
            Err(InvalidHeader::TooLong { len: 9_001, .. })
        ));
    }

    #[test]
    fn subprotocols() {
        let check = |names: &[&str]| {
            check_subprotocols(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(check(&["", "a", "b.c"]).unwrap(), ["a", "b.c"]);
        assert_eq!(check(&["a\nX-Evil: 1"]), Err(InvalidHeader::Subprotocol { number: 1 }));
        assert_eq!(check(&["a", "a"]), Err(InvalidHeader::RepeatedSubprotocol { number: 2 }));
    }

    #[test]
    fn debug_shows_names_only() {
        let headers = check(&[("Authorization", "Bearer secret")]).unwrap();
        assert_eq!(format!("{headers:?}"), r#"["Authorization"]"#);
    }

    #[test]
    fn strangers_see_nothing_that_could_be_a_credential() {
        let names = ["Authorization", "Cookie", "x-m2-world-id", "x-api-key", "Referer"];
        let given = names.iter().chain(&["user-agent", "ORIGIN"]).map(|name| (*name, "v"));
        let headers = check(&given.collect::<Vec<_>>()).unwrap().for_strangers();
        assert_eq!(format!("{headers:?}"), r#"["user-agent", "ORIGIN"]"#);
    }

    proptest! {
        #[test]
        fn what_passes_as_subprotocols_can_be_written(names: Vec<String>) {
            if let Ok(offered) = check_subprotocols(&names) {
                let line = offered.join(", ");
                prop_assert!(actix_web::http::header::HeaderValue::from_str(&line).is_ok());
                prop_assert_eq!(line.split(", ").filter(|name| !name.is_empty()).count(), offered.len());
            }
        }

        #[test]
        fn what_passes_can_be_written(name in ".{0,12}", value in ".{0,40}") {
            if Headers::check(&[(name.clone(), value.clone().into())]).is_ok() {
                prop_assert!(actix_web::http::header::HeaderName::from_bytes(name.as_bytes()).is_ok());
                prop_assert!(actix_web::http::header::HeaderValue::from_str(&value).is_ok());
                prop_assert!(!value.contains(['\r', '\n', '\0']));
            }
        }
    }
}
