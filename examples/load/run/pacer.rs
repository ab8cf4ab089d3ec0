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

/// Messages are due; or the alarm has failed, and nothing is woken any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wake(pub(crate) io::Result<()>);

/// Wakes closer to each other than this cost more than they are worth.
const CLOSEST: Duration = Duration::from_micros(100);

impl Pacer {
    /// Of a worker of this thread, whose event loop waits for the alarm. It ends with the worker.
    pub(crate) fn start(worker: &Addr<Worker>) -> io::Result<Self> {
        let (alarm, woken) = (Rc::new(Alarm::new()?), Rc::new(Cell::new(Instant::now())));
        let pacer = Self { alarm: Rc::clone(&alarm), woken: Rc::clone(&woken) };
        let worker = worker.downgrade();
        actix::spawn(async move {
            let mut goes_on = true;
            while goes_on {
                let gone_off = alarm.goes_off().await;
                goes_on = gone_off.is_ok();
                let Some(worker) = worker.upgrade() else { return };
                woken.set(Instant::now());
                worker.do_send(Wake(gone_off));
            }
        });
        Ok(pacer)
    }

    /// Wakes the worker then.
    pub(crate) fn wake_at(&self, time: Instant) -> io::Result<()> {
        self.alarm.set(time.max(self.woken.get() + CLOSEST))
    }
}
