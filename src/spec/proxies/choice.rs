use std::sync::Arc;

use super::{InvalidProxy, Proxy, no_proxy::NoProxy};
use crate::policy::{CanonicalUrl, Scheme};

/// Which proxy leads to which server: none, one for all, or what the environment says.
///
/// A server that is behind a proxy is never dialled directly, whatever the proxy answers.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Option<Arc<Chosen>>);

#[derive(Debug)]
struct Chosen {
    ws: Option<Proxy>,
    wss: Option<Proxy>,
    exempt: NoProxy,
}

impl Proxies {
    /// None: servers are dialled directly, whatever the supervisor's default is.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One for all servers.
    #[must_use]
    pub fn all(proxy: Proxy) -> Self {
        Self::of(Some(proxy.clone()), Some(proxy), NoProxy::default())
    }

    /// One for all servers except these, in the syntax of `NO_PROXY`: `"localhost, .corp.example,
    /// 10.0.0.0/8"`.
    #[must_use]
    pub fn all_except(proxy: Proxy, exempt: &str) -> Self {
        Self::of(Some(proxy.clone()), Some(proxy), NoProxy::parse(exempt))
    }

    /// What the usual variables of the environment say, as curl reads them: for `wss`
    /// `https_proxy`, for `ws` `http_proxy`, for both `all_proxy`, and `no_proxy` for what is dialled
    /// directly. Each may be in upper case too; lower case wins. They are read once, here.
    ///
    /// `HTTP_PROXY` is not read where `REQUEST_METHOD` is set: in a CGI program, whoever sends a
    /// request can set it.
    ///
    /// # Errors
    /// When one of them holds no proxy that can be used. It would be wrong to dial directly then.
    pub fn from_environment() -> Result<Self, InvalidProxy> {
        Self::from_variables(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(InvalidProxy::NotUnicode { name }),
        })
    }

    fn from_variables(
        read: impl Fn(&'static str) -> Result<Option<String>, InvalidProxy>,
    ) -> Result<Self, InvalidProxy> {
        let first = |names: &[&'static str]| {
            for &name in names {
                if let Some(value) = read(name)?.filter(|value| !value.trim().is_empty()) {
                    return Ok(Some((name, value)));
                }
            }
            Ok(None)
        };
        let proxy = |names: &[&'static str]| match first(names)? {
            Some((name, value)) => parse(value.trim())
                .map(Some)
                .map_err(|source| InvalidProxy::Variable { name, source: Box::new(source) }),
            None => Ok(None),
        };
        let in_cgi = read("REQUEST_METHOD")?.is_some();
        let http: &[_] = if in_cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        let all = proxy(&["all_proxy", "ALL_PROXY"])?;
        let ws = proxy(http)?.or_else(|| all.clone());
        let wss = proxy(&["https_proxy", "HTTPS_PROXY"])?.or(all);
        let exempt = first(&["no_proxy", "NO_PROXY"])?;
        Ok(Self::of(ws, wss, exempt.map(|(_, text)| NoProxy::parse(&text)).unwrap_or_default()))
    }

    fn of(ws: Option<Proxy>, wss: Option<Proxy>, exempt: NoProxy) -> Self {
        Self(Some(Arc::new(Chosen { ws, wss, exempt })))
    }

    /// The proxy that leads to this URL; none where it is dialled directly.
    #[must_use]
    pub fn of_url(&self, url: &CanonicalUrl) -> Option<&Proxy> {
        let chosen = self.0.as_deref()?;
        if chosen.exempt.exempts(url) {
            return None;
        }
        match url.scheme() {
            Scheme::Ws => chosen.ws.as_ref(),
            Scheme::Wss => chosen.wss.as_ref(),
        }
    }
}

/// As curl does, a proxy without a scheme speaks HTTP.
fn parse(text: &str) -> Result<Proxy, InvalidProxy> {
    if text.contains("://") { text.parse() } else { format!("http://{text}").parse() }
}

impl From<Proxy> for Proxies {
    fn from(proxy: Proxy) -> Self {
        Self::all(proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Proxies, InvalidProxy> {
        Proxies::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of_url(&url.parse().unwrap()).map(ToString::to_string)
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        type Variables = &'static [(&'static str, &'static str)];
        #[rustfmt::skip]
        let table: [(Variables, Option<&str>, Option<&str>); 11] = [
            (&[], None, None),
            (&[("https_proxy", "http://a:1")], None, Some("http://a:1")),
            (&[("HTTPS_PROXY", "http://a:1")], None, Some("http://a:1")),
            (&[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "http://b:2")], None, Some("http://b:2")),
            (&[("http_proxy", "http://a:1")], Some("http://a:1"), None),
            (&[("HTTP_PROXY", "a:1")], Some("http://a:1"), None),
            (&[("HTTP_PROXY", "a:1"), ("REQUEST_METHOD", "GET")], None, None),
            (&[("ALL_PROXY", "socks5h://a:1")], Some("socks5h://a:1"), Some("socks5h://a:1")),
            (&[("all_proxy", "socks5://a:1"), ("HTTPS_PROXY", "b:2")], Some("socks5://a:1"), Some("http://b:2")),
            (&[("https_proxy", "  "), ("HTTPS_PROXY", " a:1 ")], None, Some("http://a:1")),
            (&[("all_proxy", "a:1"), ("NO_PROXY", "*")], None, None),
        ];
        for (variables, ws, wss) in table {
            let proxies = read(variables).unwrap();
            assert_eq!(of(&proxies, "ws://h.example").as_deref(), ws, "{variables:?}");
            assert_eq!(of(&proxies, "wss://h.example").as_deref(), wss, "{variables:?}");
        }
    }

    #[test]
    fn some_hosts_are_exempt() {
        let proxies =
            read(&[("ALL_PROXY", "a:1"), ("NO_PROXY", ".corp.example,10.0.0.0/8")]).unwrap();
        assert_eq!(of(&proxies, "wss://x.corp.example"), None);
        assert_eq!(of(&proxies, "ws://10.1.1.1"), None);
        assert!(of(&proxies, "wss://example.com").is_some());
        let except = Proxies::all_except("http://a:1".parse().unwrap(), "example.com");
        assert_eq!(of(&except, "wss://example.com"), None);
        assert_eq!(of(&Proxies::none(), "wss://example.com"), None);
    }

    #[test]
    fn a_wrong_variable_is_an_error_and_no_direct_dial() {
        for value in ["ftp://canary@h", "http://h/canary", "http://", "canary:canary@:1"] {
            let error = read(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert!(
                error.to_string().starts_with("the variable HTTPS_PROXY: the proxy"),
                "{error}"
            );
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }
}
