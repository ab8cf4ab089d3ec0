//! How a session becomes ready: its greeting, and the mark that it waits for.

use std::collections::VecDeque;

use super::{Connection, ConnectionContext, owned::Owned};
use crate::{
    lifecycle::{Epoch, ExitReason, GreetingFailure, Input, LifecycleEvent, Side, State, Verdict},
    message::Outgoing,
    protocol::OwnedPayload,
    spec::{Greeting, GreetingSource, Kind, NewSession},
};

impl Connection {
    /// Greets the session that was just opened, where a greeting is asked for.
    pub(super) fn greet(&mut self, session: NewSession) {
        let Some(Greeting(source)) = self.settings.greeting.clone() else { return };
        let (epoch, limit, kind) = (session.epoch, self.settings.timeouts.provider, self.kind);
        let Some(seat) = self.seat_of(epoch) else { return };
        if let Some(link) = &seat.link {
            link.await_greeting();
        }
        match source {
            GreetingSource::List(messages) => {
                self.greet_with(epoch, payloads(messages.to_vec(), kind));
            }
            GreetingSource::Asked(provider) => {
                seat.greeter = Some(Owned::spawn(async move {
                    match tokio::time::timeout(limit, provider(session)).await {
                        Ok(Ok(messages)) => payloads(messages, kind),
                        Ok(Err(error)) => Err(GreetingFailure::Provider(error.into())),
                        Err(_) => Err(GreetingFailure::TimedOut { limit }),
                    }
                }));
            }
        }
    }

    /// The greeting of the session of this epoch is this, or there is none.
    pub(super) fn greet_with(
        &mut self,
        epoch: Epoch,
        greeting: Result<VecDeque<OwnedPayload>, GreetingFailure>,
    ) {
        let is_up = self.machine.state() == State::Connected;
        let Some(link) = self.seat_of(epoch).and_then(|seat| seat.link.as_ref()) else { return };
        match greeting {
            Ok(messages) => link.greet(messages),
            Err(failure) if is_up => link.request_end(ExitReason::Greeting(failure)),
            // It ends already.
            Err(_) => {}
        }
    }

    /// All of the greeting is written.
    pub(super) fn greeted(&mut self, epoch: Epoch, ctx: &mut ConnectionContext) {
        let is_ready = self.seat_of(epoch).is_some_and(|seat| seat.awaited.greeted());
        if is_ready && self.machine.state() == State::Connected {
            self.became_ready(epoch, ctx);
        }
    }

    pub(in crate::actor) fn mark_ready(&mut self, ctx: &mut ConnectionContext) {
        let _ = self.step(Input::MarkReady, ctx);
        let epoch = self.open_successor().unwrap_or_else(|| self.machine.epoch());
        let is_up = self.machine.state() == State::Connected;
        if is_up && self.seat_of(epoch).is_some_and(|seat| seat.awaited.marked()) {
            self.became_ready(epoch, ctx);
        }
    }

    /// A message of the session of this epoch says that it is ready.
    pub(super) fn found_ready(&mut self, epoch: Epoch, ctx: &mut ConnectionContext) {
        let newest = self.open_successor().unwrap_or_else(|| self.machine.epoch());
        if epoch == newest {
            self.mark_ready(ctx);
        }
    }

    /// Who was asked does not say whether the session of this epoch is ready.
    pub(super) fn not_told_ready(&mut self, epoch: Epoch, verdict: Verdict) {
        tracing::warn!(connection = %self.id, %epoch, "{verdict}");
        // A successor is not known yet. It fails by itself where it does not become ready.
        if epoch == self.machine.epoch() && self.machine.state() == State::Connected {
            self.emit(epoch, &LifecycleEvent::Suspected { verdict });
        }
    }

    /// Whether the session that is up is ready.
    pub(in crate::actor) fn is_ready(&self) -> bool {
        self.machine.state() == State::Connected
            && self.seat.link.as_ref().is_some_and(|link| link.is_ready())
    }

    fn became_ready(&mut self, epoch: Epoch, ctx: &mut ConnectionContext) {
        if self.side_of(epoch) == Side::Beside {
            let _ = self.step(Input::SuccessorReady(epoch), ctx);
        } else if let Some(link) = &self.seat.link {
            link.open_gate();
        }
        if epoch == self.machine.epoch() {
            self.emit(epoch, &LifecycleEvent::Ready);
            self.arm_timer();
        }
    }
}

fn payloads(
    messages: Vec<Outgoing>,
    kind: Kind,
) -> Result<VecDeque<OwnedPayload>, GreetingFailure> {
    if !messages.iter().all(|message| kind.sends(message.is_json)) {
        return Err(GreetingFailure::NotJson);
    }
    Ok(messages.into_iter().map(|message| message.payload).collect())
}
