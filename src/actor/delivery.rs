use std::rc::Rc;

use actix::{Actor, Message, dev::MessageResponse};
use tokio::sync::oneshot;

use crate::{
    error::{Delivery, Refusal, SendError},
    protocol::OwnedPayload,
    transport::{Link, Outgoing},
};

/// The answer to a send: it puts the message into the outbox together with the sender's reply, so
/// that nothing is spawned and nothing is awaited between the two.
pub struct Enqueue(Result<(Rc<Link>, OwnedPayload), Refusal>);

impl Enqueue {
    pub(super) const fn on(link: Rc<Link>, payload: OwnedPayload) -> Self {
        Self(Ok((link, payload)))
    }

    pub(super) const fn refused(refusal: Refusal) -> Self {
        Self(Err(refusal))
    }
}

impl<A, M> MessageResponse<A, M> for Enqueue
where
    A: Actor,
    M: Message<Result = Result<Delivery, SendError>>,
{
    fn handle(self, _: &mut A::Context, reply: Option<oneshot::Sender<M::Result>>) {
        let (refusal, reply) = match self.0 {
            Err(refusal) => (refusal, reply),
            Ok((link, payload)) => match link.push(Outgoing { payload, reply }) {
                Ok(()) => return,
                Err((_, message)) => {
                    let (messages, bytes) = link.queued();
                    (Refusal::OutboxFull { messages, bytes }, message.reply)
                }
            },
        };
        if let Some(reply) = reply {
            let _ = reply.send(Err(refusal.into()));
        }
    }
}
