use std::fmt;

#[cfg(feature = "deflate")]
use super::deflate::{DeflateAgreement, PerMessageDeflate};
use super::{
    HandshakeError, Key, Subprotocol,
    excerpt::excerpt,
    token::{elements, list_has},
};

/// What a client asked for in its upgrade request: the measure for the server's answer (RFC 6455
/// §4.1).
///
/// `Debug` counts the subprotocols only: some services take a token there.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    /// The key that was sent.
    pub key: &'a Key,
    /// The subprotocols that were offered, in order of preference.
    pub subprotocols: &'a [String],
    /// Whether an answer that picks no subprotocol is a failure.
    pub subprotocol_required: bool,
    /// The compression that was offered.
    #[cfg(feature = "deflate")]
    pub deflate: Option<&'a PerMessageDeflate>,
}

/// The head of the server's final answer; interim 1xx answers other than 101 are to be skipped
/// before.
///
/// `Debug` shows the names of the headers only: their values may be secret.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    /// Whether the status line says `HTTP/1.1`.
    pub http_11: bool,
    /// The status code.
    pub status: u16,
    /// Names and values as received; names may be in any case and come more than once.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// What a server agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol it picked, one of those offered.
    pub subprotocol: Option<Subprotocol>,
    /// The compression, if there is to be any.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateAgreement>,
}

impl fmt::Debug for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("subprotocols", &self.subprotocols.len())
            .field("subprotocol_required", &self.subprotocol_required)
            .finish_non_exhaustive()
    }
}

impl Offer<'_> {
    /// Judges the server's answer by RFC 6455 §4.1, steps 1 to 6 of its last list.
    ///
    /// # Errors
    ///
    /// The first of these that does not hold: the HTTP version, the status, `Upgrade`,
    /// `Connection`, `Sec-WebSocket-Accept`, no extension that was not offered, a subprotocol out of the offer, no body.
    pub fn check(&self, head: &ResponseHead<'_>) -> Result<Accepted, HandshakeError> {
        if !head.http_11 {
            return Err(HandshakeError::HttpVersion);
        }
        if head.status != 101 {
            return Err(HandshakeError::refused(head));
        }
        if !head.values("Upgrade").any(|value| list_has(value, "websocket")) {
            return Err(HandshakeError::NotUpgraded { header: "Upgrade", token: "websocket" });
        }
        if !head.values("Connection").any(|value| list_has(value, "upgrade")) {
            return Err(HandshakeError::NotUpgraded { header: "Connection", token: "upgrade" });
        }
        self.check_accept(head)?;
        #[cfg(feature = "deflate")]
        let deflate = match self.deflate {
            Some(offer) => offer.judge(head.values(EXTENSIONS))?,
            None => no_extension(head).map(|()| None)?,
        };
        #[cfg(not(feature = "deflate"))]
        no_extension(head)?;
        let subprotocol = self.check_subprotocol(head)?;
        for header in ["Content-Length", "Transfer-Encoding"] {
            if head.values(header).next().is_some() {
                return Err(HandshakeError::AnnouncesBody { header });
            }
        }
        Ok(Accepted {
            subprotocol,
            #[cfg(feature = "deflate")]
            deflate,
        })
    }

    fn check_accept(&self, head: &ResponseHead<'_>) -> Result<(), HandshakeError> {
        let mut values = head.values("Sec-WebSocket-Accept");
        let accept = values.next().ok_or(HandshakeError::MissingAccept)?;
        if values.next().is_some() {
            return Err(HandshakeError::RepeatedHeader { header: "Sec-WebSocket-Accept" });
        }
        if accept == self.key.accept().as_bytes() {
            Ok(())
        } else {
            Err(HandshakeError::WrongAccept)
        }
    }

    fn check_subprotocol(
        &self,
        head: &ResponseHead<'_>,
    ) -> Result<Option<Subprotocol>, HandshakeError> {
        let mut values = head.values("Sec-WebSocket-Protocol");
        let Some(picked) = values.next() else {
            return if self.subprotocol_required {
                Err(HandshakeError::NoSubprotocol)
            } else {
                Ok(None)
            };
        };
        if values.next().is_some() {
            return Err(HandshakeError::RepeatedHeader { header: "Sec-WebSocket-Protocol" });
        }
        match self.subprotocols.iter().find(|offered| offered.as_bytes() == picked) {
            Some(offered) => Ok(Some(offered.as_str().into())),
            None => Err(HandshakeError::UnofferedSubprotocol(excerpt(picked).into())),
        }
    }
}

/// Where none was offered.
fn no_extension(head: &ResponseHead<'_>) -> Result<(), HandshakeError> {
    match head.values(EXTENSIONS).flat_map(elements).next() {
        Some(extension) => Err(HandshakeError::UnofferedExtension(excerpt(extension))),
        None => Ok(()),
    }
}

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

impl<'a> ResponseHead<'a> {
    /// The values of all headers of this name, without the whitespace around them.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_ascii())
    }
}

impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("ResponseHead")
            .field("http_11", &self.http_11)
            .field("status", &self.status)
            .field("headers", &names)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::RetryAfter;

    type Headers<'a> = Vec<(&'a str, &'a [u8])>;

    const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn good() -> Headers<'static> {
        vec![
            ("upgrade", b"websocket"),
            ("Connection", b"Upgrade"),
            ("Sec-WebSocket-Accept", ACCEPT),
        ]
    }

    fn check_with(
        headers: &Headers<'_>,
        required: bool,
    ) -> Result<Option<Subprotocol>, HandshakeError> {
        let key = Key::from_random(*b"the sample nonce");
        let subprotocols = ["v2.chat".to_owned(), "v1.chat".to_owned()];
        let offer = Offer {
            key: &key,
            subprotocols: &subprotocols,
            subprotocol_required: required,
            #[cfg(feature = "deflate")]
            deflate: None,
        };
        offer
            .check(&ResponseHead { http_11: true, status: 101, headers })
            .map(|accepted| accepted.subprotocol)
    }

    fn check(headers: &Headers<'_>) -> Result<Option<Subprotocol>, HandshakeError> {
        check_with(headers, false)
    }

    /// The good headers with one replaced, or taken away.
    fn with(name: &str, values: &[&'static str]) -> Headers<'static> {
        let mut headers = good();
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        let name: &'static str = name.to_owned().leak();
        headers.extend(values.iter().map(|value| (name, value.as_bytes())));
        headers
    }

    #[test]
    fn upgrade_and_connection_are_lists_of_tokens() {
        let not_upgraded = |header, token| Err(HandshakeError::NotUpgraded { header, token });
        for values in
            [&["WebSocket"][..], &["h2c, websocket"], &["h2c", "websocket"], &[" websocket\t"]]
        {
            assert_eq!(check(&with("Upgrade", values)), Ok(None), "{values:?}");
        }
        for values in [&[][..], &[""], &["xwebsockety"], &["web", "socket"], &["h2c"]] {
            assert_eq!(
                check(&with("Upgrade", values)),
                not_upgraded("Upgrade", "websocket"),
                "{values:?}"
            );
        }
        for values in [&["upgrade"][..], &["keep-alive, Upgrade"], &["keep-alive", "UPGRADE"]] {
            assert_eq!(check(&with("Connection", values)), Ok(None), "{values:?}");
        }
        for values in [&[][..], &["close"], &["upgraded"], &["up grade"]] {
            assert_eq!(
                check(&with("Connection", values)),
                not_upgraded("Connection", "upgrade"),
                "{values:?}"
            );
        }
    }

    #[test]
    fn accept_comes_once_and_matches() {
        let name = "Sec-WebSocket-Accept";
        let good = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(check(&with(name, &[good])), Ok(None));
        assert_eq!(check(&with(name, &[])), Err(HandshakeError::MissingAccept));
        assert_eq!(
            check(&with(name, &[good, good])),
            Err(HandshakeError::RepeatedHeader { header: name })
        );
        for wrong in [
            "",
            "S3PPLMBITXAQ9KYGZZHZRBK+XOO=",
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
            "dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert_eq!(check(&with(name, &[wrong])), Err(HandshakeError::WrongAccept), "{wrong:?}");
        }
    }

    #[test]
    fn subprotocol_is_one_of_the_offer() {
        let name = "Sec-WebSocket-Protocol";
        assert_eq!(check(&good()), Ok(None));
        assert_eq!(check_with(&good(), true), Err(HandshakeError::NoSubprotocol));
        for picked in ["v1.chat", "v2.chat"] {
            assert_eq!(check_with(&with(name, &[picked]), true), Ok(Some(picked.into())));
        }
        for (picked, shown) in [
            ("V1.chat", "V1.chat"),
            ("v1.chat, v2.chat", "v1.chat, v2.chat"),
            ("", ""),
            ("x\n", r"x"),
        ] {
            let error = HandshakeError::UnofferedSubprotocol(shown.into());
            assert_eq!(check(&with(name, &[picked])), Err(error), "{picked:?}");
        }
        let twice = check(&with(name, &["v1.chat", "v1.chat"]));
        assert_eq!(twice, Err(HandshakeError::RepeatedHeader { header: name }));
    }

    #[test]
    fn no_extension_was_offered() {
        let name = "Sec-WebSocket-Extensions";
        assert_eq!(check(&with(name, &[" , "])), Ok(None));
        for (value, shown) in [
            (
                "permessage-deflate; server_max_window_bits=99, x",
                "permessage-deflate; server_max_window_bits=99",
            ),
            ("a\x1B[31m", r"a\u{1b}[31m"),
        ] {
            assert_eq!(
                check(&with(name, &["", value])),
                Err(HandshakeError::UnofferedExtension(shown.into()))
            );
        }
    }

    #[test]
    fn a_101_has_no_body() {
        for (header, value) in [("Content-Length", "0"), ("Transfer-Encoding", "chunked")] {
            assert_eq!(
                check(&with(header, &[value])),
                Err(HandshakeError::AnnouncesBody { header })
            );
        }
    }

    fn refusal(http_11: bool, status: u16, headers: &Headers<'_>) -> HandshakeError {
        let key = Key::from_random([0; 16]);
        let offer = Offer {
            key: &key,
            subprotocols: &[],
            subprotocol_required: false,
            #[cfg(feature = "deflate")]
            deflate: None,
        };
        offer.check(&ResponseHead { http_11, status, headers }).unwrap_err()
    }

    #[test]
    fn version_and_status_come_first() {
        assert_eq!(refusal(false, 101, &good()), HandshakeError::HttpVersion);
        for code in [100, 200, 302, 401, 426, 503, 999] {
            let error = HandshakeError::Status {
                code,
                retry_after: None,
                has_location: false,
                has_challenge: false,
            };
            assert_eq!(refusal(true, code, &good()), error);
            assert!(
                error.to_string().starts_with(&format!("server answered {code} instead of 101"))
            );
        }
    }

    #[test]
    fn a_refusal_tells_when_to_return_but_no_secrets() {
        let headers: Headers<'_> = vec![
            ("retry-after", b"soon"),
            ("Retry-After", b"30"),
            ("Location", b"wss://example.com/?token=canary"),
            ("WWW-Authenticate", b"Bearer realm=\"canary\""),
        ];
        let error = refusal(true, 503, &headers);
        let retry_after = Some(RetryAfter::Delay(Duration::from_secs(30)));
        assert_eq!(
            error,
            HandshakeError::Status {
                code: 503,
                retry_after,
                has_location: true,
                has_challenge: true
            }
        );
        assert_eq!(error.to_string(), "server answered 503 instead of 101: retry after 30 s");
        let head = ResponseHead { http_11: true, status: 503, headers: &headers };
        let shown = format!("{error:?} {head:?}");
        assert!(shown.contains("WWW-Authenticate") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn an_offer_shows_how_many_subprotocols_and_none_of_them() {
        let offer = Offer {
            key: &Key::from_random([0; 16]),
            subprotocols: &["canary".to_owned()],
            subprotocol_required: true,
            #[cfg(feature = "deflate")]
            deflate: None,
        };
        let shown = format!("{offer:?}");
        assert_eq!(shown, "Offer { subprotocols: 1, subprotocol_required: true, .. }");
    }
}
