//! Where random numbers come from: a source for each thread, that a test in virtual time may seed.

use std::cell::RefCell;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

thread_local! {
    /// Masking keys, handshake keys and jitter. RFC 6455 §5.3 asks for masking keys that the
    /// application cannot predict, so the source is cryptographically strong and seeded by the
    /// operating system, once for each thread.
    static ENTROPY: RefCell<ChaCha8Rng> = RefCell::new(rand::make_rng());
}

/// Lends this thread's source of random numbers.
pub(crate) fn with_entropy<T>(use_it: impl FnOnce(&mut dyn Rng) -> T) -> T {
    ENTROPY.with_borrow_mut(|rng| use_it(rng))
}

/// Four bytes for one frame.
pub(crate) fn masking_key() -> [u8; 4] {
    ENTROPY.with_borrow_mut(|rng| rng.next_u32().to_ne_bytes())
}

/// While it lives, this thread's random numbers follow from a seed.
#[cfg(feature = "testing")]
pub(crate) struct Seeded(ChaCha8Rng);

#[cfg(feature = "testing")]
impl Seeded {
    pub(crate) fn begin(seed: u64) -> Self {
        use rand::SeedableRng as _;
        Self(ENTROPY.replace(ChaCha8Rng::seed_from_u64(seed)))
    }
}

#[cfg(feature = "testing")]
impl Drop for Seeded {
    fn drop(&mut self) {
        ENTROPY.with_borrow_mut(|rng| std::mem::swap(rng, &mut self.0));
    }
}
