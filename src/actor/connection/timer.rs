use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use tokio::time::{Sleep, sleep_until};

use super::Connection;
use crate::{clock::now, transport::Link};

/// The one timer of a connection. It goes on as the connection has its turn.
pub(super) type Timer = Pin<Box<Sleep>>;

impl Connection {
    /// One timer at most, for when the machine wants to be asked again or a message expires.
    pub(super) fn arm_timer(&mut self) {
        let links = self.links().filter_map(|link| link.next_deadline()).min();
        let overflow = self.tell_overflow();
        let requests = self.requests.next_deadline();
        let dues = [self.machine.due(), links, self.outbox.next_deadline(), requests, overflow];
        match dues.into_iter().flatten().min() {
            Some(due) => self.set_timer(due),
            None => self.timer = None,
        }
    }

    /// A message expires then.
    pub(in crate::actor) fn wake_at(&mut self, due: Instant) {
        if self.timer.as_ref().is_none_or(|timer| timer.deadline() > due.into()) {
            self.set_timer(due);
        }
    }

    fn set_timer(&mut self, due: Instant) {
        let due = due.into();
        match &mut self.timer {
            Some(timer) if timer.deadline() == due => {}
            Some(timer) => timer.as_mut().reset(due),
            none => *none = Some(Box::pin(sleep_until(due))),
        }
    }

    /// Ready when it has gone off.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        let gone_off = timer.as_mut().poll(cx);
        if gone_off.is_ready() {
            self.timer = None;
        }
        gone_off
    }

    /// Tells messages whose deadline has come, those first that were accepted first.
    pub(super) fn expire(&mut self) {
        let now = now();
        self.links().for_each(|link| link.expire(now));
        self.outbox.expire(now);
        self.tell_senders();
        self.requests.expire(now);
    }

    /// Of the session that is up, and of the one beside it.
    pub(in crate::actor) fn links(&self) -> impl Iterator<Item = &Rc<Link>> {
        let beside = self.beside.as_ref().map(|beside| &beside.seat);
        [Some(&self.seat), beside].into_iter().flatten().filter_map(|seat| seat.link.as_ref())
    }
}
