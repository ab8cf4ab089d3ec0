//! How a session becomes ready: its greeting, and the mark that it waits for.

use std::{collections::VecDeque, time::Duration};

use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, Message};
use tokio::task::JoinError;

use super::{Connection, watch::Watch};
use crate::{
    lifecycle::{
        Epoch, ExitReason, GreetingFailure, Input, LifecycleEvent, ProviderFailure, State,
    },
    message::Outgoing,
    spec::{Greeting, GreetingSource, Kind, NewSession},
};

impl Connection {
    /// Greets the session that was just opened, where a greeting is asked for.
    pub(super) fn greet(&mut self, session: NewSession, ctx: &mut Context<Self>) {
        let (Some(greeting), Some(link)) = (self.settings.greeting.clone(), self.link.clone())
        else {
            return;
        };
        link.await_greeting();
        let (epoch, limit, kind) = (session.epoch, self.settings.timeouts.provider, self.kind);
        let task = actix_rt::spawn(async move {
            let messages = ask(greeting, session, limit).await?;
            if kind == Kind::Json && messages.iter().any(|message| !message.is_json) {
                return Err(GreetingFailure::NotJson);
            }
            let payloads: VecDeque<_> =
                messages.into_iter().map(|message| message.payload).collect();
            // It fails with its session, whose end is told by itself.
            let _ = link.greet(payloads).await;
            Ok(())
        });
        self.greeter = Some(task.abort_handle());
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
        if epoch != self.machine.epoch() || self.machine.state() != State::Connected {
            return;
        }
        self.greeter = None;
        let failure = match ended {
            Ok(Ok(())) => {
                if self.awaited.greeted() {
                    self.became_ready(ctx);
                }
                return;
            }
            Ok(Err(failure)) => failure,
            Err(error) if error.is_panic() => GreetingFailure::Provider(ProviderFailure::Panicked),
            // It was stopped with its session.
            Err(_) => return,
        };
        if let Some(link) = &self.link {
            link.request_end(ExitReason::Greeting(failure));
        }
    }

    /// The session has ended, and with it whoever greets it.
    pub(super) fn stop_greeting(&mut self) {
        if let Some(greeter) = self.greeter.take() {
            greeter.abort();
        }
    }

    pub(in crate::actor) fn mark_ready(&mut self, ctx: &mut Context<Self>) {
        let _ = self.step(Input::MarkReady, ctx);
        if self.machine.state() == State::Connected && self.awaited.marked() {
            self.became_ready(ctx);
        }
    }

    fn became_ready(&mut self, ctx: &mut Context<Self>) {
        if let Some(link) = &self.link {
            link.open_gate();
        }
        self.emit(self.machine.epoch(), &LifecycleEvent::Ready);
        self.arm_timer(ctx);
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
        if epoch == self.machine.epoch() {
            self.mark_ready(ctx);
        }
    }
}
