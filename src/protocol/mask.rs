/// Masks `bytes` with `key`, or unmasks them: the two are the same (RFC 6455 §5.3).
///
/// Works on blocks of 32 bytes, which the compiler turns into vector instructions, and then on words.
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mask = |word: &mut [u8; 8]| *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    let (blocks, rest) = bytes.as_chunks_mut::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        words.iter_mut().for_each(mask);
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    words.iter_mut().for_each(mask);
    // A word holds the key exactly twice, so the rest starts with the key's first byte again.
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn byte_by_byte(bytes: &mut [u8], key: [u8; 4]) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
    }

    #[test]
    fn example_of_rfc_6455_section_5_7() {
        let mut hello = *b"Hello";
        apply_mask(&mut hello, [0x37, 0xFA, 0x21, 0x3D]);
        assert_eq!(hello, [0x7F, 0x9F, 0x4D, 0x51, 0x58]);
    }

    proptest! {
        #[test]
        fn words_agree_with_bytes_at_every_alignment(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            key: [u8; 4],
        ) {
            for start in 0..bytes.len().min(16) {
                let (mut words, mut plain) = (bytes.clone(), bytes.clone());
                apply_mask(&mut words[start..], key);
                byte_by_byte(&mut plain[start..], key);
                prop_assert_eq!(&words, &plain);
                apply_mask(&mut words[start..], key);
                prop_assert_eq!(&words, &bytes);
            }
        }
    }
}
