//! What the connection's actor does with each command.

use std::{sync::Arc, time::Instant};

use actix::{
    ActorContext as _, Context, Handler, Message, MessageResult, WeakRecipient,
    dev::MessageResponse,
};
use tokio::sync::oneshot;

use super::{
    connection::{Connection, Report},
    delivery::Enqueue,
};
use crate::{
    error::{ConnectError, Refusal},
    event::SubscriptionId,
    lifecycle::{Restraint, Supervision},
    message::{
        CheckedConnect, Connect, Connecting, Disconnect, Explain, GetStatus, MarkReady, Reconnect,
        SendBinary, SendJson, SendString, Subscribe, Unsubscribe,
    },
    protocol::{CloseCode, CloseFrame, OwnedPayload},
    spec::{Kind, Settings},
};

impl Handler<Connect> for Connection {
    type Result = Result<Connecting, ConnectError>;

    fn handle(&mut self, connect: Connect, ctx: &mut Context<Self>) -> Self::Result {
        self.connect(&connect, ctx).map(|epoch| Connecting { epoch })
    }
}

impl Handler<Reconnect> for Connection {
    type Result = Result<(), ConnectError>;

    fn handle(&mut self, _: Reconnect, ctx: &mut Context<Self>) -> Self::Result {
        self.reconnect(ctx)
    }
}

impl Handler<Disconnect> for Connection {
    type Result = ();

    fn handle(&mut self, disconnect: Disconnect, ctx: &mut Context<Self>) {
        self.disconnect(disconnect.0, ctx);
    }
}

impl Handler<MarkReady> for Connection {
    type Result = ();

    fn handle(&mut self, _: MarkReady, ctx: &mut Context<Self>) {
        self.mark_ready(ctx);
    }
}

impl Handler<GetStatus> for Connection {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.status())
    }
}

impl Handler<Subscribe> for Connection {
    type Result = MessageResult<Subscribe>;

    fn handle(
        &mut self,
        Subscribe(subscription): Subscribe,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let id: SubscriptionId = subscription.id();
        self.fanout.borrow_mut().subscribe(subscription);
        MessageResult(id)
    }
}

impl Handler<Unsubscribe> for Connection {
    type Result = ();

    fn handle(&mut self, Unsubscribe(id): Unsubscribe, _: &mut Context<Self>) {
        self.fanout.borrow_mut().unsubscribe(id);
    }
}

impl Handler<SendJson> for Connection {
    type Result = Enqueue;

    fn handle(&mut self, SendJson(text): SendJson, _: &mut Context<Self>) -> Enqueue {
        self.enqueue(OwnedPayload::Text(text))
    }
}

impl Handler<SendString> for Connection {
    type Result = Enqueue;

    fn handle(&mut self, SendString(text): SendString, _: &mut Context<Self>) -> Enqueue {
        self.enqueue_as_is(OwnedPayload::Text(text))
    }
}

impl Handler<SendBinary> for Connection {
    type Result = Enqueue;

    fn handle(&mut self, SendBinary(bytes): SendBinary, _: &mut Context<Self>) -> Enqueue {
        self.enqueue_as_is(OwnedPayload::Binary(bytes))
    }
}

impl Connection {
    fn enqueue_as_is(&self, payload: OwnedPayload) -> Enqueue {
        match self.kind {
            Kind::String => self.enqueue(payload),
            Kind::Json => Enqueue::refused(Refusal::NotJson),
        }
    }

    fn enqueue(&self, payload: OwnedPayload) -> Enqueue {
        match self.open_link() {
            Some(link) => Enqueue::on(link.clone(), payload),
            None => Enqueue::refused(Refusal::NotConnected),
        }
    }
}

/// The supervisor ends a connection: closed with 1001, answered when its socket is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Terminate;

/// The supervisor ends: the session is closed, and the actor stops once it is gone. Answered then.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Retire;

/// Another connection of the group failed: the session is closed. Answered once it is gone. The next
/// attempt waits for `Release`, which is to come at this time.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Hold(pub(super) Instant);

/// What is held starts again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum Release {
    /// With its group; what gave up stays as it is.
    Group,
    /// With its supervisor, whatever state it is in.
    Everything,
}

/// There is a new supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Adopt {
    pub(super) reports: WeakRecipient<Report>,
    pub(super) restraint: Arc<Restraint>,
}

/// The time to end is over: the socket is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Cut;

/// What the next attempt is to use.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Update {
    pub(super) checked: CheckedConnect,
    pub(super) settings: Arc<Settings>,
    pub(super) supervision: Arc<Supervision>,
}

/// The supervisor is to forget the connection: its actor stops, if it is at rest. Answered with
/// whether it is. The actor decides, because the supervisor knows its state a moment later.
#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct Discard;

impl Handler<Terminate> for Connection {
    type Result = AtRest;

    fn handle(&mut self, _: Terminate, ctx: &mut Context<Self>) -> AtRest {
        self.disconnect(CloseFrame::bare(CloseCode::GOING_AWAY), ctx);
        AtRest(self.rest())
    }
}

impl Handler<Retire> for Connection {
    type Result = AtRest;

    fn handle(&mut self, _: Retire, ctx: &mut Context<Self>) -> AtRest {
        // Until it is at rest it accepts no `Connect`, and then it is no more.
        self.stops_at_rest = true;
        self.disconnect(CloseFrame::bare(CloseCode::GOING_AWAY), ctx);
        if self.is_at_rest() {
            ctx.stop();
        }
        AtRest(self.rest())
    }
}

impl Handler<Hold> for Connection {
    type Result = AtRest;

    fn handle(&mut self, Hold(due): Hold, ctx: &mut Context<Self>) -> AtRest {
        self.hold(due, ctx);
        AtRest(self.rest())
    }
}

impl Handler<Release> for Connection {
    type Result = ();

    fn handle(&mut self, release: Release, ctx: &mut Context<Self>) {
        self.release(matches!(release, Release::Everything), ctx);
    }
}

impl Handler<Adopt> for Connection {
    type Result = ();

    fn handle(&mut self, adopt: Adopt, ctx: &mut Context<Self>) {
        self.adopted(adopt, ctx);
    }
}

impl Handler<Cut> for Connection {
    type Result = ();

    fn handle(&mut self, _: Cut, _: &mut Context<Self>) {
        self.cut();
    }
}

impl Handler<Update> for Connection {
    type Result = ();

    fn handle(&mut self, update: Update, _: &mut Context<Self>) {
        self.update(update);
    }
}

impl Handler<Explain> for Connection {
    type Result = MessageResult<Explain>;

    fn handle(&mut self, _: Explain, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.explain())
    }
}

impl Handler<Discard> for Connection {
    type Result = bool;

    fn handle(&mut self, _: Discard, ctx: &mut Context<Self>) -> bool {
        if self.is_at_rest() {
            ctx.stop();
        }
        self.is_at_rest()
    }
}

/// Answers once the connection is at rest, without holding its mailbox.
pub(super) struct AtRest(oneshot::Receiver<()>);

impl<M: Message<Result = ()>> MessageResponse<Connection, M> for AtRest {
    fn handle(self, _: &mut Context<Connection>, reply: Option<oneshot::Sender<()>>) {
        if let Some(reply) = reply {
            actix_rt::spawn(async move {
                let _ = self.0.await;
                let _ = reply.send(());
            });
        }
    }
}
