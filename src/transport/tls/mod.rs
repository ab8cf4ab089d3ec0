mod builder;
mod failure;
mod pin;
mod roots;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::TlsConnector;

pub(super) use self::failure::failure_of;
pub use self::{builder::TlsBuilder, pin::KeyPin};
use super::dialler::BoxedStream;
use crate::{
    lifecycle::{DialError, TlsFailure},
    policy::Host,
    spec::Settings,
};

/// How `wss` connections trust their server. TLS is by rustls, and no setting turns the checks of
/// the certificate's chain, name and time off.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Why a [`Tls`] cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTls {
    /// The PEM text cannot be read.
    #[error("the CA file is not PEM: {0}")]
    Pem(String),
    /// The PEM text holds no certificate.
    #[error("the CA file holds no certificate; it needs a CERTIFICATE section")]
    NoCertificate,
    /// A certificate cannot serve as a root.
    #[error("certificate {index} of the CA file cannot be a root: {reason}")]
    Certificate {
        /// Which certificate of the file, from 1.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no roots of trust: neither root feature is on, or the platform has none.
    #[error("no root certificates: {0}")]
    NoRoots(String),
    /// The client certificate cannot be used, or does not belong to its key.
    #[error("the client certificate cannot be used: {0}")]
    ClientCertificate(String),
    /// The key of the client certificate cannot be read. Nothing of it is shown.
    #[error(
        "the client certificate's key is not a private key in PEM; it needs a PRIVATE KEY section"
    )]
    ClientKey,
    /// A pin is wrong.
    #[error("the pinned key cannot be used: {0}")]
    Pin(String),
    /// A revocation list cannot be used.
    #[error("the revocation list cannot be used: {0}")]
    RevocationList(String),
    /// The cryptography that this crate was built with lacks what TLS needs.
    #[error("the cryptographic provider cannot be used: {0}")]
    Provider(String),
}

impl Tls {
    /// Trusts the public certificate authorities: those compiled in (feature `webpki-roots`),
    /// and those of the platform (feature `native-roots`).
    ///
    /// # Errors
    /// When neither feature is on or the platform has no certificates.
    pub fn public() -> Result<Self, InvalidTls> {
        static PUBLIC: OnceLock<Result<Tls, InvalidTls>> = OnceLock::new();
        PUBLIC.get_or_init(|| Self::builder().build()).clone()
    }

    /// Trusts the certificate authorities in `pem`, and no others.
    ///
    /// # Errors
    /// When the text is not PEM, or a certificate in it cannot be a root.
    pub fn private_ca(pem: impl AsRef<[u8]>) -> Result<Self, InvalidTls> {
        Self::builder().private_ca(pem.as_ref()).build()
    }

    /// Uses a rustls configuration of your own: client certificates, a verifier, other roots.
    /// Its ALPN list is replaced by `http/1.1`, without which a server may choose HTTP/2 and no
    /// WebSocket is possible.
    #[must_use]
    pub fn from_config(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    /// Says it step by step: roots, a client certificate, pinned keys, revocation lists.
    ///
    /// ```
    /// use wsvisor::{InvalidTls, KeyPin, Settings, Tls};
    ///
    /// # fn example(ca: String, certificate: String, key: String) -> Result<(), InvalidTls> {
    /// let tls = Tls::builder()
    ///     .private_ca(ca)
    ///     .client_certificate(certificate, key)
    ///     .pin("sha256/X3pGTSOuJeEVw989IJ/cEtXUEmy52zs1TZQrU06KUKg=".parse()?)
    ///     .build()?;
    /// let settings = Settings::default().tls(tls);
    /// # Ok(()) }
    /// ```
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// That of the settings, or the public one.
    pub(super) fn of(settings: &Settings) -> Result<Self, DialError> {
        match &settings.tls {
            Some(tls) => Ok(tls.clone()),
            None => Self::public().map_err(|error| DialError::TlsUnavailable(error.to_string())),
        }
    }

    pub(super) async fn connect(
        &self,
        host: Host<'_>,
        io: BoxedStream,
    ) -> Result<BoxedStream, DialError> {
        let failed = |source| broken(host, source);
        let name = match host {
            Host::Name(name) => ServerName::try_from(name.to_owned())
                .map_err(|error| failed(std::io::Error::other(error)))?,
            Host::V4(address) => ServerName::from(std::net::IpAddr::from(address)),
            Host::V6(address) => ServerName::from(std::net::IpAddr::from(address)),
        };
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let stream = connector.connect(name, io).await.map_err(failed)?;
        Ok(Box::new(stream))
    }
}

/// The error for a TLS handshake that failed.
pub(super) fn broken(host: Host<'_>, source: std::io::Error) -> DialError {
    let failure = failure_of(&source).unwrap_or(TlsFailure::Stream);
    DialError::Tls { host: host.to_string(), failure, source: Arc::new(source) }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}
