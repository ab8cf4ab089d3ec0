//! How a session becomes ready: its greeting, and the mark that it waits for.

use std::{collections::VecDeque, time::Duration};

use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, Message};
use tokio::task::JoinError;

use super::{Connection, watch::Watch};
use crate::{
    lifecycle::{
        Epoch, ExitReason, GreetingFailure, Input, LifecycleEvent, ProviderFailure, Side, State,
        Verdict,
    },
    message::Outgoing,
    spec::{Greeting, GreetingSource, NewSession},
};

impl Connection {
    /// Greets the session that was just opened, where a greeting is asked for.
    pub(super) fn greet(&mut self, session: NewSession, ctx: &mut Context<Self>) {
        let Some(greeting) = self.settings.greeting.clone() else { return };
        let Some(link) = self.seat_of(session.epoch).and_then(|seat| seat.link.clone()) else {
            return;
        };
        link.await_greeting();
        let (epoch, limit, kind) = (session.epoch, self.settings.timeouts.provider, self.kind);
        let task = actix_rt::spawn(async move {
            let messages = ask(greeting, session, limit).await?;
            if !messages.iter().all(|message| kind.sends(message.is_json)) {
                return Err(GreetingFailure::NotJson);
            }
            let payloads: VecDeque<_> =
                messages.into_iter().map(|message| message.payload).collect();
            // It fails with its session, whose end is told by itself.
            let _ = link.greet(payloads).await;
            Ok(())
        });
        if let Some(seat) = self.seat_of(epoch) {
            seat.greeter = Some(task.abort_handle());
        }
        ctx.spawn(Watch(task).map(move |ended, connection: &mut Self, ctx| {
            connection.greeted(epoch, ended, ctx);
        }));
    }

    fn greeted(
        &mut self,
        epoch: Epoch,
        ended: Result<Result<(), GreetingFailure>, JoinError>,
        ctx: &mut Context<Self>,
    ) {
        if self.machine.state() != State::Connected {
            return;
        }
        let Some(seat) = self.seat_of(epoch) else { return };
        seat.greeter = None;
        let failure = match ended {
            Ok(Ok(())) => {
                if seat.awaited.greeted() {
                    self.became_ready(epoch, ctx);
                }
                return;
            }
            Ok(Err(failure)) => failure,
            Err(error) if error.is_panic() => GreetingFailure::Provider(ProviderFailure::Panicked),
            // It was stopped with its session.
            Err(_) => return,
        };
        if let Some(link) = &seat.link {
            link.request_end(ExitReason::Greeting(failure));
        }
    }

    pub(in crate::actor) fn mark_ready(&mut self, ctx: &mut Context<Self>) {
        let _ = self.step(Input::MarkReady, ctx);
        let epoch = self.open_successor().unwrap_or_else(|| self.machine.epoch());
        let is_up = self.machine.state() == State::Connected;
        if is_up && self.seat_of(epoch).is_some_and(|seat| seat.awaited.marked()) {
            self.became_ready(epoch, ctx);
        }
    }

    /// Whether the session that is up is ready.
    pub(in crate::actor) fn is_ready(&self) -> bool {
        self.machine.state() == State::Connected
            && self.seat.link.as_ref().is_some_and(|link| link.is_ready())
    }

    fn became_ready(&mut self, epoch: Epoch, ctx: &mut Context<Self>) {
        if self.side_of(epoch) == Side::Beside {
            let _ = self.step(Input::SuccessorReady(epoch), ctx);
        } else if let Some(link) = &self.seat.link {
            link.open_gate();
        }
        if epoch == self.machine.epoch() {
            self.emit(epoch, &LifecycleEvent::Ready);
            self.arm_timer(ctx);
        }
    }
}

async fn ask(
    Greeting(source): Greeting,
    session: NewSession,
    limit: Duration,
) -> Result<Vec<Outgoing>, GreetingFailure> {
    let asked = match source {
        GreetingSource::List(messages) => return Ok(messages.to_vec()),
        GreetingSource::Asked(provider) => provider(session),
    };
    match tokio::time::timeout(limit, asked).await {
        Ok(answer) => answer.map_err(|error| GreetingFailure::Provider(error.into())),
        Err(_) => Err(GreetingFailure::TimedOut { limit }),
    }
}

/// A message of the session of this epoch says that it is ready.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct FoundReady(pub(in crate::actor) Epoch);

impl Handler<FoundReady> for Connection {
    type Result = ();

    fn handle(&mut self, FoundReady(epoch): FoundReady, ctx: &mut Context<Self>) {
        let newest = self.open_successor().unwrap_or_else(|| self.machine.epoch());
        if epoch == newest {
            self.mark_ready(ctx);
        }
    }
}

/// Who was asked does not say whether the session of this epoch is ready.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actor) struct NotToldReady(pub(in crate::actor) Epoch, pub(in crate::actor) Verdict);

impl Handler<NotToldReady> for Connection {
    type Result = ();

    fn handle(&mut self, NotToldReady(epoch, verdict): NotToldReady, _: &mut Context<Self>) {
        tracing::warn!(connection = %self.id, %epoch, "{verdict}");
        // A successor is not known yet. It fails by itself where it does not become ready.
        if epoch == self.machine.epoch() && self.machine.state() == State::Connected {
            self.emit(epoch, &LifecycleEvent::Suspected { verdict });
        }
    }
}
