use std::fmt;

/// What went wrong in a TLS handshake. The rest of the story is in the error's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The certificate's time is over, by this machine's clock.
    Expired,
    /// The certificate's time has not begun, by this machine's clock.
    NotYetValid,
    /// The certificate is for other names than the URL's host.
    WrongName,
    /// The certificate was issued by nobody who is trusted here, or by itself.
    UnknownIssuer,
    /// The certificate's issuer has revoked it.
    Revoked,
    /// The certificate is trusted, and its key is none of those that are pinned.
    PinMismatch,
    /// The certificate is wrong in another way.
    Certificate,
    /// The server wants a client certificate, or refused the one that it was given.
    ClientCertificate,
    /// The server and we have no version or cipher of TLS in common.
    Incompatible,
    /// The server speaks no HTTP/1.1 there (ALPN), so no WebSocket either.
    NoHttp11,
    /// What came is not TLS.
    NotTls,
    /// The server ended the handshake with an alert.
    Alert,
    /// The server broke the rules of TLS.
    Protocol,
    /// The stream ended or failed during the handshake.
    Stream,
}

impl TlsFailure {
    /// Whether the server's certificate was refused.
    #[must_use]
    pub const fn is_of_certificate(self) -> bool {
        matches!(
            self,
            Self::Expired
                | Self::NotYetValid
                | Self::WrongName
                | Self::UnknownIssuer
                | Self::Revoked
                | Self::PinMismatch
                | Self::Certificate
        )
    }
}

/// What it is, and what to do about it.
impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the certificate has expired; it must be renewed",
            Self::NotYetValid => "the certificate is not valid yet; check this machine's clock",
            Self::WrongName => "the certificate is for other names; check the URL's host",
            Self::UnknownIssuer => {
                "the certificate's issuer is not trusted; give the private CA if there is one"
            }
            Self::Revoked => "the certificate was revoked; it must be replaced",
            Self::PinMismatch => "the certificate's key is not among the pinned ones",
            Self::Certificate => "the certificate is refused",
            Self::ClientCertificate => {
                "the server refused our client certificate, or wants one; check it"
            }
            Self::Incompatible => "no version or cipher of TLS in common",
            Self::NoHttp11 => "the server does not speak HTTP/1.1 there",
            Self::NotTls => "the server does not speak TLS there; check port and scheme",
            Self::Alert => "the server ended the handshake",
            Self::Protocol => "the server broke the rules of TLS",
            Self::Stream => "the stream failed during the handshake",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::TlsFailure as F;

    #[test]
    fn a_refused_certificate_is_told_from_the_rest() {
        let of_certificate = [
            F::Expired,
            F::NotYetValid,
            F::WrongName,
            F::UnknownIssuer,
            F::Revoked,
            F::PinMismatch,
            F::Certificate,
        ];
        assert!(of_certificate.into_iter().all(F::is_of_certificate));
        // The client's own certificate is not the server's.
        let others = [F::ClientCertificate, F::Incompatible, F::NoHttp11, F::NotTls, F::Alert];
        assert!(!others.into_iter().any(F::is_of_certificate));
        assert!(!F::Protocol.is_of_certificate() && !F::Stream.is_of_certificate());
    }
}
