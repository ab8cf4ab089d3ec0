use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    protocol::InvalidHeader,
    spec::headers::{Header, Headers},
};

/// Headers of the opening handshake that prove who connects. Their values are secrets: nothing
/// shows them, and their memory is wiped when they are dropped.
///
/// ```
/// use wsvisor::Credentials;
///
/// let credentials = Credentials::bearer("eyJhbGciOi…").and_header("x-tenant", "a");
/// assert_eq!(format!("{credentials:?}"), r#"Credentials["Authorization", "x-tenant"]"#);
/// ```
#[derive(Clone, Default)]
pub struct Credentials(Vec<Proof>);

#[derive(Clone)]
enum Proof {
    Bearer(SecretString),
    Basic { user: SecretString, password: SecretString },
    Header(Header),
}

const AUTHORIZATION: &str = "Authorization";

impl Credentials {
    /// Proves nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// `Authorization: Bearer …` (RFC 6750).
    #[must_use]
    pub fn bearer(token: impl Into<SecretString>) -> Self {
        Self(vec![Proof::Bearer(token.into())])
    }

    /// `Authorization: Basic …`, in UTF-8 (RFC 7617). A user name has no colon, and neither has
    /// control characters: such an attempt is refused with [`InvalidHeader`].
    #[must_use]
    pub fn basic(user: impl Into<SecretString>, password: impl Into<SecretString>) -> Self {
        Self(vec![Proof::Basic { user: user.into(), password: password.into() }])
    }

    /// A header of this name, such as `x-api-key`.
    #[must_use]
    pub fn header(name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        Self::none().and_header(name, value)
    }

    /// One header more.
    #[must_use]
    pub fn and_header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.0.push(Proof::Header((name.into(), value.into())));
        self
    }

    /// The headers, checked as those are that a caller sets.
    pub(crate) fn headers(&self) -> Result<Headers, InvalidHeader> {
        let headers: Vec<_> = self.0.iter().map(Proof::header).collect::<Result<_, _>>()?;
        Headers::check(&headers)
    }
}

impl Proof {
    fn name(&self) -> &str {
        match self {
            Self::Bearer(_) | Self::Basic { .. } => AUTHORIZATION,
            Self::Header((name, _)) => name,
        }
    }

    fn header(&self) -> Result<Header, InvalidHeader> {
        let value = match self {
            Self::Bearer(token) => format!("Bearer {}", token.expose_secret()),
            Self::Basic { user, password } => {
                basic(user.expose_secret(), password.expose_secret())?
            }
            Self::Header(header) => return Ok(header.clone()),
        };
        Ok((AUTHORIZATION.to_owned(), value.into()))
    }
}

/// The value of a header for basic authentication.
pub(crate) fn basic(user: &str, password: &str) -> Result<String, InvalidHeader> {
    if user.contains(':') {
        return Err(InvalidHeader::BasicUser);
    }
    if user.chars().chain(password.chars()).any(char::is_control) {
        return Err(InvalidHeader::BasicControl);
    }
    Ok(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")?;
        f.debug_list().entries(self.0.iter().map(Proof::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(credentials: &Credentials) -> Vec<(String, String)> {
        let headers = credentials.headers().unwrap();
        headers.expose().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn what_is_written() {
        #[rustfmt::skip]
        let table = [
            (Credentials::none(), vec![]),
            (Credentials::bearer("abc"), vec![("Authorization", "Bearer abc")]),
            // The example of RFC 7617 §2.
            (Credentials::basic("Aladdin", "open sesame"),
                vec![("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")]),
            // The example of RFC 7617 §2.1, in UTF-8.
            (Credentials::basic("test", "123\u{a3}"), vec![("Authorization", "Basic dGVzdDoxMjPCow==")]),
            (Credentials::basic("user", "with:colon"), vec![("Authorization", "Basic dXNlcjp3aXRoOmNvbG9u")]),
            (Credentials::header("x-api-key", "k").and_header("x-tenant", "t"),
                vec![("x-api-key", "k"), ("x-tenant", "t")]),
        ];
        for (credentials, expected) in table {
            let expected: Vec<_> =
                expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            assert_eq!(written(&credentials), expected, "{credentials:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent() {
        let cases = [
            (Credentials::basic("a:b", "c"), InvalidHeader::BasicUser),
            (Credentials::basic("a", "c\n"), InvalidHeader::BasicControl),
            (
                Credentials::bearer("from-a-file\n"),
                InvalidHeader::Value { name: "Authorization".into(), at: 18 },
            ),
            (
                Credentials::bearer("a").and_header("authorization", "b"),
                InvalidHeader::Repeated("authorization".into()),
            ),
            (Credentials::header("Host", "a"), InvalidHeader::Reserved("Host".into())),
        ];
        for (credentials, expected) in cases {
            assert_eq!(credentials.headers(), Err(expected), "{credentials:?}");
        }
    }

    #[test]
    fn nothing_shows_a_value() {
        let credentials = Credentials::basic("canary", "canary").and_header("x-key", "canary");
        assert!(!format!("{credentials:?} {credentials:#?}").contains("canary"));
        assert!(!format!("{:?}", credentials.headers()).contains("canary"));
    }
}
