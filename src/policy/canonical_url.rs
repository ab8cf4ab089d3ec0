use std::{
    cell::Cell,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use url::{Position, Url};

use super::{Host, InvalidUrl, Scheme, host::check_name};

/// A WebSocket URL in the one form that is judged, dialled and shown.
///
/// Whatever the spelling, the same URL has the same canonical form: scheme and host in lower case,
/// international names as `xn--…`, every spelling of an IPv4 address as four decimal numbers, no
/// dot behind the name, no default port, dot segments resolved. Spellings that two parsers may read
/// differently are refused.
///
/// `Display` and `Debug` write `?…` for the query, which often carries a token. A clone is cheap.
///
/// ```
/// use wsvisor::CanonicalUrl;
///
/// let url = CanonicalUrl::parse("WSS://Stream.Example.com.:443/v1/../v2?token=secret")?;
/// assert_eq!(url.to_string(), "wss://stream.example.com/v2?…");
/// assert_eq!(url.request_target(), "/v2?token=secret");
///
/// // What a look at the text would take for a name is an address.
/// assert_eq!(CanonicalUrl::parse("ws://0x7f000001")?.to_string(), "ws://127.0.0.1/");
/// # Ok::<(), wsvisor::InvalidUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalUrl {
    /// `scheme://host[:port]/path[?query]`.
    text: Arc<str>,
    /// Where the path begins in `text`.
    origin_len: usize,
    scheme: Scheme,
    host: HostKind,
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum HostKind {
    Name,
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl CanonicalUrl {
    /// Parses an absolute `ws` or `wss` URL by the WHATWG URL Standard, without its leniency.
    ///
    /// # Errors
    ///
    /// Says which part of the URL is wrong; see [`InvalidUrl`].
    pub fn parse(input: &str) -> Result<Self, InvalidUrl> {
        if let Some(found) = input.chars().find(|c| c.is_control()) {
            return Err(InvalidUrl::ControlCharacter { found });
        }
        let url = parse_strictly(input)?;
        let scheme = Scheme::from_name(url.scheme()).ok_or(InvalidUrl::Scheme)?;
        if url.fragment().is_some() {
            return Err(InvalidUrl::Fragment);
        }
        if url.port() == Some(0) {
            return Err(InvalidUrl::PortZero);
        }
        let host = url.host().ok_or(InvalidUrl::HostMissing)?;
        let host = match host {
            url::Host::Domain(name) => Host::Name(name.strip_suffix('.').unwrap_or(name)),
            url::Host::Ipv4(address) => Host::V4(address),
            url::Host::Ipv6(address) => Host::V6(address),
        };
        if let Host::Name(name) = host {
            check_name(name)?;
        }
        // But for the dot behind a name, the parser has it in canonical form.
        let name = url.host_str().ok_or(InvalidUrl::HostMissing)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        let port = &url[Position::AfterHost..Position::BeforePath];
        let target = &url[Position::BeforePath..Position::AfterQuery];
        let text = [scheme.as_str(), "://", name, port, target].concat();
        Ok(Self {
            origin_len: text.len() - target.len(),
            text: text.into(),
            scheme,
            host: match host {
                Host::Name(_) => HostKind::Name,
                Host::V4(address) => HostKind::V4(address),
                Host::V6(address) => HostKind::V6(address),
            },
            port: url.port().unwrap_or(scheme.default_port()),
        })
    }

    /// Whether to speak TLS.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What to resolve and, under TLS, whom the certificate must be for.
    #[must_use]
    pub fn host(&self) -> Host<'_> {
        match self.host {
            HostKind::Name => Host::Name(before(self.authority(), ':')),
            HostKind::V4(address) => Host::V4(address),
            HostKind::V6(address) => Host::V6(address),
        }
    }

    /// The port to dial: the URL's own, else the scheme's default.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Scheme, host and port, as in `wss://example.com:8443`: the URL without anything secret, a
    /// key for what is counted by server.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.split().0
    }

    /// What the `Host` header carries: the host, an IPv6 address in brackets, and the port unless
    /// it is the scheme's default.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.origin().get(self.scheme.as_str().len() + "://".len()..).unwrap_or_default()
    }

    /// The path, which begins with `/`, percent-encoded and without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        before(self.request_target(), '?')
    }

    /// Path and query, as the request line carries them. **May hold secrets**: not for logs.
    #[must_use]
    pub fn request_target(&self) -> &str {
        self.split().1
    }

    /// The whole URL with its query. **May hold secrets**: not for logs, use `Display` there.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn split(&self) -> (&str, &str) {
        self.text.split_at_checked(self.origin_len).unwrap_or((&self.text, ""))
    }
}

/// With the query, if there is one, as `?…`.
impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.origin())?;
        f.write_str(self.path())?;
        f.write_str(if self.path() == self.request_target() { "" } else { "?…" })
    }
}

impl fmt::Debug for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CanonicalUrl({self})")
    }
}

impl FromStr for CanonicalUrl {
    type Err = InvalidUrl;

    fn from_str(input: &str) -> Result<Self, InvalidUrl> {
        Self::parse(input)
    }
}

fn parse_strictly(input: &str) -> Result<Url, InvalidUrl> {
    let refused = Cell::new(None);
    let note = |violation| {
        if InvalidUrl::from_violation(violation).is_some() {
            refused.set(refused.get().or(Some(violation)));
        }
    };
    let parsed = Url::options().syntax_violation_callback(Some(&note)).parse(input);
    match refused.get().and_then(InvalidUrl::from_violation) {
        Some(refusal) => Err(refusal),
        None => Ok(parsed?),
    }
}

fn before(text: &str, end: char) -> &str {
    text.split_once(end).map_or(text, |(before, _)| before)
}
