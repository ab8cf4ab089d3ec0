use std::time::Duration;

use super::{ResponseHead, RetryAfter, Subprotocol, excerpt::excerpt};

/// Why an opening handshake failed. Texts of the server in it are escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The answer is not HTTP at all.
    #[error("answer is not HTTP ({}): check host, port and scheme", excerpt(.0.as_bytes()))]
    NotHttp(String),
    /// The answer's head is longer than is read.
    #[error(
        "answer's head is longer than {limit} bytes: the server sends too many or too long headers"
    )]
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Too many interim answers (1xx) came before the final one.
    #[error("more than {limit} interim answers (1xx) without a final one")]
    TooManyInformational {
        /// The limit in answers.
        limit: usize,
    },
    /// The answer is not of HTTP/1.1.
    #[error("answer is not of HTTP/1.1: the server or a proxy before it does not support upgrades")]
    HttpVersion,
    /// The server refused with a status other than 101.
    #[error("server answered {code} instead of 101{}", advice(*.code, *.retry_after))]
    Status {
        /// The status code.
        code: u16,
        /// When to come back, if the server said so.
        retry_after: Option<RetryAfter>,
        /// Whether there is a `Location` to go to; where is kept out of errors, for it may hold
        /// secrets.
        has_location: bool,
        /// Whether there is a `WWW-Authenticate` challenge; what it says is kept out of errors
        /// likewise.
        has_challenge: bool,
    },
    /// A 101 whose `Upgrade` or `Connection` header does not say that the upgrade took place.
    #[error(
        "answer 101 lacks `{header}: {token}`: no WebSocket here, or a proxy dropped the header"
    )]
    NotUpgraded {
        /// The header's name.
        header: &'static str,
        /// The token it lacks.
        token: &'static str,
    },
    /// There is no `Sec-WebSocket-Accept`.
    #[error("answer lacks Sec-WebSocket-Accept: the server does not speak WebSocket")]
    MissingAccept,
    /// `Sec-WebSocket-Accept` does not answer our key.
    #[error("Sec-WebSocket-Accept does not match the key: a stale or forged answer")]
    WrongAccept,
    /// A header that may come once came more than once.
    #[error("answer has more than one {header}: the server must send one")]
    RepeatedHeader {
        /// The header's name.
        header: &'static str,
    },
    /// The server picked an extension that was not offered.
    #[error("server picked the extension \"{0}\", which was not offered")]
    UnofferedExtension(String),
    /// The server accepted permessage-deflate with parameters that do not fit the offer (RFC 7692
    /// §7.1).
    #[error("server's answer to permessage-deflate has a wrong {parameter}: {problem}")]
    DeflateParameter {
        /// Its name.
        parameter: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server picked a subprotocol that was not offered. Its text tells the length only, for it may
    /// be a token.
    #[error(
        "server picked a subprotocol of {} bytes that was not offered: offer one that it speaks",
        .0.len()
    )]
    UnofferedSubprotocol(Subprotocol),
    /// The server picked no subprotocol, and one is required.
    #[error("server picked no subprotocol: offer one that it speaks, or do not require one")]
    NoSubprotocol,
    /// A 101 announces a body, so it is not certain where frames begin.
    #[error("answer 101 has a {header} header: where the frames begin is ambiguous")]
    AnnouncesBody {
        /// The header's name.
        header: &'static str,
    },
}

impl HandshakeError {
    /// The error for a final status other than 101.
    pub(super) fn refused(head: &ResponseHead<'_>) -> Self {
        let retry_after = head
            .values("Retry-After")
            .find_map(|value| RetryAfter::parse(std::str::from_utf8(value).ok()?));
        Self::Status {
            code: head.status,
            retry_after,
            has_location: head.values("Location").next().is_some(),
            has_challenge: head.values("WWW-Authenticate").next().is_some(),
        }
    }
}

/// What to do about a status code, as the end of a sentence.
fn advice(code: u16, retry_after: Option<RetryAfter>) -> String {
    match (code, retry_after) {
        (_, Some(RetryAfter::Delay(Duration::ZERO))) => ": retry at once".into(),
        (_, Some(RetryAfter::Delay(delay))) => format!(": retry after {} s", delay.as_secs()),
        (_, Some(RetryAfter::At(_))) => ": retry after the time it named".into(),
        (200..=299, None) => ": no WebSocket is served at this URL".into(),
        (300..=399, None) => ": the server redirects, use the URL it moved to".into(),
        (401 | 403 | 407, None) => ": check the credentials".into(),
        (404 | 405 | 410, None) => ": check the URL's path".into(),
        (429 | 500..=599, None) => ": retry later".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_escape_what_the_server_said() {
        let error = HandshakeError::NotHttp("SSH-2.0\r\n\x1B[31m".into());
        assert_eq!(
            error.to_string(),
            r"answer is not HTTP (SSH-2.0\r\n\u{1b}[31m): check host, port and scheme"
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let delay = |seconds| Some(RetryAfter::Delay(Duration::from_secs(seconds)));
        let cases = [
            (503, delay(30), ": retry after 30 s"),
            (503, delay(0), ": retry at once"),
            (
                503,
                Some(RetryAfter::At(std::time::SystemTime::UNIX_EPOCH)),
                ": retry after the time it named",
            ),
            (503, None, ": retry later"),
            (200, None, ": no WebSocket is served at this URL"),
            (301, None, ": the server redirects, use the URL it moved to"),
            (401, None, ": check the credentials"),
            (404, None, ": check the URL's path"),
            (999, None, ""),
        ];
        for (code, retry_after, advice) in cases {
            let error = HandshakeError::Status {
                code,
                retry_after,
                has_location: false,
                has_challenge: false,
            };
            assert_eq!(error.to_string(), format!("server answered {code} instead of 101{advice}"));
        }
    }
}
