/// A peer's bytes for an error message: control characters escaped, cut to 64 characters.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(64).flat_map(char::escape_debug).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_cuts() {
        assert_eq!(excerpt(b"chat.v2"), "chat.v2");
        assert_eq!(excerpt(b"a\r\nX: 1\x1B["), r"a\r\nX: 1\u{1b}[");
        assert_eq!(excerpt(b"\xFF"), "\u{FFFD}");
        assert_eq!(excerpt(&[b'x'; 65]), "x".repeat(64) + "…");
    }
}
