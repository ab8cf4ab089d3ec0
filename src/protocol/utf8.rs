/// A text that arrives in pieces, checked as it comes.
///
/// Pieces may be cut anywhere, also inside a character. What is certain goes into the text at once;
/// at most three bytes of an unfinished character wait. Bad input fails with the first byte that no
/// continuation can mend (`F4 90` fails, although the character is four bytes long), as RFC 6455
/// §8.1 and Autobahn 6.4 want it.
#[derive(Debug, Default)]
pub struct Utf8Text {
    text: String,
    unfinished: [u8; 4],
    unfinished_len: usize,
}

impl Utf8Text {
    /// Appends a piece.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] as soon as the bytes so far cannot be the beginning of a text. The value is
    /// of no use then.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.unfinished_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            self.push_byte(byte)?;
            piece = rest;
        }
        let (whole, cut) = piece.split_at(piece.len() - unfinished_suffix(piece));
        self.text.push_str(simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)?);
        cut.iter().try_for_each(|&byte| self.push_byte(byte))
    }

    /// The text, if it does not end inside a character.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if it does.
    pub fn finish(self) -> Result<String, InvalidUtf8> {
        if self.unfinished_len == 0 { Ok(self.text) } else { Err(InvalidUtf8) }
    }

    /// How many bytes are held, an unfinished character's included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.text.len() + self.unfinished_len
    }

    /// Whether no byte came yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the text can grow to without moving.
    pub(super) const fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Makes the text's capacity `capacity` or a little more.
    pub(super) fn grow_to(&mut self, capacity: usize) {
        self.text.reserve_exact(capacity.saturating_sub(self.text.len()));
    }

    /// Adds a byte to the unfinished character, and the character to the text once it is whole.
    fn push_byte(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let slot = self.unfinished.get_mut(self.unfinished_len).ok_or(InvalidUtf8)?;
        *slot = byte;
        self.unfinished_len += 1;
        let bytes = self.unfinished.get(..self.unfinished_len).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(character) => {
                self.text.push_str(character);
                self.unfinished_len = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(InvalidUtf8),
        }
    }
}

/// The bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8")]
pub struct InvalidUtf8;

/// How many bytes at the end of `bytes` start a character that more bytes could finish.
///
/// Looks at lengths only: the bytes it names may still be wrong.
fn unfinished_suffix(bytes: &[u8]) -> usize {
    let is_continuation = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let last_three = bytes.iter().rev().zip(1..=3);
    match last_three.map(|(&byte, len)| (byte, len)).find(|&(byte, _)| !is_continuation(byte)) {
        Some(
            (0b1100_0000..=0b1101_1111, len @ ..2)
            | (0b1110_0000..=0b1110_1111, len @ ..3)
            | (0b1111_0000.., len),
        ) => len,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the bytes one by one; says the text, or after how many bytes it failed (one more than
    /// all: at the end).
    fn one_by_one(bytes: &[u8]) -> Result<String, usize> {
        let mut text = Utf8Text::default();
        for (i, byte) in bytes.iter().enumerate() {
            text.push(&[*byte]).map_err(|_| i + 1)?;
            assert_eq!(text.len(), i + 1);
        }
        text.finish().map_err(|_| bytes.len() + 1)
    }

    #[test]
    fn fails_with_the_byte_that_decides() {
        let cases: [(&[u8], usize); 14] = [
            (b"\xCE\xBA\xE1\xBD\xB9\xF4\x90\x80\x80", 7), // Autobahn 6.4: past U+10FFFF
            (b"\xCE\xBA\xED\xA0\x80", 4),                 // 6.3: a surrogate
            (b"\xC0\xAF", 1),                             // 6.17: overlong forms
            (b"\xE0\x80\xAF", 2),
            (b"\xF0\x80\x80\xAF", 2),
            (b"\xF5\x80", 1), // 6.8: five bytes and more
            (b"\xFF", 1),
            (b"a\x80", 2), // 6.12: a lone continuation byte
            (b"\xC3 ", 2), // 6.13: a lone lead byte
            (b"\xE2\x82 ", 3),
            (b"\xC3\xC3\xA9", 2),
            (b"ab\xE2\x82", 5), // 6.6: cut at the end
            (b"\xF0\x9F\x98", 4),
            (b"\xC3", 2),
        ];
        for (bytes, at) in cases {
            assert_eq!(one_by_one(bytes), Err(at), "{bytes:x?}");
        }
    }

    #[test]
    fn it_is_empty_until_the_first_byte() {
        let mut text = Utf8Text::default();
        assert!(text.is_empty());
        text.push(b"\xC3").unwrap();
        assert!(!text.is_empty(), "half a character is something");
    }

    #[test]
    fn every_character_passes_byte_by_byte() {
        let all: String = ('\0'..=char::MAX).step_by(7).collect();
        assert_eq!(one_by_one(all.as_bytes()).as_deref(), Ok(&*all));
    }

    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            4 => "[a-z]{0,70}".prop_map(String::into_bytes),
            1 => prop::collection::vec(0x80..=0xFF_u8, 1..3),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_verdict_of_the_standard_library(
            bytes in nearly_text(),
            cuts: [prop::sample::Index; 4],
        ) {
            let mut cuts = cuts.map(|cut| cut.index(bytes.len() + 1));
            cuts.sort_unstable();
            let mut text = Utf8Text::default();
            let mut fed = 0;
            let mut verdict = Ok(());
            for end in cuts.into_iter().chain([bytes.len()]) {
                verdict = text.push(&bytes[fed..end]);
                fed = end;
                let so_far = std::str::from_utf8(&bytes[..fed]);
                let hopeless = so_far.is_err_and(|error| error.error_len().is_some());
                prop_assert_eq!(verdict.is_err(), hopeless);
                if hopeless {
                    break;
                }
            }
            let result = verdict.and_then(|()| text.finish());
            prop_assert_eq!(result.ok(), String::from_utf8(bytes).ok());
        }
    }
}
