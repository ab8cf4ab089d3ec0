//! What the connection's actor does with each command.

use actix::{Handler, MessageResult};

use super::{
    connection::{Connection, ConnectionContext},
    delivery::{Enqueue, EnqueueBatch},
};
use crate::{
    error::ConnectError,
    lifecycle::SubscriptionId,
    message::{
        Connect, Connecting, Disconnect, Explain, GetSender, GetStatus, MarkReady, PolicySet,
        Reconnect, SendBatch, SendBinary, SendJson, SendString, SetPolicy, SetPolicyError,
        Subscribe, Unsubscribe,
    },
    protocol::OwnedPayload,
};

impl Handler<Connect> for Connection {
    type Result = Result<Connecting, ConnectError>;

    fn handle(&mut self, connect: Connect, ctx: &mut ConnectionContext) -> Self::Result {
        self.connect(&connect, ctx).map(|epoch| Connecting { epoch })
    }
}

impl Handler<Reconnect> for Connection {
    type Result = Result<(), ConnectError>;

    fn handle(&mut self, _: Reconnect, ctx: &mut ConnectionContext) -> Self::Result {
        self.reconnect(ctx)
    }
}

impl Handler<SetPolicy> for Connection {
    type Result = Result<PolicySet, SetPolicyError>;

    fn handle(
        &mut self,
        SetPolicy(policy): SetPolicy,
        ctx: &mut ConnectionContext,
    ) -> Self::Result {
        if self.bond.superior.is_some() {
            return Err(SetPolicyError::Supervised);
        }
        Ok(PolicySet::of_one(self.enforce(policy, ctx).is_ok()))
    }
}

impl Handler<Disconnect> for Connection {
    type Result = ();

    fn handle(&mut self, disconnect: Disconnect, ctx: &mut ConnectionContext) {
        self.disconnect(disconnect.0, ctx);
    }
}

impl Handler<MarkReady> for Connection {
    type Result = ();

    fn handle(&mut self, _: MarkReady, ctx: &mut ConnectionContext) {
        self.mark_ready(ctx);
    }
}

impl Handler<GetStatus> for Connection {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut ConnectionContext) -> Self::Result {
        MessageResult(self.status())
    }
}

impl Handler<Subscribe> for Connection {
    type Result = MessageResult<Subscribe>;

    fn handle(
        &mut self,
        Subscribe(subscription): Subscribe,
        _: &mut ConnectionContext,
    ) -> Self::Result {
        let id: SubscriptionId = subscription.id();
        let now = (self.machine.epoch(), self.machine.state());
        self.fanout.subscribe(subscription, Some(now));
        MessageResult(id)
    }
}

impl Handler<Unsubscribe> for Connection {
    type Result = ();

    fn handle(&mut self, Unsubscribe(id): Unsubscribe, _: &mut ConnectionContext) {
        self.fanout.unsubscribe(id);
    }
}

impl Handler<SendJson> for Connection {
    type Result = Enqueue;

    fn handle(&mut self, send: SendJson, _: &mut ConnectionContext) -> Enqueue {
        self.enqueue(OwnedPayload::Text(send.text), send.terms)
    }
}

impl Handler<SendString> for Connection {
    type Result = Enqueue;

    fn handle(&mut self, send: SendString, _: &mut ConnectionContext) -> Enqueue {
        self.enqueue_as_is(OwnedPayload::Text(send.text), send.terms)
    }
}

impl Handler<SendBinary> for Connection {
    type Result = Enqueue;

    fn handle(&mut self, send: SendBinary, _: &mut ConnectionContext) -> Enqueue {
        self.enqueue_as_is(OwnedPayload::Binary(send.bytes), send.terms)
    }
}

impl Handler<SendBatch> for Connection {
    type Result = EnqueueBatch;

    fn handle(&mut self, batch: SendBatch, _: &mut ConnectionContext) -> EnqueueBatch {
        self.enqueue_batch(batch)
    }
}

impl Handler<GetSender> for Connection {
    type Result = MessageResult<GetSender>;

    fn handle(&mut self, _: GetSender, ctx: &mut ConnectionContext) -> Self::Result {
        MessageResult(self.sender(ctx))
    }
}

impl Handler<Explain> for Connection {
    type Result = MessageResult<Explain>;

    fn handle(&mut self, _: Explain, _: &mut ConnectionContext) -> Self::Result {
        MessageResult(self.explain())
    }
}
