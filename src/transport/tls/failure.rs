//! What rustls says, in our words.

use std::io;

use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerMisbehaved,
};

use super::pin::PinMismatch;
use crate::lifecycle::TlsFailure;

/// What an error of a TLS stream means; nothing where it is none of TLS.
pub(in crate::transport) fn failure_of(error: &io::Error) -> Option<TlsFailure> {
    error.get_ref()?.downcast_ref::<Error>().map(of)
}

fn of(error: &Error) -> TlsFailure {
    match error {
        Error::InvalidCertificate(certificate) => of_certificate(certificate),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::NoApplicationProtocol
        | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            TlsFailure::NoHttp11
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::InvalidEmptyPayload
            | InvalidMessage::MessageTooLarge,
        ) => TlsFailure::NotTls,
        Error::NoCertificatesPresented => TlsFailure::Certificate,
        Error::PeerIncompatible(_) => TlsFailure::Incompatible,
        _ => TlsFailure::Protocol,
    }
}

fn of_certificate(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::WrongName
        }
        // A signature is bad when another has taken the name of an authority that is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsFailure::UnknownIssuer
        }
        CertificateError::Revoked => TlsFailure::Revoked,
        CertificateError::Other(OtherError(other)) if other.is::<PinMismatch>() => {
            TlsFailure::PinMismatch
        }
        _ => TlsFailure::Certificate,
    }
}

fn of_alert(alert: AlertDescription) -> TlsFailure {
    match alert {
        AlertDescription::NoApplicationProtocol => TlsFailure::NoHttp11,
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => TlsFailure::Incompatible,
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => TlsFailure::ClientCertificate,
        _ => TlsFailure::Alert,
    }
}
