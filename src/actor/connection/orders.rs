//! What a supervisor asks of a connection.

use std::time::Instant;

use super::{Connection, ConnectionContext, vigil::vigil};
use crate::{
    actor::superior::{Adopt, Update},
    lifecycle::Input,
};

impl Connection {
    /// Drops the socket, if there is one. Its end is told as any other.
    pub(in crate::actor) fn cut(&mut self) {
        self.seat.abort();
        if let Some(beside) = &mut self.beside {
            beside.seat.abort();
        }
    }

    /// Another connection of the group failed.
    pub(in crate::actor) fn hold(&mut self, due: Instant, ctx: &mut ConnectionContext) {
        let _ = self.step(Input::Hold(due), ctx);
    }

    /// The group starts again.
    pub(in crate::actor) fn release(&mut self, ctx: &mut ConnectionContext) {
        let _ = self.step(Input::Release { everything: false }, ctx);
    }

    /// There are new limits, or a new supervisor altogether, which is told how things are.
    pub(in crate::actor) fn adopted(&mut self, adopt: Adopt, ctx: &mut ConnectionContext) {
        if let Some(input) = self.bond.adopted(adopt, &mut self.machine) {
            let _ = self.step(input, ctx);
        }
        self.report(ctx);
    }

    /// The supervisor is ending: nothing follows from the next end, and what is not connected ends.
    pub(in crate::actor) fn wane(&mut self, ctx: &mut ConnectionContext) {
        let _ = self.step(Input::Wane, ctx);
    }

    /// What runs goes on; the next attempt uses the new terms.
    pub(in crate::actor) fn update(&mut self, update: Update) {
        self.settings = update.settings;
        self.vigil = vigil(&self.settings);
        self.outbox.limit(self.settings.outbox, self.settings.send_limit.clone());
        self.set_route(update.checked);
        self.machine.update(update.supervision);
    }
}
