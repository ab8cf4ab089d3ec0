use std::{cell::Cell, fmt};

use flate2::{Compress, Compression, FlushCompress};

use super::{DeflateAgreement, TAIL};

/// Compresses the messages of one connection.
///
/// Its machinery takes some 300 KiB. It is made for the first message that is worth it, and may be
/// given back at any time: the next message then refers to no earlier one, which the server need not
/// be told. Where no message may refer to another, the thread's connections use one by turns.
pub(in crate::protocol) struct Compressor {
    agreement: DeflateAgreement,
    engine: Option<Box<Engine>>,
    was_used: bool,
}

thread_local! {
    /// Memory to use again, and no more than that: it is reset before each use.
    static SPARE: Cell<Option<Box<Engine>>> = const { Cell::new(None) };
}

impl Compressor {
    pub(in crate::protocol) const fn new(agreement: DeflateAgreement) -> Self {
        Self { agreement, engine: None, was_used: false }
    }

    /// Appends `message` to `out`, compressed, or says that it is better sent as it is.
    pub(in crate::protocol) fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let DeflateAgreement { threshold, client_window_bits, level, .. } = self.agreement;
        // A window of 8 bits is beyond the library; any message may go uncompressed (§6).
        if message.is_empty() || message.len() < threshold || client_window_bits < 9 {
            return false;
        }
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::fresh(level, client_window_bits),
        };
        self.was_used = true;
        let start = out.len();
        let is_worth_it =
            engine.run(message, out) && (out.len() - start < message.len() || threshold == 0);
        if !is_worth_it {
            // The engine has seen what the server will not see compressed: it must not refer to it.
            out.truncate(start);
            SPARE.set(Some(engine));
        } else if self.agreement.client_context_takeover {
            self.engine = Some(engine);
        } else {
            SPARE.set(Some(engine));
        }
        is_worth_it
    }

    /// Whether it holds its machinery.
    pub(in crate::protocol) const fn is_held(&self) -> bool {
        self.engine.is_some()
    }

    /// Gives its machinery back if it was not used since the last call.
    pub(in crate::protocol) fn release_unused(&mut self) {
        if !std::mem::take(&mut self.was_used)
            && let Some(engine) = self.engine.take()
        {
            // The next that needs one on this thread has it: allocators seldom find room for
            // another of these aligned blocks where one was freed.
            SPARE.set(Some(engine));
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("is_held", &self.is_held()).finish_non_exhaustive()
    }
}

struct Engine {
    deflate: Compress,
    level: u8,
    window_bits: u8,
}

impl Engine {
    fn fresh(level: u8, window_bits: u8) -> Box<Self> {
        match SPARE.take() {
            Some(mut spare) if (spare.level, spare.window_bits) == (level, window_bits) => {
                spare.deflate.reset();
                spare
            }
            _ => {
                let level_of = Compression::new(u32::from(level));
                let deflate = Compress::new_with_window_bits(level_of, false, window_bits);
                Box::new(Self { deflate, level, window_bits })
            }
        }
    }

    /// Whether `message` was compressed into what it appended to `out`.
    fn run(&mut self, mut message: &[u8], out: &mut Vec<u8>) -> bool {
        let mut room = message.len() / 4 + 64;
        loop {
            out.reserve(room);
            let before = self.deflate.total_in();
            if self.deflate.compress_vec(message, out, FlushCompress::Sync).is_err() {
                return false;
            }
            let taken = usize::try_from(self.deflate.total_in() - before).unwrap_or_default();
            message = message.get(taken..).unwrap_or_default();
            // A flush is complete when it leaves room.
            if message.is_empty() && out.len() < out.capacity() {
                break;
            }
            room = room.saturating_mul(2);
        }
        if !out.ends_with(&TAIL) {
            return false;
        }
        out.truncate(out.len() - TAIL.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::protocol::deflate::{Inflater, PerMessageDeflate};

    fn agreement(bits: u8, takeover: bool) -> DeflateAgreement {
        let offer = PerMessageDeflate::default().threshold(1);
        let plain = offer.judge([b"permessage-deflate".as_slice()].into_iter()).unwrap().unwrap();
        DeflateAgreement {
            client_window_bits: bits,
            server_window_bits: bits,
            client_context_takeover: takeover,
            server_context_takeover: takeover,
            ..plain
        }
    }

    fn compressed(compressor: &mut Compressor, message: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let is_compressed = compressor.compress(message, &mut out);
        assert!(out.starts_with(b"before"));
        assert!(is_compressed || out == b"before");
        is_compressed.then(|| out.split_off(6))
    }

    fn inflated(inflater: &mut Inflater, payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        let mut sink = |made: &[u8]| {
            message.extend_from_slice(made);
            Ok(())
        };
        inflater.push(payload, &mut sink).unwrap();
        inflater.finish(sink).unwrap();
        message
    }

    fn noise(len: usize) -> Vec<u8> {
        use rand::{Rng as _, SeedableRng as _};
        let mut noise = vec![0; len];
        rand_chacha::ChaCha8Rng::seed_from_u64(7).fill_bytes(&mut noise);
        noise
    }

    const TICK: &[u8] =
        br#"{"channel":"trades","symbol":"BTC-USD","price":"64000.10","side":"buy"}"#;

    #[test]
    fn takeover_makes_the_second_message_shorter() {
        for (takeover, shorter) in [(true, true), (false, false)] {
            let mut compressor = Compressor::new(agreement(15, takeover));
            let first = compressed(&mut compressor, TICK).unwrap();
            let second = compressed(&mut compressor, TICK).unwrap();
            assert_eq!(second.len() < first.len() / 4, shorter, "{takeover}");
            assert_eq!(compressor.is_held(), takeover);
        }
    }

    /// What compresses to half its size takes more room than is made for it at first.
    #[test]
    fn a_long_message_that_hardly_shrinks_comes_through() {
        let digits: Vec<_> =
            noise(400_000).iter().map(|byte| b"0123456789abcdef"[usize::from(byte % 16)]).collect();
        let mut compressor = Compressor::new(agreement(15, true));
        let mut inflater = Inflater::new(&agreement(15, true));
        for _ in 0..2 {
            let payload = compressed(&mut compressor, &digits).unwrap();
            assert!(inflated(&mut inflater, &payload) == digits);
        }
    }

    #[test]
    fn a_thread_keeps_one_compressor_for_the_next_of_its_kind() {
        let address = |compressor: &Compressor| {
            compressor.engine.as_deref().map(std::ptr::from_ref).expect("it holds one")
        };
        let mut released = Compressor::new(agreement(15, true));
        compressed(&mut released, TICK).unwrap();
        let held = address(&released);
        assert_eq!(format!("{released:?}"), "Compressor { is_held: true, .. }");
        released.release_unused();
        released.release_unused();
        let mut next = Compressor::new(agreement(15, true));
        compressed(&mut next, TICK).unwrap();
        assert_eq!(address(&next), held);
    }

    #[test]
    fn a_released_compressor_starts_again() {
        let mut compressor = Compressor::new(agreement(15, true));
        let mut inflater = Inflater::new(&agreement(15, true));
        let first = compressed(&mut compressor, TICK).unwrap();
        assert_eq!(inflated(&mut inflater, &first), TICK);
        compressor.release_unused();
        assert!(compressor.is_held(), "it was used");
        compressor.release_unused();
        assert!(!compressor.is_held());
        let again = compressed(&mut compressor, TICK).unwrap();
        assert_eq!(first, again);
        assert_eq!(inflated(&mut inflater, &again), TICK);
    }

    #[test]
    fn what_would_grow_is_sent_as_it_is_and_not_referred_to() {
        let noise = noise(2_000);
        let mut compressor = Compressor::new(agreement(15, true));
        let mut inflater = Inflater::new(&agreement(15, true));
        assert_eq!(compressed(&mut compressor, &noise), None);
        // It repeats what the server has not seen compressed.
        let message = [&noise[..], &[b'a'; 3_000]].concat();
        let payload = compressed(&mut compressor, &message).unwrap();
        assert!(payload.len() > noise.len());
        assert_eq!(inflated(&mut inflater, &payload), message);
    }

    #[test]
    fn what_is_never_compressed() {
        let mut eight = Compressor::new(agreement(8, true));
        assert_eq!(compressed(&mut eight, &[b'a'; 500]), None);
        assert_eq!(compressed(&mut Compressor::new(agreement(15, true)), b""), None);
        let threshold = DeflateAgreement { threshold: 100, ..agreement(15, true) };
        let mut compressor = Compressor::new(threshold);
        assert_eq!(compressed(&mut compressor, &[b'a'; 99]), None);
        assert!(!compressor.is_held(), "it is made for the first message that is worth it");
        assert!(compressed(&mut compressor, &[b'a'; 100]).is_some());
        let everything = DeflateAgreement { threshold: 0, ..agreement(15, true) };
        let grown = compressed(&mut Compressor::new(everything), b"x").unwrap();
        assert_eq!(inflated(&mut Inflater::new(&everything), &grown), b"x");
    }

    #[test]
    fn the_spare_is_used_for_its_own_terms_only() {
        for terms in [(6, 9), (1, 15)] {
            SPARE.set(Some(Engine::fresh(6, 15)));
            let engine = Engine::fresh(terms.0, terms.1);
            assert_eq!((engine.level, engine.window_bits), terms);
        }
    }

    /// The server forgets what lies further back than the window agreed on.
    #[test]
    fn the_window_is_kept_to() {
        let random = noise(600);
        for bits in 9..=15 {
            let far = vec![b'-'; 1 << bits];
            let message = [&random[..], &far, &random[..]].concat();
            let mut compressor = Compressor::new(agreement(bits, true));
            let payload = compressed(&mut compressor, &message).unwrap();
            assert!(payload.len() > 2 * random.len(), "{bits} bits: it refers too far back");
            assert_eq!(inflated(&mut Inflater::new(&agreement(bits, true)), &payload), message);
        }
    }

    proptest! {
        #[test]
        fn what_is_compressed_inflates_to_the_same(
            messages in vec(
                prop_oneof![
                    "[a-c]{0,300}".prop_map(String::into_bytes),
                    vec(any::<u8>(), 0..200),
                    (any::<u8>(), 0..7_000_usize).prop_map(|(byte, len)| vec![byte; len]),
                ],
                1..8,
            ),
            bits in 9..=15_u8,
            takeover: bool,
            releases: u16,
        ) {
            let mut compressor = Compressor::new(agreement(bits, takeover));
            let mut inflater = Inflater::new(&agreement(bits, takeover));
            for (index, message) in messages.iter().enumerate() {
                if releases >> index & 1 == 1 {
                    compressor.release_unused();
                    compressor.release_unused();
                }
                if let Some(payload) = compressed(&mut compressor, message) {
                    prop_assert!(payload.len() < message.len());
                    prop_assert_eq!(&inflated(&mut inflater, &payload), message);
                }
            }
        }
    }
}
