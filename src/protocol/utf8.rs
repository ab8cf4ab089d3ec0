use bytes::BufMut;

/// A text that arrives in pieces, checked as it comes.
///
/// Pieces may be cut anywhere, also inside a character: at most three bytes of an unfinished one wait
/// for the next piece to be judged. Bad input fails with the first byte that no continuation can mend
/// (`F4 90` fails, although the character is four bytes long), as RFC 6455 §8.1 and Autobahn 6.4 want
/// it.
#[derive(Debug, Default)]
pub struct Utf8Text {
    bytes: Vec<u8>,
    /// So many of the bytes are UTF-8, which was seen. [`finish`](Self::finish) relies on it: only
    /// [`check`](Self::check) raises it, and nothing here changes bytes that were checked.
    checked: usize,
}

impl Utf8Text {
    /// Appends a piece.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] as soon as the bytes so far cannot be the beginning of a text. The value is
    /// of no use then.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        self.bytes.extend_from_slice(piece);
        self.check()
    }

    /// The text, if it does not end inside a character.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if it does.
    #[expect(
        unsafe_code,
        reason = "checking a text of 1 MiB once more takes a quarter of its whole time"
    )]
    pub fn finish(self) -> Result<String, InvalidUtf8> {
        if self.checked < self.bytes.len() {
            return Err(InvalidUtf8);
        }
        debug_assert!(std::str::from_utf8(&self.bytes).is_ok(), "what was checked has changed");
        // SAFETY: all bytes were checked, in order, by `check`, and each time up to the end of a
        // character; text behind text is text.
        Ok(unsafe { String::from_utf8_unchecked(self.bytes) })
    }

    /// How many bytes are held, an unfinished character's included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no byte came yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A text that begins in this memory, with the bytes that are there.
    pub(super) const fn begin_in(bytes: Vec<u8>) -> Self {
        Self { bytes, checked: 0 }
    }

    /// How many bytes the text can grow to without moving.
    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes the text's capacity `capacity` or a little more.
    pub(super) fn grow_to(&mut self, capacity: usize) {
        self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
    }

    /// Room for the next `most` bytes, which can only be appended there. They are judged by the next
    /// [`push`](Self::push).
    pub(super) fn room(&mut self, most: usize) -> impl BufMut {
        (&mut self.bytes).limit(most)
    }

    /// Judges what was not judged yet.
    fn check(&mut self) -> Result<(), InvalidUtf8> {
        let new = self.bytes.get(self.checked..).unwrap_or_default();
        let (whole, cut) = new.split_at(new.len() - unfinished_suffix(new));
        simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)?;
        self.checked += whole.len();
        match std::str::from_utf8(cut) {
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            _ => Ok(()),
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

    /// [`Utf8Text::finish`] does not check again: what was not checked must not be in it.
    #[test]
    fn what_nobody_has_judged_is_no_text() {
        let mut text = Utf8Text::default();
        text.push(b"ab").unwrap();
        text.room(2).put_slice(b"\xFF\xFF");
        assert_eq!(text.finish(), Err(InvalidUtf8));
        assert_eq!(Utf8Text::begin_in(b"\xFF".to_vec()).finish(), Err(InvalidUtf8));
        let mut text = Utf8Text::begin_in(b"\xFF".to_vec());
        assert_eq!(text.push(b"ab"), Err(InvalidUtf8));
        assert_eq!(text.finish(), Err(InvalidUtf8), "also after it has failed");
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
            in_place: [bool; 5],
        ) {
            let mut cuts = cuts.map(|cut| cut.index(bytes.len() + 1));
            cuts.sort_unstable();
            let mut text = Utf8Text::default();
            let mut fed = 0;
            let mut verdict = Ok(());
            for (end, in_place) in cuts.into_iter().chain([bytes.len()]).zip(in_place) {
                let piece = &bytes[fed..end];
                verdict = if in_place {
                    text.room(piece.len()).put_slice(piece);
                    text.push(&[])
                } else {
                    text.push(piece)
                };
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
