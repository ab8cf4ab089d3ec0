//! What a supervisor asks of a connection.

use std::time::Instant;

use actix::Context;

use super::Connection;
use crate::{
    actor::superior::{Adopt, Alarm, Update},
    lifecycle::{Epoch, Input, State},
};

impl Connection {
    /// Drops the socket, if there is one. Its end is told as any other.
    pub(in crate::actor) fn cut(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }

    /// Another connection of the group failed.
    pub(in crate::actor) fn hold(&mut self, due: Instant, ctx: &mut Context<Self>) {
        let _ = self.step(Input::Hold(due), ctx);
    }

    /// The group starts again.
    pub(in crate::actor) fn release(&mut self, ctx: &mut Context<Self>) {
        let _ = self.step(Input::Release { everything: false }, ctx);
    }

    /// Has a new supervisor, and tells it how things are.
    pub(in crate::actor) fn adopted(&mut self, adopt: Adopt, ctx: &mut Context<Self>) {
        if let Some(superior) = &mut self.superior {
            superior.reports = adopt.reports;
        }
        self.machine.restrain(adopt.restraint);
        self.reported = (State::Idle, Epoch::NONE);
        if adopt.starts_again {
            let _ = self.step(Input::Release { everything: true }, ctx);
        } else {
            // The one before knew when its group was to start again.
            let due = self.machine.held_until();
            self.alarm = due.map(|due| Box::new(Alarm::Cascade(due)));
        }
        self.report(ctx);
    }

    /// What runs goes on; the next attempt uses the new terms.
    pub(in crate::actor) fn update(&mut self, update: Update) {
        self.settings = update.settings;
        self.set_route(update.checked);
        self.machine.update(update.supervision);
    }
}
