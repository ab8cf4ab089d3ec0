use std::{
    cell::Cell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::{Addr, Message};

use super::{alarm::Alarm, worker::Worker};

/// Wakes a worker when its next message is due.
pub(crate) struct Pacer {
    alarm: Rc<Alarm>,
    woken: Rc<Cell<Instant>>,
}

/// Messages are due.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// Wakes closer to each other than this cost more than they are worth.
const CLOSEST: Duration = Duration::from_micros(100);

impl Pacer {
    /// Of a worker of this thread, whose event loop waits for the alarm. It ends with the worker.
    pub(crate) fn start(worker: &Addr<Worker>) -> io::Result<Self> {
        let (alarm, woken) = (Rc::new(Alarm::new()?), Rc::new(Cell::new(Instant::now())));
        let pacer = Self { alarm: Rc::clone(&alarm), woken: Rc::clone(&woken) };
        let worker = worker.downgrade();
        actix::spawn(async move {
            while alarm.goes_off().await.is_ok()
                && let Some(worker) = worker.upgrade()
            {
                woken.set(Instant::now());
                worker.do_send(Wake);
            }
        });
        Ok(pacer)
    }

    /// Wakes the worker then.
    pub(crate) fn wake_at(&self, time: Instant) -> io::Result<()> {
        self.alarm.set(time.max(self.woken.get() + CLOSEST))
    }
}
