use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use sha2::{Digest as _, Sha256};

use super::InvalidTls;

/// The SHA-256 of a server's public key (its `SubjectPublicKeyInfo`), as RFC 7469 has it. It stays the
/// same when the certificate is renewed with the same key.
///
/// ```
/// use wsvisor::KeyPin;
///
/// let pin: KeyPin = "sha256/X3pGTSOuJeEVw989IJ/cEtXUEmy52zs1TZQrU06KUKg=".parse()?;
/// # Ok::<(), wsvisor::InvalidTls>(())
/// ```
///
/// A server's own pin is printed by
/// `openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPin([u8; 32]);

impl KeyPin {
    /// The pin of the first certificate in `pem`.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_certificate(pem: impl AsRef<[u8]>) -> Result<Self, InvalidTls> {
        let certificate = CertificateDer::from_pem_slice(pem.as_ref())
            .map_err(|error| InvalidTls::Pin(format!("no certificate: {error}")))?;
        Self::of(&certificate).map_err(|error| InvalidTls::Pin(error.to_string()))
    }

    fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        Ok(Self(Sha256::digest(key.as_ref()).into()))
    }
}

/// Reads 32 bytes in base64, with `sha256/` before them or not.
impl FromStr for KeyPin {
    type Err = InvalidTls;

    fn from_str(text: &str) -> Result<Self, InvalidTls> {
        let digest = text.strip_prefix("sha256/").unwrap_or(text);
        let bytes = BASE64_STANDARD.decode(digest).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            InvalidTls::Pin("a pin is 32 bytes in base64, as in `sha256/…=`".to_owned())
        })
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPin({self})")
    }
}

/// The server's key is another.
#[derive(Debug, thiserror::Error)]
#[error("its key is {0}")]
pub(super) struct PinMismatch(KeyPin);

/// Checks what `checked` checks, and then the key of the server's own certificate. Other
/// certificates that a server sends prove nothing: anybody can send them.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) checked: Arc<dyn ServerCertVerifier>,
    pub(super) pins: Vec<KeyPin>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.checked.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        let key = KeyPin::of(certificate)?;
        if self.pins.contains(&key) {
            return Ok(verified);
        }
        Err(CertificateError::Other(OtherError(Arc::new(PinMismatch(key)))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checked.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checked.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.checked.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_written() {
        let text = "sha256/X3pGTSOuJeEVw989IJ/cEtXUEmy52zs1TZQrU06KUKg=";
        let pin: KeyPin = text.parse().unwrap();
        assert_eq!(pin.to_string(), text);
        assert_eq!(text.trim_start_matches("sha256/").parse(), Ok(pin));
        for wrong in ["", "sha256/", "sha256/AAAA", "sha1/X3pGTSOuJeEVw989IJ/cEtXUEmw=", "ä"] {
            let error = wrong.parse::<KeyPin>().unwrap_err();
            assert!(error.to_string().contains("32 bytes in base64"), "{wrong}: {error}");
        }
    }
}
