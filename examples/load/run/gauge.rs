use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How many messages of one worker have no answer yet. It is looked at from another thread, so that
/// what is seen does not depend on when the worker has time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicU64>);

impl Gauge {
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A thread that looks at gauges until this value is dropped or asked for what it saw.
pub(crate) struct Watch {
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    ended: AtomicBool,
    sum: AtomicU64,
    looks: AtomicU64,
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

impl Watch {
    pub(crate) fn start(gauges: Vec<Gauge>) -> Self {
        let watch = Self { seen: Arc::default() };
        let seen = Arc::clone(&watch.seen);
        let look = move || {
            while !seen.ended.load(Ordering::Relaxed) {
                let now: u64 = gauges.iter().map(Gauge::now).sum();
                seen.sum.fetch_add(now, Ordering::Relaxed);
                seen.looks.fetch_add(1, Ordering::Relaxed);
                thread::sleep(BETWEEN_LOOKS);
            }
        };
        // Without the thread nothing is seen, and the findings say so.
        let _ = thread::Builder::new().name("load-watch".into()).spawn(look);
        watch
    }

    /// The average, and how often it looked.
    #[expect(clippy::cast_precision_loss, reason = "an average of few looks")]
    pub(crate) fn finish(self) -> (f64, u64) {
        let looks = self.seen.looks.load(Ordering::Relaxed);
        (self.seen.sum.load(Ordering::Relaxed) as f64 / looks.max(1) as f64, looks)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.seen.ended.store(true, Ordering::Relaxed);
    }
}
