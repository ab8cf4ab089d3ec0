/// Whether `text` is a token of RFC 9110 §5.6.2: not empty, and only ASCII letters, digits and
/// ``!#$%&'*+-.^_`|~``.
///
/// Subprotocol names must be tokens (RFC 6455 §4.1).
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a comma-separated list has `token` as one of its elements, ignoring case.
pub(super) fn list_has(list: &[u8], token: &str) -> bool {
    elements(list).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The elements of a comma-separated list that are not empty (RFC 9110 §5.6.1).
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        for token in ["a", "graphql-transport-ws", "v12.stomp", "!#$%&'*+-.^_`|~09azAZ"] {
            assert!(is_token(token), "{token:?}");
        }
        for other in [
            "", " ", "a b", "a,b", "a;b", "a\n", "a\0", "é", "\"a\"", "a/b", "a=b", "(a)", "{a}",
            "a@b", "\x7F",
        ] {
            assert!(!is_token(other), "{other:?}");
        }
    }

    #[test]
    fn lists() {
        for list in ["websocket", "WebSocket", "h2c, websocket", ",\twebsocket ,"] {
            assert!(list_has(list.as_bytes(), "websocket"), "{list:?}");
        }
        for list in ["", "xwebsockety", "web socket", "websocket/13", "websocket;q=1"] {
            assert!(!list_has(list.as_bytes(), "websocket"), "{list:?}");
        }
        assert!(elements(b" a , ,b").eq([b"a", b"b"]));
    }
}
