use std::{fmt, time::Duration};

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What a network does to one stream that passes through it: the faults of either direction.
///
/// The same faults, with the same seed, do the same to a stream in memory and to one over TCP.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::testing::{End, Fault, Faults, Point};
///
/// // 40 to 60 ms away, and reset when the client has been sent 10,000 bytes.
/// let faults = Faults::new()
///     .both(Fault::Delay { least: Duration::from_millis(40), jitter: Duration::from_millis(20) })
///     .to_client(Fault::End(End::Reset, Point::Byte(10_000)));
/// assert_eq!(
///     faults.to_string(),
///     "to the client: delay of 40ms to 60ms, reset at byte 10000; \
///      to the server: delay of 40ms to 60ms",
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub(super) refuse_for: Option<Duration>,
    pub(super) to_client: Vec<Fault>,
    pub(super) to_server: Vec<Fault>,
    pub(super) seed: u64,
}

/// One fault of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Each byte takes `least` and, at random, up to `jitter` more. Bytes keep their order.
    Delay {
        /// The least time.
        least: Duration,
        /// What is added at random, at most.
        jitter: Duration,
    },
    /// At most so many bytes a second pass.
    Throttle {
        /// The rate; 0 is taken for 1.
        bytes_per_second: u32,
    },
    /// At most so many bytes pass in one piece; 0 is taken for 1.
    Chop(usize),
    /// The byte at this place, counted from 0, arrives with all its bits turned over.
    Corrupt(u64),
    /// From this point on nothing passes, and the sender is held back as by a full network; after
    /// this time it goes on, or never.
    Stall(Point, Option<Duration>),
    /// The stream ends at this point.
    End(End, Point),
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The receiver of this direction sees the stream's end; the other direction goes on.
    HalfClose,
    /// Both sides see the stream's end, after the bytes that passed.
    Close,
    /// Both sides see a reset.
    Reset,
}

/// When a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// So many bytes of the direction have passed.
    Byte(u64),
    /// So long after the stream was opened.
    Time(Duration),
}

impl Faults {
    /// A network that does nothing to a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A network on which the stream is opened, and then no byte ever passes.
    #[must_use]
    pub fn blackhole() -> Self {
        Self::new().both(Fault::Stall(Point::Byte(0), None))
    }

    /// Dials are refused for so long before this stream is accepted.
    #[must_use]
    pub const fn refuse_for(mut self, time: Duration) -> Self {
        self.refuse_for = Some(time);
        self
    }

    /// What happens to the bytes on their way to the client.
    #[must_use]
    pub fn to_client(mut self, fault: Fault) -> Self {
        self.to_client.push(fault);
        self
    }

    /// What happens to the bytes on their way to the server.
    #[must_use]
    pub fn to_server(mut self, fault: Fault) -> Self {
        self.to_server.push(fault);
        self
    }

    /// What happens to the bytes of either direction.
    #[must_use]
    pub fn both(self, fault: Fault) -> Self {
        self.to_client(fault).to_server(fault)
    }

    /// Sets the seed of what is left to chance. Default 0.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Faults by chance: some of each kind, at points that matter to a short conversation, so that
    /// each seed is another bad network. About one in eight does no harm.
    ///
    /// What stalls for good is reset a minute or two later, as by a router that forgets the stream:
    /// otherwise the end that nothing reaches any more would wait for ever, and a test with it.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut faults = Self::new().seed(seed);
        if rng.random_bool(0.125) {
            return faults;
        }
        if rng.random_bool(0.2) {
            faults = faults.refuse_for(Duration::from_millis(rng.random_range(1..300)));
        }
        faults.to_client = Fault::some(&mut rng);
        faults.to_server = Fault::some(&mut rng);
        faults
    }
}

impl Fault {
    fn some(rng: &mut impl Rng) -> Vec<Self> {
        let mut faults = Vec::new();
        let mut perhaps = |chance, make: fn(&mut ChaCha8Rng) -> Self| {
            let mut own = ChaCha8Rng::seed_from_u64(rng.random());
            if own.random_bool(chance) {
                faults.push(make(&mut own));
            }
        };
        perhaps(0.4, |rng| Self::Delay { least: some_ms(rng, 50), jitter: some_ms(rng, 50) });
        perhaps(0.2, |rng| Self::Throttle { bytes_per_second: rng.random_range(100..100_000) });
        perhaps(0.4, |rng| Self::Chop(rng.random_range(1..100)));
        perhaps(0.1, |rng| Self::Corrupt(rng.random_range(0..2_000)));
        perhaps(0.15, |rng| Self::Stall(Point::random(rng), Some(some_ms(rng, 2_000))));
        perhaps(0.05, |rng| Self::Stall(Point::random(rng), None));
        perhaps(0.3, |rng| {
            let end = [End::HalfClose, End::Close, End::Reset];
            let end = end.get(rng.random_range(0..3)).copied().unwrap_or(End::Close);
            Self::End(end, Point::random(rng))
        });
        if faults.iter().any(|fault| matches!(fault, Self::Stall(_, None))) {
            let forgotten = Duration::from_secs(rng.random_range(60..120));
            faults.push(Self::End(End::Reset, Point::Time(forgotten)));
        }
        faults
    }
}

fn some_ms(rng: &mut impl Rng, most: u64) -> Duration {
    Duration::from_millis(rng.random_range(0..most))
}

impl Point {
    fn random(rng: &mut impl Rng) -> Self {
        if rng.random() {
            Self::Byte(rng.random_range(0..2_000))
        } else {
            Self::Time(some_ms(rng, 2_000))
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(time) = self.refuse_for {
            write!(f, "refused for {time:?}")?;
            separator = "; ";
        }
        for (name, faults) in
            [("to the client", &self.to_client), ("to the server", &self.to_server)]
        {
            for (index, fault) in faults.iter().enumerate() {
                match index {
                    0 => write!(f, "{separator}{name}: {fault}")?,
                    _ => write!(f, ", {fault}")?,
                }
                separator = "; ";
            }
        }
        if separator.is_empty() { f.write_str("no faults") } else { Ok(()) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Delay { least, jitter } => {
                write!(f, "delay of {least:?} to {:?}", least + jitter)
            }
            Self::Throttle { bytes_per_second } => write!(f, "{bytes_per_second} bytes a second"),
            Self::Chop(bytes) => write!(f, "pieces of {bytes} bytes"),
            Self::Corrupt(at) => write!(f, "byte {at} corrupt"),
            Self::Stall(point, None) => write!(f, "stalled {point}"),
            Self::Stall(point, Some(time)) => write!(f, "stalled {point} for {time:?}"),
            Self::End(End::HalfClose, point) => write!(f, "half-closed {point}"),
            Self::End(End::Close, point) => write!(f, "closed {point}"),
            Self::End(End::Reset, point) => write!(f, "reset {point}"),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(at) => write!(f, "at byte {at}"),
            Self::Time(at) => write!(f, "after {at:?}"),
        }
    }
}
