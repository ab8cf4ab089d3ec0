//! SOCKS5 (RFC 1928), with user name and password (RFC 1929).

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tokio_socks::{Error, TargetAddr, tcp::Socks5Stream};

use crate::{
    lifecycle::{ProxyFailure, TargetFailure},
    policy::{CanonicalUrl, Host},
    spec::Login,
    transport::dialler::BoxedStream,
};

/// The longest name that fits behind its length, one byte.
const MAX_NAME: usize = 255;

/// The URL's host, for the proxy to resolve.
pub(super) fn named(url: &CanonicalUrl) -> Result<TargetAddr<'static>, ProxyFailure> {
    let port = url.port();
    match url.host() {
        Host::V4(address) => Ok(TargetAddr::Ip((address, port).into())),
        Host::V6(address) => Ok(TargetAddr::Ip((address, port).into())),
        Host::Name(name) => domain(name, port),
    }
}

fn domain(name: &str, port: u16) -> Result<TargetAddr<'static>, ProxyFailure> {
    if name.len() > MAX_NAME {
        return Err(ProxyFailure::NameTooLong(name.len()));
    }
    Ok(TargetAddr::Domain(name.to_owned().into(), port))
}

/// Asks the proxy to connect to `target`.
pub(super) async fn connect(
    stream: BoxedStream,
    target: TargetAddr<'static>,
    login: Option<&Login>,
) -> Result<BoxedStream, ProxyFailure> {
    let connected = match login {
        None => Socks5Stream::connect_with_socket(stream, target).await,
        Some(Login { user, password }) => {
            let (user, password) = (user.expose_secret(), password.expose_secret());
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
        }
    };
    connected.map(Socks5Stream::into_inner).map_err(failure)
}

fn failure(error: Error) -> ProxyFailure {
    match error {
        Error::Io(error) => ProxyFailure::Stream(Arc::new(error)),
        Error::NoAcceptableAuthMethods
        | Error::PasswordAuthFailure(_)
        | Error::AuthorizationRequired => ProxyFailure::Unauthorized(None),
        Error::ConnectionNotAllowedByRuleset | Error::CommandNotSupported => {
            ProxyFailure::Forbidden(None)
        }
        Error::GeneralSocksServerFailure => ProxyFailure::BadGateway(None),
        Error::NetworkUnreachable => ProxyFailure::Target(TargetFailure::NetworkUnreachable),
        Error::HostUnreachable => ProxyFailure::Target(TargetFailure::HostUnreachable),
        Error::ConnectionRefused => ProxyFailure::Target(TargetFailure::ConnectionRefused),
        Error::TtlExpired => ProxyFailure::Target(TargetFailure::TtlExpired),
        Error::AddressTypeNotSupported => {
            ProxyFailure::Target(TargetFailure::AddressTypeNotSupported)
        }
        _ => ProxyFailure::WrongProtocol("SOCKS5"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CVE-2023-38545: a name that does not fit is not to be cut, and not to be resolved here.
    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        assert!(domain(&"a".repeat(255), 1).is_ok());
        for len in [256, 300, 65_536] {
            let refused = domain(&"a".repeat(len), 1);
            assert!(matches!(refused, Err(ProxyFailure::NameTooLong(told)) if told == len));
        }
    }
}
