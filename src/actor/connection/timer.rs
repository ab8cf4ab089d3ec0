use std::{rc::Rc, time::Instant};

use actix::{AsyncContext as _, Context};

use super::Connection;
use crate::{clock::now, lifecycle::Input, transport::Link};

impl Connection {
    /// One timer at most, for when the machine wants to be asked again or a message expires.
    pub(super) fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let links = self.links().filter_map(|link| link.next_deadline()).min();
        let overflow = self.tell_overflow();
        let requests = self.fanout.borrow().next_request_deadline();
        let dues = [self.machine.due(), links, self.outbox.next_deadline(), requests, overflow];
        let due = dues.into_iter().flatten().min();
        if self.timer.map(|(at, _)| at) == due {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(due) = due {
            self.set_timer(due, ctx);
        }
    }

    /// A message expires then.
    pub(in crate::actor) fn wake_at(&mut self, due: Instant, ctx: &mut Context<Self>) {
        if let Some((at, timer)) = self.timer {
            if at <= due {
                return;
            }
            ctx.cancel_future(timer);
        }
        self.set_timer(due, ctx);
    }

    fn set_timer(&mut self, due: Instant, ctx: &mut Context<Self>) {
        let wait = due.saturating_duration_since(now());
        let timer = ctx.run_later(wait, |connection, ctx| {
            connection.timer = None;
            connection.expire();
            if ctx.connected() {
                let _ = connection.step(Input::Tick, ctx);
            } else {
                connection.abandon(ctx);
            }
        });
        self.timer = Some((due, timer));
    }

    /// Tells messages whose deadline has come, those first that were accepted first.
    fn expire(&self) {
        let now = now();
        self.links().for_each(|link| link.expire(now));
        self.outbox.expire(now);
        self.tell_senders();
        self.fanout.borrow_mut().expire_requests(now);
        // One that drains may have waited for them.
        if let Some(link) = self.beside.as_ref().and_then(|beside| beside.seat.link.as_ref()) {
            link.nudge();
        }
    }

    /// Of the session that is up, and of the one beside it.
    pub(in crate::actor) fn links(&self) -> impl Iterator<Item = &Rc<Link>> {
        let beside = self.beside.as_ref().map(|beside| &beside.seat);
        [Some(&self.seat), beside].into_iter().flatten().filter_map(|seat| seat.link.as_ref())
    }
}
