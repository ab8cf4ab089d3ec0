use actix::{AsyncContext as _, Context};

use super::Connection;
use crate::{actor::clock::now, lifecycle::Input};

impl Connection {
    /// One timer at most, for when the machine wants to be asked again.
    pub(super) fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.machine.due();
        if self.timer.map(|(at, _)| at) == due {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(due) = due {
            let wait = due.saturating_duration_since(now());
            let timer = ctx.run_later(wait, |connection, ctx| {
                connection.timer = None;
                if ctx.connected() {
                    let _ = connection.step(Input::Tick, ctx);
                } else {
                    connection.abandon(ctx);
                }
            });
            self.timer = Some((due, timer));
        }
    }
}
