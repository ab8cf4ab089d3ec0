use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many messages may be sent in a time: a token bucket.
///
/// `per(120, minute)` sends one message each half second, and so never more than 120 in any minute.
/// With [`burst`](Self::burst), so many go at once after a pause, and then at the same pace: in one
/// minute up to `120 + burst - 1`. It counts the messages of the greeting and of the outbox, in all
/// sessions of a connection; pings, pongs and close frames pass it.
///
/// Each connection that is given it has a bucket of its own, unless it is
/// [`shared`](Self::shared).
///
/// ```
/// # use std::time::Duration;
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let script = |orders| Script::new().accept().echo(orders).expect_end();
/// # let server = network.listen("ws://bots.example.com").play([4, 3, 4, 3].map(script));
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// let limit = SendLimit::per(120, Duration::from_secs(60))?.burst(5);
/// // Of seven orders that two connections send, all go at once.
/// let one_for_each = Settings::default().send_limit(limit.clone());
/// // One for the account, that all its connections share, on whatever arbiter: five of the seven go at
/// // once, and the others half a second apart.
/// let one_for_all = Settings::default().send_limit(limit.shared());
/// # for (settings, millis) in [(one_for_each, 0), (one_for_all, 1_000)] {
/// #     let (mut sent, began) = (Vec::new(), tokio::time::Instant::now());
/// #     for (id, orders) in [("one", 4), ("other", 3)] {
/// #         let id = format!("{id} of {millis}");
/// #         let spec = ConnectionSpec::string(id, server.url()).settings(settings.clone());
/// #         let bot = supervisor.send(StartConnection(spec)).await??;
/// #         sent.extend((0..orders).map(|_| bot.send(SendString::new("order").durable())));
/// #     }
/// #     for fate in sent {
/// #         fate.await??;
/// #     }
/// #     assert_eq!(began.elapsed().as_millis(), millis);
/// # }
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct SendLimit {
    interval: Duration,
    /// How far ahead of the pace one may be: the burst without its first message.
    tolerance: Duration,
    shared: Option<Arc<Mutex<Bucket>>>,
}

/// Why a [`SendLimit`] cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSendLimit {
    /// No message could ever be sent.
    #[error("a limit of no messages: nothing could be sent; allow at least one")]
    NoMessages,
    /// A limit over no time is none.
    #[error("a limit per no time is none; choose a longer period")]
    NoTime,
}

impl SendLimit {
    /// At most so many messages in a period, evenly.
    ///
    /// # Errors
    /// When either is zero.
    pub fn per(messages: u32, period: Duration) -> Result<Self, InvalidSendLimit> {
        if messages == 0 {
            return Err(InvalidSendLimit::NoMessages);
        }
        // Rounded up, so that the pace is never above what is allowed.
        let nanos = period.as_nanos().div_ceil(u128::from(messages));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        if nanos == 0 {
            return Err(InvalidSendLimit::NoTime);
        }
        let interval = Duration::from_nanos(nanos);
        Ok(Self { interval, tolerance: Duration::ZERO, shared: None })
    }

    /// How many may go at once after a pause. Default, and at least: 1.
    #[must_use]
    pub fn burst(mut self, messages: u32) -> Self {
        self.tolerance = self.interval.saturating_mul(messages.saturating_sub(1));
        self.shared = None;
        self
    }

    /// One bucket for all connections that are given a clone of this. Whichever asks first when a
    /// message may go sends it.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = Some(Arc::default());
        self
    }
}

impl fmt::Debug for SendLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendLimit")
            .field("interval", &self.interval)
            .field("tolerance", &self.tolerance)
            .field("shared", &self.shared.is_some())
            .finish()
    }
}

/// What was taken from a limit: the time at which the next message is due if all keep the pace
/// (GCRA's theoretical arrival time). Nothing was taken for long where there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// When the message may go that has so many others before it.
    fn due(self, limit: &SendLimit, ahead: usize, now: Instant) -> Option<Instant> {
        let next = self.0.map_or(now, |next| next.max(now));
        let ahead = limit.interval.checked_mul(u32::try_from(ahead).ok()?)?;
        // The burst lies before the pace; what lies before now is now.
        let due = next.checked_add(ahead)?;
        Some(due.checked_sub(limit.tolerance).map_or(now, |due| due.max(now)))
    }

    /// Takes a message out, or says when one may go.
    fn take(&mut self, limit: &SendLimit, now: Instant) -> Result<(), Instant> {
        match self.due(limit, 0, now) {
            Some(due) if due > now => Err(due),
            _ => {
                let next = self.0.map_or(now, |next| next.max(now));
                self.0 = next.checked_add(limit.interval);
                Ok(())
            }
        }
    }
}

/// A connection's part in a limit.
#[derive(Debug)]
pub(crate) struct Throttle {
    limit: SendLimit,
    own: Bucket,
}

impl Throttle {
    pub(crate) const fn new(limit: SendLimit) -> Self {
        Self { limit, own: Bucket(None) }
    }

    /// Other terms hold from now on.
    pub(crate) fn change(&mut self, limit: SendLimit) {
        self.limit = limit;
    }

    /// Lets a message pass, or says when it may.
    pub(crate) fn pass(&mut self, now: Instant) -> Result<(), Instant> {
        match &self.limit.shared {
            Some(bucket) => {
                let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
                bucket.take(&self.limit, now)
            }
            None => self.own.take(&self.limit, now),
        }
    }

    /// How long a message would have to wait that has so many others before it, if nobody else
    /// took from the limit. Nothing where that is beyond the clock's range.
    pub(crate) fn wait(&self, ahead: usize, now: Instant) -> Option<Duration> {
        let bucket = match &self.limit.shared {
            Some(bucket) => *bucket.lock().unwrap_or_else(PoisonError::into_inner),
            None => self.own,
        };
        Some(bucket.due(&self.limit, ahead, now)?.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_can_mean_nothing_is_refused() {
        assert_eq!(SendLimit::per(0, ms(1)).err(), Some(InvalidSendLimit::NoMessages));
        assert_eq!(SendLimit::per(1, Duration::ZERO).err(), Some(InvalidSendLimit::NoTime));
        assert!(SendLimit::per(u32::MAX, Duration::MAX).is_ok());
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_pace() {
        let limit = SendLimit::per(10, ms(1_000)).unwrap().burst(3);
        let start = Instant::now();
        let mut throttle = Throttle::new(limit);
        for ahead in 0..6 {
            let expected = ms(100) * u32::try_from(ahead).unwrap().saturating_sub(2);
            assert_eq!(throttle.wait(ahead, start), Some(expected), "{ahead} before it");
        }
        assert_eq!([(); 3].map(|()| throttle.pass(start)), [Ok(()); 3]);
        assert_eq!(throttle.pass(start), Err(start + ms(100)));
        assert_eq!(throttle.pass(start + ms(99)), Err(start + ms(100)));
        assert_eq!(throttle.pass(start + ms(100)), Ok(()));
        assert_eq!(throttle.pass(start + ms(100)), Err(start + ms(200)));
    }

    #[test]
    fn other_terms_hold_at_once_for_what_was_taken_before() {
        let start = Instant::now();
        let mut throttle = Throttle::new(SendLimit::per(1, ms(1_000)).unwrap());
        assert_eq!(throttle.pass(start), Ok(()));
        throttle.change(SendLimit::per(1, ms(10)).unwrap().burst(2));
        assert_eq!(throttle.wait(0, start + ms(500)), Some(ms(490)));
        throttle.change(SendLimit::per(1, ms(10)).unwrap().shared());
        assert_eq!(throttle.pass(start), Ok(()), "another bucket");
        let shown = format!("{throttle:?}");
        assert!(shown.contains("interval: 10ms") && shown.contains("shared: true"), "{shown}");
    }

    #[test]
    fn clones_of_a_shared_limit_share_and_others_do_not() {
        let limit = SendLimit::per(1, ms(1_000)).unwrap();
        let start = Instant::now();
        let shared = limit.clone().shared();
        let (mut one, mut other) = (Throttle::new(shared.clone()), Throttle::new(shared));
        assert_eq!(one.pass(start), Ok(()));
        assert_eq!(other.pass(start), Err(start + ms(1_000)));
        let (mut one, mut other) = (Throttle::new(limit.clone()), Throttle::new(limit));
        assert_eq!((one.pass(start), other.pass(start)), (Ok(()), Ok(())));
    }

    proptest! {
        /// Whoever asks as often as they like never gets more than the pace and the burst allow, in
        /// no window; and whoever comes back when they were told passes.
        #[test]
        fn no_window_holds_more_than_is_allowed(
            messages in 1u32..50, period in 1u64..5_000, burst in 1u32..20,
            pauses in proptest::collection::vec(0u64..2_000, 1..200),
        ) {
            let limit = SendLimit::per(messages, ms(period)).unwrap().burst(burst);
            let (interval, mut throttle) = (limit.interval, Throttle::new(limit));
            let (start, mut sent) = (Instant::now(), Vec::new());
            let mut now = start;
            for pause in pauses {
                now += Duration::from_millis(pause) / 7;
                let wait = throttle.wait(0, now).unwrap();
                match throttle.pass(now) {
                    Ok(()) => {
                        prop_assert_eq!(wait, Duration::ZERO);
                        sent.push(now);
                    }
                    Err(due) => {
                        prop_assert_eq!(due, now + wait);
                        prop_assert!(due > now && due <= now + interval);
                        if pause % 2 == 0 {
                            now = due;
                            prop_assert_eq!(throttle.pass(now), Ok(()));
                            sent.push(now);
                        }
                    }
                }
            }
            for (first, begin) in sent.iter().enumerate() {
                for (count, end) in (1..).zip(&sent[first..]) {
                    let paced = (*end - *begin).as_nanos() / interval.as_nanos();
                    prop_assert!(count <= u128::from(burst) + paced, "{} in {:?}", count, *end - *begin);
                }
            }
        }
    }
}
