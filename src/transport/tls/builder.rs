use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject as _},
};

use super::{
    InvalidTls, KeyPin, Tls,
    pin::Pinned,
    roots::{private_roots, public_roots},
};

/// Says how servers are trusted, step by step ([`Tls::builder`]). What is wrong is told by
/// [`build`](Self::build).
#[derive(Clone, Default)]
#[must_use]
pub struct TlsBuilder {
    public: bool,
    private: Vec<Vec<u8>>,
    /// Certificates and key, as PEM.
    client: Option<(Vec<u8>, Vec<u8>)>,
    pins: Vec<KeyPin>,
    revoked: Vec<Vec<u8>>,
}

impl TlsBuilder {
    /// Trusts the public certificate authorities, as [`Tls::public`] does. They are also trusted when
    /// no private one is given.
    pub const fn public_roots(mut self) -> Self {
        self.public = true;
        self
    }

    /// Trusts the certificate authorities in `pem`, and the public ones no more unless they are
    /// asked for.
    pub fn private_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.private.push(pem.into());
        self
    }

    /// Shows the server a certificate of ours when it asks for one: our certificate first, then those
    /// between it and the server's authority, and its key, both as PEM.
    pub fn client_certificate(
        mut self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.client = Some((certificates.into(), key.into()));
        self
    }

    /// The server's own key must be this one, or another that is pinned, besides all other checks.
    pub fn pin(mut self, pin: KeyPin) -> Self {
        self.pins.push(pin);
        self
    }

    /// Refuses certificates that the lists in `pem` revoke. With a list there must be one for every
    /// issuer of the chain.
    pub fn revocation_lists(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.revoked.push(pem.into());
        self
    }

    /// Checks all of it.
    ///
    /// # Errors
    /// With the part that cannot be used.
    pub fn build(self) -> Result<Tls, InvalidTls> {
        // The provider is named, because the process-wide default may be unset or ambiguous, and
        // rustls panics then.
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidTls::Provider(error.to_string()))?
            // The name is rustls' word for a verifier of one's own: this one checks all that the
            // usual one checks, for it holds it.
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match self.client {
            None => config.with_no_client_auth(),
            Some((certificates, key)) => config
                .with_client_auth_cert(client_chain(&certificates)?, client_key(&key)?)
                .map_err(|error| InvalidTls::ClientCertificate(error.to_string()))?,
        };
        Ok(Tls::from_config(config))
    }

    fn roots(&self) -> Result<RootCertStore, InvalidTls> {
        let mut roots = RootCertStore::empty();
        if self.public || self.private.is_empty() {
            roots.roots.extend(public_roots()?.roots);
        }
        for pem in &self.private {
            roots.roots.extend(private_roots(pem)?.roots);
        }
        Ok(roots)
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, InvalidTls> {
        let roots = Arc::new(self.roots()?);
        let lists = self.lists()?;
        let checked: Arc<dyn ServerCertVerifier> =
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
                .with_crls(lists)
                .build()
                .map_err(|error| InvalidTls::RevocationList(error.to_string()))?;
        if self.pins.is_empty() {
            return Ok(checked);
        }
        Ok(Arc::new(Pinned { checked, pins: self.pins.clone() }))
    }

    fn lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, InvalidTls> {
        let mut lists = Vec::new();
        for pem in &self.revoked {
            let before = lists.len();
            for list in CertificateRevocationListDer::pem_slice_iter(pem) {
                lists.push(list.map_err(|error| InvalidTls::RevocationList(error.to_string()))?);
            }
            if lists.len() == before {
                let reason = "it holds no X509 CRL section".to_owned();
                return Err(InvalidTls::RevocationList(reason));
            }
        }
        Ok(lists)
    }
}

fn client_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| InvalidTls::ClientCertificate(error.to_string()))?;
    if chain.is_empty() {
        let reason = "there is no CERTIFICATE section".to_owned();
        return Err(InvalidTls::ClientCertificate(reason));
    }
    Ok(chain)
}

/// The error tells of the text's form and shows nothing of it.
fn client_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, InvalidTls> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| InvalidTls::ClientKey)
}

/// Keys are secrets, and certificates are long.
impl fmt::Debug for TlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder")
            .field("public_roots", &self.public)
            .field("private_cas", &self.private.len())
            .field("client_certificate", &self.client.is_some())
            .field("pins", &self.pins)
            .field("revocation_lists", &self.revoked.len())
            .finish()
    }
}
