//! Subscribers: they hold what they are told against the grammar, some of them slowly.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::prelude::*;
use tokio::time::Instant;
use wsvisor::{Lifecycle, Received};

use crate::{
    fates::Fates,
    journal::Journal,
    life::{Life, Numbered},
    send::answered_by,
};

/// Hears all of one connection's life.
pub(crate) struct Witness {
    pub(crate) name: String,
    pub(crate) life: Rc<RefCell<Life>>,
    pub(crate) fates: Fates,
    pub(crate) journal: Journal,
    /// How long it takes for a message.
    pub(crate) takes: Duration,
}

impl Witness {
    fn judge(&self, verdict: Result<(), String>) {
        if let Err(wrong) = verdict {
            self.journal.violation(format_args!("{}: {wrong}", self.name));
        }
    }
}

impl Actor for Witness {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Witness {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        let (epoch, seq) = (told.epoch.get(), told.seq);
        self.journal.note(format_args!("{} #{seq} epoch {epoch}: {}", self.name, told.event));
        let verdict = self.life.borrow_mut().lifecycle(Instant::now(), epoch, seq, &told.event);
        self.judge(verdict);
    }
}

impl Handler<Received> for Witness {
    type Result = ();

    fn handle(&mut self, message: Received, ctx: &mut Context<Self>) {
        let (epoch, seq) = (message.epoch.get(), message.seq);
        let verdict =
            self.life.borrow_mut().message(epoch, seq, message.is_overlap(), message.text());
        self.judge(verdict);
        if let Some(request) = message.text().and_then(answered_by) {
            self.fates.overheard(request);
        }
        if !self.takes.is_zero() {
            ctx.wait(tokio::time::sleep(self.takes).into_actor(self));
        }
    }
}

/// A subscriber that is slow and may lose messages: what it is told of its losses has to be exact.
pub(crate) struct Choosy {
    pub(crate) name: String,
    pub(crate) journal: Journal,
    /// Messages of two sessions may come by turns, or answers to requests among them.
    pub(crate) mixed: bool,
    /// The latest: its place among all events, the stream that it came from, and its place there.
    pub(crate) latest: Option<(u64, u64, u64)>,
    /// What it was told to have lost since.
    pub(crate) lagged: u64,
}

impl Actor for Choosy {
    type Context = Context<Self>;
}

impl Handler<Received> for Choosy {
    type Result = ();

    fn handle(&mut self, message: Received, ctx: &mut Context<Self>) {
        self.lagged += message.lagged();
        let Self { name, journal, lagged, .. } = self;
        let (seq, lagged) = (message.seq, *lagged);
        if let Ok(Numbered { s, n }) = message.json() {
            if let Some((before, stream, place)) = self.latest {
                journal
                    .check(before < seq, format_args!("{name}: event {seq} after {before} (I9)"));
                let lost = n.checked_sub(place + 1);
                journal.check(
                    stream != s
                        || lost == Some(lagged)
                        || self.mixed && lost.is_some_and(|lost| lost < lagged),
                    format_args!(
                        "{name}: message {n} after {place} of stream {s}, and {lagged} lost"
                    ),
                );
            }
            self.latest = Some((seq, s, n));
            self.lagged = 0;
        }
        ctx.wait(tokio::time::sleep(Duration::from_millis(70)).into_actor(self));
    }
}

/// A subscriber that comes and goes, and only must not disturb the others.
pub(crate) struct Visitor;

impl Actor for Visitor {
    type Context = Context<Self>;
}

impl Handler<Received> for Visitor {
    type Result = ();

    fn handle(&mut self, _: Received, _: &mut Context<Self>) {}
}
