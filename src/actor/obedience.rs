//! What the connection's actor does with each order of its supervisor.

use actix::{Actor, ActorContext as _, Handler, Message, dev::MessageResponse};
use tokio::sync::oneshot;

use super::{
    connection::{Connection, ConnectionContext},
    superior::{
        Adopt, Cut, Discard, Dismiss, Enforce, Hold, Release, Retire, Terminate, Update, Wane,
    },
};
use crate::protocol::{CloseCode, CloseFrame};

impl Handler<Terminate> for Connection {
    type Result = AtRest;

    fn handle(&mut self, _: Terminate, ctx: &mut ConnectionContext) -> AtRest {
        self.disconnect(CloseFrame::bare(CloseCode::GOING_AWAY), ctx);
        AtRest(self.rest())
    }
}

impl Handler<Retire> for Connection {
    type Result = AtRest;

    fn handle(&mut self, _: Retire, ctx: &mut ConnectionContext) -> AtRest {
        // Until it is at rest it accepts no `Connect`, and then it is no more.
        self.bond.stops_at_rest = true;
        self.disconnect(CloseFrame::bare(CloseCode::GOING_AWAY), ctx);
        if self.is_at_rest() {
            ctx.stop();
        }
        AtRest(self.rest())
    }
}

impl Handler<Hold> for Connection {
    type Result = AtRest;

    fn handle(&mut self, Hold(due): Hold, ctx: &mut ConnectionContext) -> AtRest {
        self.hold(due, ctx);
        AtRest(self.rest())
    }
}

impl Handler<Release> for Connection {
    type Result = ();

    fn handle(&mut self, _: Release, ctx: &mut ConnectionContext) {
        self.release(ctx);
    }
}

impl Handler<Adopt> for Connection {
    type Result = ();

    fn handle(&mut self, adopt: Adopt, ctx: &mut ConnectionContext) {
        self.adopted(adopt, ctx);
    }
}

impl Handler<Wane> for Connection {
    type Result = ();

    fn handle(&mut self, _: Wane, ctx: &mut ConnectionContext) {
        self.wane(ctx);
    }
}

impl Handler<Cut> for Connection {
    type Result = ();

    fn handle(&mut self, _: Cut, _: &mut ConnectionContext) {
        self.cut();
    }
}

impl Handler<Dismiss> for Connection {
    type Result = ();

    fn handle(&mut self, _: Dismiss, _: &mut ConnectionContext) {
        self.bond.superior = None;
    }
}

impl Handler<Update> for Connection {
    type Result = ();

    fn handle(&mut self, update: Update, _: &mut ConnectionContext) {
        self.update(update);
    }
}

impl Handler<Enforce> for Connection {
    type Result = bool;

    fn handle(&mut self, Enforce(policy): Enforce, ctx: &mut ConnectionContext) -> bool {
        self.enforce(policy, ctx).is_ok()
    }
}

impl Handler<Discard> for Connection {
    type Result = bool;

    fn handle(&mut self, _: Discard, ctx: &mut ConnectionContext) -> bool {
        if self.is_at_rest() {
            ctx.stop();
        }
        self.is_at_rest()
    }
}

/// Answers once the connection is at rest, without holding its mailbox.
pub(super) struct AtRest(pub(super) oneshot::Receiver<()>);

impl<A: Actor, M: Message<Result = ()>> MessageResponse<A, M> for AtRest {
    fn handle(self, _: &mut A::Context, reply: Option<oneshot::Sender<()>>) {
        if let Some(reply) = reply {
            actix_rt::spawn(async move {
                let _ = self.0.await;
                let _ = reply.send(());
            });
        }
    }
}
