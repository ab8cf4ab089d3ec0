//! HTTP `CONNECT` (RFC 9110 §9.3.6).

use std::{io, sync::Arc};

use crate::{
    lifecycle::ProxyFailure,
    policy::CanonicalUrl,
    spec::Login,
    transport::{
        dialler::BoxedStream,
        http::{ExchangeError, MAX_HEAD, Request, Unwritable, exchange},
    },
};

/// Asks the proxy to connect to the URL's host and port.
pub(super) async fn connect(
    mut stream: BoxedStream,
    url: &CanonicalUrl,
    login: Option<&Login>,
) -> Result<BoxedStream, ProxyFailure> {
    let request = request(url, login).map_err(|error| {
        ProxyFailure::Stream(Arc::new(io::Error::new(io::ErrorKind::InvalidInput, error)))
    })?;
    // What would be a redirect or an interim answer is an answer like any other: a proxy has no reason for either.
    let answer = exchange(&mut stream, request, |head| Some(head.status));
    let (status, rest) = answer.await.map_err(|error| match error {
        ExchangeError::Io(error) => ProxyFailure::Stream(Arc::new(error)),
        ExchangeError::NotHttp(_) => ProxyFailure::WrongProtocol("HTTP"),
        ExchangeError::HeadTooLarge => ProxyFailure::HeadTooLarge { limit: MAX_HEAD },
    })?;
    match status {
        // The body of a refusal may follow; behind a tunnel's head, nobody may speak yet.
        200..=299 if !rest.is_empty() => Err(ProxyFailure::SpokeFirst),
        200..=299 => Ok(stream),
        code @ (401 | 407) => Err(ProxyFailure::Unauthorized(Some(code))),
        code @ 500..=599 => Err(ProxyFailure::BadGateway(Some(code))),
        code => Err(ProxyFailure::Forbidden(Some(code))),
    }
}

fn request(url: &CanonicalUrl, login: Option<&Login>) -> Result<Request, Unwritable> {
    let authority = format!("{}:{}", url.host(), url.port());
    let mut request = Request::new("CONNECT", &authority)?;
    request.header("Host", &authority)?;
    // A login that cannot be sent was refused when it was set.
    if let Some(basic) = login.and_then(|login| login.basic().ok()) {
        request.header("Proxy-Authorization", &basic)?;
    }
    Ok(request)
}
