use wsvisor::{
    AccessPolicy, CanonicalUrl, ConnectionSpec, InvalidTls, InvalidUrl, PolicyError, SecretString,
    Settings, Tls,
};

/// Which servers are loaded, and how each connection to them is opened.
pub(crate) struct Target {
    urls: Vec<CanonicalUrl>,
    policy: AccessPolicy,
    headers: Vec<(String, SecretString)>,
    subprotocols: Vec<String>,
    settings: Settings,
}

/// Why there is nothing to connect to. No text holds a header's value or a URL's query.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidTarget {
    #[error("URL {number} cannot be dialled: {source}; give one such as wss://example.com/path")]
    Url { number: usize, source: InvalidUrl },
    #[error("URL {number} cannot be allowed: {source}")]
    Policy { number: usize, source: PolicyError },
    #[error("header {number} has no colon: write 'Name: value'")]
    NoColon { number: usize },
    #[error("the certificate authorities cannot be used: {0}")]
    Tls(#[from] InvalidTls),
}

impl Target {
    pub(crate) fn new(urls: &[String]) -> Result<Self, InvalidTarget> {
        let parse = |(number, url): (usize, &String)| {
            CanonicalUrl::parse(url).map_err(|source| InvalidTarget::Url { number, source })
        };
        let urls: Vec<_> = (1..).zip(urls).map(parse).collect::<Result<_, _>>()?;
        // Who types a URL means the address behind it, a private one too.
        let policy =
            AccessPolicy::from_rules(urls.iter().map(|url| format!("allow {}", url.origin())))
                .and_then(|policy| policy.with_grant_resolved(["0.0.0.0/0", "::/0"]))
                .map_err(|source| InvalidTarget::Policy { number: source.line, source })?;
        let (headers, subprotocols) = (Vec::new(), Vec::new());
        Ok(Self { urls, policy, headers, subprotocols, settings: Settings::default() })
    }

    /// Adds headers, each written as `Name: value`.
    pub(crate) fn headers(mut self, lines: &[String]) -> Result<Self, InvalidTarget> {
        for (number, line) in (1..).zip(lines) {
            let (name, value) = line.split_once(':').ok_or(InvalidTarget::NoColon { number })?;
            self.headers.push((name.trim().to_owned(), value.trim().into()));
        }
        Ok(self)
    }

    pub(crate) fn subprotocols(mut self, names: &[String]) -> Self {
        self.subprotocols.extend_from_slice(names);
        self
    }

    /// Trusts the certificate authorities of this PEM text and no others.
    pub(crate) fn private_ca(mut self, pem: &[u8]) -> Result<Self, InvalidTarget> {
        self.settings = self.settings.tls(Tls::private_ca(pem)?);
        Ok(self)
    }

    pub(crate) const fn policy(&self) -> &AccessPolicy {
        &self.policy
    }

    /// Without their queries.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.urls.iter().map(ToString::to_string).collect()
    }

    /// The connection of this number: the URLs take turns.
    pub(crate) fn connection(&self, number: usize) -> ConnectionSpec {
        let url = self.urls.get(number % self.urls.len().max(1));
        let url = url.map_or("", CanonicalUrl::as_str);
        let mut spec =
            ConnectionSpec::string(number.to_string(), url).settings(self.settings.clone());
        for (name, value) in &self.headers {
            spec = spec.header(name, value.clone());
        }
        for name in &self.subprotocols {
            spec = spec.subprotocol(name);
        }
        spec
    }
}
