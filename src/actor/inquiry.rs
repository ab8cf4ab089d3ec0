//! A user's recipient is asked whether a session is ready.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix::{Recipient, dev::RecipientRequest};
use tokio::time::{Timeout, timeout};

use crate::{
    lifecycle::{ConnectionId, Epoch, Verdict},
    message::AskReady,
    protocol::{OwnedPayload, Payload},
};

/// What is asked about one session.
pub(super) struct Inquiry {
    whom: Recipient<AskReady>,
    connection: ConnectionId,
    epoch: Epoch,
    within: Duration,
    /// The one that is not answered.
    question: Option<Pin<Box<Timeout<RecipientRequest<AskReady>>>>>,
    /// What one read completed, and nobody was asked about yet.
    messages: Vec<OwnedPayload>,
}

/// How an inquiry ends.
pub(super) enum Outcome {
    Ready,
    /// Nobody is asked any more.
    Failed(Verdict),
}

impl Inquiry {
    pub(super) const fn new(
        whom: Recipient<AskReady>,
        connection: ConnectionId,
        epoch: Epoch,
        within: Duration,
    ) -> Self {
        Self { whom, connection, epoch, within, question: None, messages: Vec::new() }
    }

    /// This came. [`poll`](Self::poll) has to be done before more is read.
    pub(super) fn add(&mut self, message: Payload<'_>) {
        self.messages.push(message.into());
    }

    /// Asks about what came. Pending until it is answered; nothing where the answer is no.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        loop {
            let Some(question) = &mut self.question else {
                if self.messages.is_empty() {
                    return Poll::Ready(None);
                }
                let question = self.whom.send(AskReady {
                    connection: self.connection.clone(),
                    epoch: self.epoch,
                    messages: std::mem::take(&mut self.messages),
                });
                self.question = Some(Box::pin(timeout(self.within, question)));
                continue;
            };
            let answer = ready!(question.as_mut().poll(cx));
            self.question = None;
            return Poll::Ready(Some(match answer {
                Ok(Ok(true)) => Outcome::Ready,
                Ok(Ok(false)) => continue,
                Ok(Err(_)) => Outcome::Failed(Verdict::NobodyToAsk),
                Err(_) => Outcome::Failed(Verdict::ReadinessUnanswered { within: self.within }),
            }));
        }
    }
}
