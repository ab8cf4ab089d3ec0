/// Masks `bytes` with `key`, or unmasks them: the two are the same (RFC 6455 §5.3).
///
/// Works on blocks of 16 bytes and then on words.
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let wide = u128::from(word) * 0x0000_0001_0000_0001_0000_0001_0000_0001;
    let (blocks, rest) = bytes.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    let (words, rest) = rest.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    // Blocks and words hold the key in full, so the rest starts with the key's first byte again.
    for (byte, key) in rest.iter_mut().zip(key) {
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
