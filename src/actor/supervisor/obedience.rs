//! What a supervisor does with each order of the one above.

use actix::{ActorContext as _, Context, Handler};

use super::Supervisor;
use crate::{
    actor::{
        obedience::AtRest,
        superior::{Adopt, Cut, Discard, Hold, Release, Rerun, Retire, Terminate, Wane},
    },
    lifecycle::Input,
};

impl Handler<Terminate> for Supervisor {
    type Result = AtRest;

    fn handle(&mut self, _: Terminate, ctx: &mut Context<Self>) -> AtRest {
        self.end(None, ctx);
        AtRest(self.rest())
    }
}

impl Handler<Retire> for Supervisor {
    type Result = AtRest;

    fn handle(&mut self, _: Retire, ctx: &mut Context<Self>) -> AtRest {
        self.bond.stops_at_rest = true;
        self.end(None, ctx);
        if self.machine.is_at_rest() {
            ctx.stop();
        }
        AtRest(self.rest())
    }
}

impl Handler<Hold> for Supervisor {
    type Result = AtRest;

    fn handle(&mut self, Hold(due): Hold, ctx: &mut Context<Self>) -> AtRest {
        let _ = self.step(Input::Hold(due), ctx);
        AtRest(self.bond.rest(&self.machine))
    }
}

impl Handler<Release> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Release, ctx: &mut Context<Self>) {
        let _ = self.step(Input::Release { everything: false }, ctx);
    }
}

impl Handler<Rerun> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Rerun, ctx: &mut Context<Self>) {
        // It may have been started meanwhile.
        let _ = self.step(Input::Connect, ctx);
    }
}

impl Handler<Adopt> for Supervisor {
    type Result = ();

    fn handle(&mut self, adopt: Adopt, ctx: &mut Context<Self>) {
        let input = self.bond.adopted(adopt, &mut self.machine);
        // Where there is nothing to do, it is told again where this one is.
        let _ = self.step(input.unwrap_or(Input::Tick), ctx);
    }
}

impl Handler<Wane> for Supervisor {
    type Result = ();

    fn handle(&mut self, wane: Wane, ctx: &mut Context<Self>) {
        let _ = self.step(Input::Wane, ctx);
        for child in self.children.all().rev() {
            child.tell(wane);
        }
    }
}

impl Handler<Cut> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Cut, _: &mut Context<Self>) {
        self.cut();
    }
}

impl Handler<Discard> for Supervisor {
    type Result = bool;

    fn handle(&mut self, _: Discard, ctx: &mut Context<Self>) -> bool {
        let is_at_rest = self.machine.is_at_rest();
        if is_at_rest {
            ctx.stop();
        }
        is_at_rest
    }
}
