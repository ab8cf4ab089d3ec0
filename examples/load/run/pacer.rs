use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use actix::{Addr, Message};

use super::worker::Worker;

/// Wakes a worker when its next message is due, by a thread that sleeps until then: the timers of an
/// event loop are good to a millisecond, which is longer than many an answer takes.
pub(crate) struct Pacer(Sender<Instant>);

/// Messages are due.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// Wakes closer to each other than this cost more than they are worth.
const CLOSEST: Duration = Duration::from_micros(100);

impl Pacer {
    pub(crate) fn start(worker: Addr<Worker>) -> std::io::Result<Self> {
        let (sender, times) = channel();
        thread::Builder::new().name("load-pacer".into()).spawn(move || pace(&times, &worker))?;
        Ok(Self(sender))
    }

    /// Wakes the worker then.
    pub(crate) fn wake_at(&self, time: Instant) {
        // Its thread ends with the worker alone.
        let _ = self.0.send(time);
    }
}

fn pace(times: &Receiver<Instant>, worker: &Addr<Worker>) {
    let mut last = Instant::now();
    for time in times {
        let now = Instant::now();
        thread::sleep(time.max(last + CLOSEST).saturating_duration_since(now));
        last = Instant::now();
        if worker.try_send(Wake).is_err() && !worker.connected() {
            return;
        }
    }
}
