//! HTTP `CONNECT` (RFC 9110 §9.3.6).

use std::{io, sync::Arc};

use httparse::{EMPTY_HEADER, Response, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    lifecycle::ProxyFailure, policy::CanonicalUrl, spec::Login, transport::dialler::BoxedStream,
};

/// Bytes of the answer's head that are read before giving up, as of the opening handshake.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 96;

/// Asks the proxy to connect to the URL's host and port.
pub(super) async fn connect(
    mut stream: BoxedStream,
    url: &CanonicalUrl,
    login: Option<&Login>,
) -> Result<BoxedStream, ProxyFailure> {
    let authority = format!("{}:{}", url.host(), url.port());
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    // A login that cannot be sent was refused when it was set.
    if let Some(basic) = login.and_then(|login| login.basic().ok()) {
        request.push_str("Proxy-Authorization: ");
        request.push_str(&basic);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let head = read_head(&mut stream).await?;
    match status(&head)? {
        200..=299 => Ok(stream),
        code @ (401 | 407) => Err(ProxyFailure::Unauthorized(Some(code))),
        code @ 500..=599 => Err(ProxyFailure::BadGateway(Some(code))),
        code => Err(ProxyFailure::Forbidden(Some(code))),
    }
}

/// The answer's head. What would be a redirect or an interim answer is an answer like any other: a
/// proxy has no reason for either.
async fn read_head(stream: &mut BoxedStream) -> Result<Vec<u8>, ProxyFailure> {
    let mut head = Vec::with_capacity(256);
    loop {
        if head.len() >= MAX_HEAD {
            return Err(ProxyFailure::HeadTooLarge { limit: MAX_HEAD });
        }
        let searched = head.len().saturating_sub(3);
        let room = (MAX_HEAD - head.len()) as u64;
        let read = (&mut *stream).take(room).read_buf(&mut head).await.map_err(broken)?;
        if read == 0 {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
        if !begins_as_http(&head) {
            return Err(ProxyFailure::WrongProtocol("HTTP"));
        }
        let tail = head.get(searched..).unwrap_or_default();
        if let Some(at) = tail.windows(4).position(|window| window == b"\r\n\r\n") {
            let is_refusal = !matches!(status(&head), Ok(200..=299));
            // The body of a refusal may follow; behind a tunnel's head, nobody may speak yet.
            if is_refusal || searched + at + 4 == head.len() {
                return Ok(head);
            }
            return Err(ProxyFailure::SpokeFirst);
        }
    }
}

fn begins_as_http(bytes: &[u8]) -> bool {
    let expected = b"HTTP/1.";
    bytes.iter().zip(expected).all(|(byte, expected)| byte == expected)
}

fn status(head: &[u8]) -> Result<u16, ProxyFailure> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    match response.parse(head) {
        Ok(Status::Complete(_)) => response.code.ok_or(ProxyFailure::WrongProtocol("HTTP")),
        Err(httparse::Error::TooManyHeaders) => Err(ProxyFailure::HeadTooLarge { limit: MAX_HEAD }),
        _ => Err(ProxyFailure::WrongProtocol("HTTP")),
    }
}

fn broken(error: io::Error) -> ProxyFailure {
    ProxyFailure::Stream(Arc::new(error))
}
