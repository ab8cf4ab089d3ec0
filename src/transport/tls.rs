use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio_rustls::TlsConnector;

use super::dialler::BoxedStream;
use crate::{lifecycle::DialError, policy::Host};

/// How `wss` connections trust their server. TLS is by rustls, and no setting turns the checks of
/// the certificate's chain, name and time off.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Why a [`Tls`] cannot be built.
#[derive(Clone, Debug, thiserror::Error)]
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
        PUBLIC.get_or_init(|| Self::trusting(public_roots()?)).clone()
    }

    /// Trusts the certificate authorities in `pem`, and no others.
    ///
    /// # Errors
    /// When the text is not PEM, or a certificate in it cannot be a root.
    pub fn private_ca(pem: impl AsRef<[u8]>) -> Result<Self, InvalidTls> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem.as_ref()).enumerate() {
            let certificate = certificate.map_err(|e| InvalidTls::Pem(e.to_string()))?;
            roots
                .add(certificate)
                .map_err(|e| InvalidTls::Certificate { index: index + 1, reason: e.to_string() })?;
        }
        if roots.is_empty() {
            return Err(InvalidTls::NoCertificate);
        }
        Self::trusting(roots)
    }

    /// Uses a rustls configuration of your own: client certificates, a verifier, other roots.
    /// Its ALPN list is replaced by `http/1.1`, without which a server may choose HTTP/2 and no
    /// WebSocket is possible.
    #[must_use]
    pub fn from_config(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    fn trusting(roots: RootCertStore) -> Result<Self, InvalidTls> {
        // The provider is named, because the process-wide default may be unset or ambiguous, and
        // rustls panics then.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidTls::Provider(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::from_config(config))
    }

    pub(super) async fn connect(
        &self,
        host: Host<'_>,
        io: BoxedStream,
    ) -> Result<BoxedStream, DialError> {
        let failed = |source| DialError::Tls { host: host.to_string(), source: Arc::new(source) };
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

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

fn public_roots() -> Result<RootCertStore, InvalidTls> {
    #[cfg_attr(not(any(feature = "webpki-roots", feature = "native-roots")), expect(unused_mut))]
    let mut roots = RootCertStore::empty();
    #[cfg(feature = "webpki-roots")]
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    #[cfg(feature = "native-roots")]
    {
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
        if roots.is_empty() {
            return Err(InvalidTls::NoRoots(format!("the platform has none: {:?}", native.errors)));
        }
    }
    if roots.is_empty() {
        return Err(InvalidTls::NoRoots(
            "enable the feature `webpki-roots` or `native-roots`, or give a private CA".into(),
        ));
    }
    Ok(roots)
}
