//! Prints what happens to the connection.

use actix::prelude::*;
use tokio::time::Instant;
use wsvisor::Lifecycle;

pub(crate) struct Diary {
    began: Instant,
}

impl Diary {
    pub(crate) fn open() -> Recipient<Lifecycle> {
        Self { began: Instant::now() }.start().recipient()
    }
}

impl Actor for Diary {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Diary {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        let seconds = self.began.elapsed().as_secs_f64();
        println!("[{seconds:6.2} s, epoch {}] {}", told.epoch, told.event);
    }
}
