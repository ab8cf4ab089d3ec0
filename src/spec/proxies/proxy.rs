use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    policy::{AccessPolicy, Allowed, CanonicalUrl, InvalidUrl},
    protocol::InvalidHeader,
    spec::auth::basic,
};

/// A proxy that connections go through.
///
/// | written as | speaks | resolves the server's name |
/// | --- | --- | --- |
/// | `http://proxy.example.com:3128` | HTTP `CONNECT` | the proxy |
/// | `https://proxy.example.com` | the same, over TLS | the proxy |
/// | `socks5h://proxy.example.com:1080` | SOCKS5 (RFC 1928) | the proxy |
/// | `socks5://proxy.example.com:1080` | SOCKS5 | we: the access policy judges its addresses |
///
/// A user name and a password stand before the host, percent-encoded, or come by
/// [`with_login`](Self::with_login). Nothing shows them.
///
/// The access policy judges the server's URL as without a proxy. Where the proxy resolves the name, we
/// cannot know which address it leads to. The proxy itself needs no rule: whoever configures it
/// trusts it.
///
/// ```
/// use wsvisor::{Proxy, Settings};
///
/// let proxy: Proxy = "socks5h://user:secret@proxy.example.com:1080".parse()?;
/// assert_eq!(proxy.to_string(), "socks5h://proxy.example.com:1080");
/// let settings = Settings::default().proxy(proxy);
/// # Ok::<(), wsvisor::InvalidProxy>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    pub(crate) kind: ProxyKind,
    /// Where it is, as a URL that a dialler can be given.
    pub(crate) place: Allowed,
    /// Lets it be dialled, and nothing else.
    pub(crate) policy: AccessPolicy,
    pub(crate) login: Option<Login>,
}

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    Http,
    Https,
    Socks5(Dns),
}

/// Who resolves the server's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dns {
    Local,
    Remote,
}

#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: SecretString,
    pub(crate) password: SecretString,
}

/// Why a proxy cannot be used. What was written is not shown, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// It is no URL.
    #[error("the proxy is not a URL such as http://proxy.example.com:3128")]
    Url,
    /// Its scheme is none of those known.
    #[error("the proxy's scheme is not http, https, socks5 or socks5h")]
    Scheme,
    /// Its host or port is wrong.
    #[error("the proxy's host or port is wrong: {0}")]
    Host(InvalidUrl),
    /// There is more behind its host and port.
    #[error("the proxy has a path, a query or a fragment; remove what follows its port")]
    Path,
    /// HTTP cannot carry its user name or password.
    #[error("the proxy's credentials: {0}")]
    Login(InvalidHeader),
    /// SOCKS5 cannot carry its user name or password (RFC 1929).
    #[error("the proxy's user name and password must have 1 to 255 bytes each for SOCKS5")]
    LoginLength,
    /// The user name or password is not UTF-8.
    #[error("the proxy's user name or password is not UTF-8")]
    LoginEncoding,
    /// A variable of the environment holds no proxy that can be used.
    #[error("the variable {name}: {source}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What is wrong.
        source: Box<Self>,
    },
    /// A variable of the environment is not Unicode.
    #[error("the variable {name} is not Unicode")]
    NotUnicode {
        /// The variable.
        name: &'static str,
    },
}

impl Proxy {
    /// Sets the user name and the password.
    ///
    /// # Errors
    /// When the proxy's protocol cannot carry them: a user name with a colon or a control character in
    /// either for HTTP, more than 255 bytes or none for SOCKS5.
    pub fn with_login(
        mut self,
        user: impl Into<SecretString>,
        password: impl Into<SecretString>,
    ) -> Result<Self, InvalidProxy> {
        let login = Login { user: user.into(), password: password.into() };
        match self.kind {
            ProxyKind::Http | ProxyKind::Https => {
                login.basic().map_err(InvalidProxy::Login)?;
            }
            ProxyKind::Socks5(_) => {
                let lengths = [&login.user, &login.password].map(|text| text.expose_secret().len());
                if !lengths.iter().all(|len| (1..=255).contains(len)) {
                    return Err(InvalidProxy::LoginLength);
                }
            }
        }
        self.login = Some(login);
        Ok(self)
    }
}

impl Login {
    /// The value of `Proxy-Authorization`.
    pub(crate) fn basic(&self) -> Result<String, InvalidHeader> {
        basic(self.user.expose_secret(), self.password.expose_secret())
    }
}

impl ProxyKind {
    fn of_scheme(scheme: &str) -> Option<Self> {
        Some(match scheme {
            "http" => Self::Http,
            "https" => Self::Https,
            "socks5" => Self::Socks5(Dns::Local),
            "socks5h" => Self::Socks5(Dns::Remote),
            _ => return None,
        })
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5(Dns::Local) => "socks5",
            Self::Socks5(Dns::Remote) => "socks5h",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5(_) => 1080,
        }
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let url = Url::parse(text).map_err(|_| InvalidProxy::Url)?;
        let kind = ProxyKind::of_scheme(url.scheme()).ok_or(InvalidProxy::Scheme)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidProxy::Path);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidProxy::Url)?;
        let place = format!("ws://{host}:{}", url.port().unwrap_or(kind.default_port()));
        let place = CanonicalUrl::parse(&place).map_err(InvalidProxy::Host)?;
        let (place, policy) = trusted(&place).ok_or(InvalidProxy::Url)?;
        let proxy = Self { kind, place, policy, login: None };
        if url.username().is_empty() && url.password().is_none() {
            return Ok(proxy);
        }
        let user = decoded(url.username())?;
        proxy.with_login(user, decoded(url.password().unwrap_or_default())?)
    }
}

fn decoded(text: &str) -> Result<SecretString, InvalidProxy> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| InvalidProxy::LoginEncoding)?;
    Ok(text.into_owned().into())
}

/// A policy that lets this place be dialled, wherever its name leads: proxies stand in private
/// networks.
fn trusted(place: &CanonicalUrl) -> Option<(Allowed, AccessPolicy)> {
    let policy = AccessPolicy::from_rules([format!("allow {}", place.origin())]).ok()?;
    let policy = policy.with_grant_resolved(["0.0.0.0/0", "::/0"]).ok()?;
    Some((policy.check_url(place).ok()?, policy))
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.place.url();
        write!(f, "{}://{}:{}", self.kind.scheme(), url.host(), url.port())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        for (text, shown) in [
            ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
            ("http://Proxy.example.com", "http://proxy.example.com:80"),
            ("https://proxy.example.com/", "https://proxy.example.com:443"),
            ("socks5://10.0.0.1", "socks5://10.0.0.1:1080"),
            ("socks5h://[::1]:9050", "socks5h://[::1]:9050"),
            ("http://canary:canary@localhost:1", "http://localhost:1"),
        ] {
            let proxy: Proxy = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(proxy.to_string(), shown);
            assert!(!format!("{proxy:?}").contains("canary"));
        }
    }

    #[test]
    fn a_login_is_decoded() {
        let login = |text: &str| {
            let login = text.parse::<Proxy>().unwrap().login.unwrap();
            (login.user.expose_secret().to_owned(), login.password.expose_secret().to_owned())
        };
        assert_eq!(login("socks5://u%40x:p%3a%2F@h"), ("u@x".into(), "p:/".into()));
        assert_eq!(login("http://user@h"), ("user".into(), String::new()));
    }

    #[test]
    fn what_is_refused() {
        #[rustfmt::skip]
        let table = [
            ("", InvalidProxy::Url),
            ("canary", InvalidProxy::Url),
            ("http://", InvalidProxy::Url),
            ("http://canary:canary@", InvalidProxy::Url),
            ("ftp://canary@h", InvalidProxy::Scheme),
            ("socks4://canary@h", InvalidProxy::Scheme),
            ("http://h/canary", InvalidProxy::Path),
            ("http://h?canary", InvalidProxy::Path),
            ("http://h#canary", InvalidProxy::Path),
            ("http://h:0", InvalidProxy::Host(InvalidUrl::PortZero)),
            ("http://canary%3Aa:b@h", InvalidProxy::Login(InvalidHeader::BasicUser)),
            ("http://a:canary%0a@h", InvalidProxy::Login(InvalidHeader::BasicControl)),
            ("socks5://canary@h", InvalidProxy::LoginLength),
            ("http://%ffcanary:a@h", InvalidProxy::LoginEncoding),
        ];
        for (text, expected) in table {
            let error = text.parse::<Proxy>().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        let socks: Proxy = "socks5://h".parse().unwrap();
        assert!(socks.clone().with_login("u".repeat(255), "p".repeat(255)).is_ok());
        let too_long = socks.with_login("u".repeat(256), "p").unwrap_err();
        assert_eq!(too_long, InvalidProxy::LoginLength);
        for len in [256, 300, 65_536] {
            let long = format!("socks5h://{}.example", "a".repeat(len));
            assert!(matches!(
                long.parse::<Proxy>(),
                Err(InvalidProxy::Host(_) | InvalidProxy::Url)
            ));
        }
    }
}
