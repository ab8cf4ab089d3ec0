use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::InvalidTls;

/// The certificate authorities in a PEM text.
pub(super) fn private_roots(pem: &[u8]) -> Result<RootCertStore, InvalidTls> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let certificate = certificate.map_err(|error| InvalidTls::Pem(error.to_string()))?;
        roots.add(certificate).map_err(|error| InvalidTls::Certificate {
            index: index + 1,
            reason: error.to_string(),
        })?;
    }
    if roots.is_empty() { Err(InvalidTls::NoCertificate) } else { Ok(roots) }
}

/// Those compiled in, and those of the platform.
pub(super) fn public_roots() -> Result<RootCertStore, InvalidTls> {
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
