use std::time::Duration;

use super::{PerMessageDeflate, WindowBits};
use crate::protocol::{
    HandshakeError,
    excerpt::excerpt,
    token::{elements, is_token},
};

/// What a client and a server agreed on (RFC 7692 §7.1): what each end may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAgreement {
    /// Whether the server may refer to its earlier messages.
    pub server_context_takeover: bool,
    /// Whether we do.
    pub client_context_takeover: bool,
    /// The server's window as a power of two, 8 to 15.
    pub server_window_bits: u8,
    /// Ours, 8 to 15.
    pub client_window_bits: u8,
    pub(super) threshold: usize,
    pub(super) level: u8,
    pub(super) release_after: Duration,
}

impl PerMessageDeflate {
    /// Judges the server's answer: the values of all its `Sec-WebSocket-Extensions` headers. `None`
    /// where it agreed to no extension.
    ///
    /// # Errors
    ///
    /// When it names an extension that was not offered, or this one twice, or answers with
    /// parameters that do not fit the offer: the handshake has failed then (RFC 7692 §5.1, §7.1).
    pub fn judge<'a>(
        &self,
        values: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<DeflateAgreement>, HandshakeError> {
        let mut extensions = values.flat_map(elements);
        let Some(first) = extensions.next() else { return Ok(None) };
        let (name, parameters) = split_once(first, b';');
        if name != NAME {
            return Err(HandshakeError::UnofferedExtension(excerpt(name)));
        }
        if let Some(second) = extensions.next() {
            return Err(match split_once(second, b';') {
                (NAME, _) => wrong(NAME, "it was accepted twice"),
                (other, _) => HandshakeError::UnofferedExtension(excerpt(other)),
            });
        }
        let answer = Answer::parse(parameters)?;
        self.settle(&answer).map(Some)
    }

    fn settle(&self, answer: &Answer) -> Result<DeflateAgreement, HandshakeError> {
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(wrong(SERVER_NO_CONTEXT_TAKEOVER, "it was asked for and is missing"));
        }
        let server_window_bits = match (self.server_max_window_bits, answer.server_max_window_bits)
        {
            (Some(_), None) => {
                return Err(wrong(SERVER_MAX_WINDOW_BITS, "it was asked for and is missing"));
            }
            (Some(asked), Some(bits)) if bits > asked.get() => {
                return Err(wrong(SERVER_MAX_WINDOW_BITS, "it is more than was asked for"));
            }
            (_, Some(bits)) => bits,
            (None, None) => WindowBits::MAX.get(),
        };
        let offered = self.client_max_window_bits.get();
        let client_window_bits = match answer.client_max_window_bits {
            Some(bits) if bits > offered => {
                return Err(wrong(CLIENT_MAX_WINDOW_BITS, "it is more than was offered"));
            }
            Some(bits) => bits,
            None => offered,
        };
        Ok(DeflateAgreement {
            server_context_takeover: !answer.server_no_context_takeover,
            client_context_takeover: !(self.client_no_context_takeover
                || answer.client_no_context_takeover),
            server_window_bits,
            client_window_bits,
            threshold: self.threshold,
            level: self.level,
            release_after: self.release_after,
        })
    }
}

impl DeflateAgreement {
    /// How long an unused compressor is kept.
    #[must_use]
    pub const fn release_after(&self) -> Duration {
        self.release_after
    }
}

/// The parameters of a server's answer.
#[derive(Default)]
struct Answer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl Answer {
    fn parse(mut parameters: Option<&[u8]>) -> Result<Self, HandshakeError> {
        let mut answer = Self::default();
        while let Some(rest) = parameters {
            let parameter;
            (parameter, parameters) = split_once(rest, b';');
            let (name, value) = split_once(parameter, b'=');
            let is_new = match name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    flag(name, value)?;
                    !std::mem::replace(&mut answer.server_no_context_takeover, true)
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    flag(name, value)?;
                    !std::mem::replace(&mut answer.client_no_context_takeover, true)
                }
                SERVER_MAX_WINDOW_BITS => {
                    answer.server_max_window_bits.replace(bits(name, value)?).is_none()
                }
                CLIENT_MAX_WINDOW_BITS => {
                    answer.client_max_window_bits.replace(bits(name, value)?).is_none()
                }
                _ => return Err(wrong(name, "RFC 7692 does not have it")),
            };
            if !is_new {
                return Err(wrong(name, "it comes twice"));
            }
        }
        Ok(answer)
    }
}

fn flag(name: &[u8], value: Option<&[u8]>) -> Result<(), HandshakeError> {
    if value.is_some() { Err(wrong(name, "it takes no value")) } else { Ok(()) }
}

/// A number from 8 to 15 without leading zeros, as a token or a quoted one (RFC 6455 §9.1).
fn bits(name: &[u8], value: Option<&[u8]>) -> Result<u8, HandshakeError> {
    let value = value.ok_or_else(|| wrong(name, "it lacks its value"))?;
    let value =
        value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    match value {
        [digit @ (b'8' | b'9')] => Ok(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Ok(10 + digit - b'0'),
        _ => Err(wrong(name, "its value is not a number from 8 to 15")),
    }
}

fn wrong(parameter: &[u8], problem: &'static str) -> HandshakeError {
    let is_shown = std::str::from_utf8(parameter).is_ok_and(is_token);
    let parameter =
        if is_shown { excerpt(parameter) } else { format!("\"{}\"", excerpt(parameter)) };
    HandshakeError::DeflateParameter { parameter, problem }
}

/// Both sides of the first `separator`, without the white space around it; the second is there only
/// if the separator is.
fn split_once(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut parts = bytes.splitn(2, |&byte| byte == separator).map(<[u8]>::trim_ascii);
    (parts.next().unwrap_or_default(), parts.next())
}

const NAME: &[u8] = b"permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &[u8] = b"server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &[u8] = b"client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &[u8] = b"server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &[u8] = b"client_max_window_bits";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(
        offer: PerMessageDeflate,
        values: &[&str],
    ) -> Result<Option<DeflateAgreement>, HandshakeError> {
        offer.judge(values.iter().map(|value| value.as_bytes()))
    }

    /// (server takeover, client takeover, server bits, client bits)
    fn agreed(offer: PerMessageDeflate, value: &str) -> (bool, bool, u8, u8) {
        let agreement = judge(offer, &[value]).unwrap().unwrap();
        (
            agreement.server_context_takeover,
            agreement.client_context_takeover,
            agreement.server_window_bits,
            agreement.client_window_bits,
        )
    }

    fn bits(bits: u8) -> WindowBits {
        WindowBits::new(bits).unwrap()
    }

    #[test]
    fn what_is_agreed() {
        let plain = PerMessageDeflate::default();
        for (offer, value, expected) in [
            (plain, "permessage-deflate", (true, true, 15, 15)),
            (plain, " permessage-deflate ,", (true, true, 15, 15)),
            (plain, "permessage-deflate; server_no_context_takeover", (false, true, 15, 15)),
            (plain, "permessage-deflate ;client_no_context_takeover", (true, false, 15, 15)),
            (plain, "permessage-deflate;server_max_window_bits=8", (true, true, 8, 15)),
            (plain, "permessage-deflate; client_max_window_bits = 10", (true, true, 15, 10)),
            (plain, "permessage-deflate; client_max_window_bits=\"8\"", (true, true, 15, 8)),
            // We keep what we said of ourselves, whether the server repeats it or not.
            (plain.client_no_context_takeover(), "permessage-deflate", (true, false, 15, 15)),
            (plain.client_max_window_bits(bits(10)), "permessage-deflate", (true, true, 15, 10)),
            (
                plain.client_max_window_bits(bits(10)),
                "permessage-deflate; client_max_window_bits=9",
                (true, true, 15, 9),
            ),
            (
                plain.client_max_window_bits(bits(10)),
                "permessage-deflate; client_max_window_bits=10",
                (true, true, 15, 10),
            ),
            (
                plain.server_max_window_bits(bits(12)).server_no_context_takeover(),
                "permessage-deflate; server_max_window_bits=12; server_no_context_takeover",
                (false, true, 12, 15),
            ),
        ] {
            assert_eq!(agreed(offer, value), expected, "{value}");
        }
        assert_eq!(judge(plain, &[]), Ok(None));
        assert_eq!(judge(plain, &["", " ,"]), Ok(None));
    }

    #[test]
    fn odd_answers_fail_the_handshake() {
        let plain = PerMessageDeflate::default();
        for (offer, parameter, values) in [
            (plain, "foo", &["permessage-deflate; foo"][..]),
            (plain, "\"\"", &["permessage-deflate;"]),
            (plain, "\"a b\"", &["permessage-deflate; a b"]),
            (
                plain,
                "Server_No_Context_Takeover",
                &["permessage-deflate; Server_No_Context_Takeover"],
            ),
            (
                plain,
                "server_no_context_takeover",
                &["permessage-deflate; server_no_context_takeover=1"],
            ),
            (
                plain,
                "server_no_context_takeover",
                &["permessage-deflate; server_no_context_takeover="],
            ),
            (
                plain,
                "client_no_context_takeover",
                &["permessage-deflate; client_no_context_takeover; client_no_context_takeover"],
            ),
            (
                plain,
                "server_no_context_takeover",
                &["permessage-deflate; server_no_context_takeover; server_no_context_takeover"],
            ),
            (
                plain,
                "server_max_window_bits",
                &["permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"],
            ),
            (
                plain,
                "client_max_window_bits",
                &["permessage-deflate; client_max_window_bits=9; client_max_window_bits=9"],
            ),
            (
                plain,
                "client_no_context_takeover",
                &["permessage-deflate; client_no_context_takeover=x"],
            ),
            (plain, "client_max_window_bits", &["permessage-deflate; client_max_window_bits"]),
            (plain, "server_max_window_bits", &["permessage-deflate; server_max_window_bits"]),
            (
                plain.server_no_context_takeover(),
                "server_no_context_takeover",
                &["permessage-deflate"],
            ),
            (
                plain.server_max_window_bits(bits(10)),
                "server_max_window_bits",
                &["permessage-deflate"],
            ),
            (
                plain.server_max_window_bits(bits(10)),
                "server_max_window_bits",
                &["permessage-deflate; server_max_window_bits=11"],
            ),
            (
                plain.client_max_window_bits(bits(10)),
                "client_max_window_bits",
                &["permessage-deflate; client_max_window_bits=11"],
            ),
            (plain, "permessage-deflate", &["permessage-deflate, permessage-deflate"]),
            (plain, "permessage-deflate", &["permessage-deflate", "permessage-deflate; x"]),
        ] {
            match judge(offer, values) {
                Err(HandshakeError::DeflateParameter { parameter: named, .. }) => {
                    assert_eq!(named, parameter, "{values:?}");
                }
                other => panic!("{values:?}: {other:?}"),
            }
        }
        for value in [
            "", "7", "16", "08", "015", "+9", "-9", "9.0", "0x9", "9 9", "\"9", "9\"", "'9'",
            "256", "٩",
        ] {
            for name in ["server_max_window_bits", "client_max_window_bits"] {
                let answer = format!("permessage-deflate; {name}={value}");
                let error = judge(plain, &[&answer]).unwrap_err();
                assert!(matches!(error, HandshakeError::DeflateParameter { .. }), "{answer}");
            }
        }
        for (values, name) in [
            (&["permessage-bzip2"][..], "permessage-bzip2"),
            (&["Permessage-Deflate"], "Permessage-Deflate"),
            (&["permessage-deflate", "x-other; a=b"], "x-other"),
            (&["x-other, permessage-deflate"], "x-other"),
            (&["permessage-deflate=1"], "permessage-deflate=1"),
        ] {
            let error = HandshakeError::UnofferedExtension(name.into());
            assert_eq!(judge(plain, values), Err(error), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics_and_what_is_agreed_is_within_the_offer(
            tail in "[ -~]{0,60}",
            server in 9..=15_u8,
            client in 9..=15_u8,
        ) {
            let offer = PerMessageDeflate::default()
                .server_max_window_bits(bits(server))
                .client_max_window_bits(bits(client));
            for answer in [tail.clone(), format!("permessage-deflate; server_max_window_bits=9;{tail}")] {
                if let Ok(Some(agreed)) = judge(offer, &[&answer]) {
                    prop_assert!((8..=server).contains(&agreed.server_window_bits));
                    prop_assert!((8..=client).contains(&agreed.client_window_bits));
                }
            }
        }
    }
}
