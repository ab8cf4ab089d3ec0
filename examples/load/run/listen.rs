//! What a worker does with what its connections tell it.

use std::time::{Duration, Instant};

use actix::prelude::*;
use wsvisor::{
    Backoff, Connection, Disconnect, GetSender, Lifecycle, LifecycleEvent, Payload, ReceivedBatch,
    Reconnect, Sender, StartConnection,
};

use super::{seat::Stage, worker::Worker};
use crate::plan::Answers;

/// Open the connections of this share: the first is due at this time.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Open(pub(crate) Instant);

impl Handler<Open> for Worker {
    type Result = ();

    fn handle(&mut self, Open(began): Open, ctx: &mut Context<Self>) {
        self.open_due(began, ctx);
    }
}

impl Worker {
    /// Opens all that are due, and comes back for the next.
    fn open_due(&mut self, began: Instant, ctx: &mut Context<Self>) {
        let connects = self.plan.connects();
        while self.opened < self.seats.len() && !self.closing {
            let global = self.share.global(self.opened) as u64;
            let after = connects
                .as_ref()
                .map_or(Some(Duration::ZERO), |connects| connects.due(global).map(|due| due.after));
            let due = began + after.unwrap_or_default();
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                ctx.run_later(wait, move |worker, ctx| worker.open_due(began, ctx));
                return;
            }
            self.open(self.opened, due, ctx);
            self.opened += 1;
        }
    }

    fn open(&mut self, number: usize, wished: Instant, ctx: &mut Context<Self>) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        (seat.stage, seat.wished) = (Stage::Opening, wished);
        let spec = self.plan.target.connection(self.share.global(number));
        let spec = spec
            .backoff(backoff())
            .subscribe(ctx.address().recipient::<Lifecycle>())
            .subscribe(ctx.address().recipient::<ReceivedBatch>());
        let started = self.supervisor.send(StartConnection(spec));
        let started = async move {
            let address = started.await.map_err(|gone| gone.to_string())?;
            let address = address.map_err(|error| error.to_string())?;
            let sender = address.send(GetSender).await.map_err(|gone| gone.to_string())?;
            Ok::<_, String>((address, sender))
        };
        ctx.spawn(started.into_actor(self).map(move |started, worker, ctx| match started {
            Ok((address, sender)) => worker.has_started(number, address, sender, ctx),
            Err(reason) => worker.is_lost(number, reason),
        }));
    }

    fn has_started(
        &mut self,
        number: usize,
        address: Addr<Connection>,
        sender: Sender,
        ctx: &mut Context<Self>,
    ) {
        if let Some(seat) = self.seats.get_mut(number) {
            (seat.address, seat.sender) = (Some(address), Some(sender));
        }
        self.refill(number, Instant::now(), ctx);
    }

    fn is_lost(&mut self, number: usize, reason: String) {
        if let Some(seat) = self.seats.get_mut(number) {
            seat.stage = Stage::Lost;
        }
        self.tally.connections.given_up += 1;
        self.tally.reason(reason);
    }

    fn has_connected(&mut self, number: usize, now: Instant, ctx: &mut Context<Self>) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        let (before, took) = (seat.stage, now.saturating_duration_since(seat.wished));
        seat.stage = Stage::Up;
        let connections = &mut self.tally.connections;
        match before {
            Stage::Opening => {
                connections.opened += 1;
                connections.open_times.record(took);
            }
            Stage::Returning => {
                connections.churned += 1;
                connections.churn_times.record(took);
            }
            _ => {
                connections.reopened += 1;
                connections.downtimes.record(took);
            }
        }
        self.refill(number, now, ctx);
    }

    fn has_disconnected(&mut self, number: usize, now: Instant, reason: String) {
        self.lose_flights(number);
        let Some(seat) = self.seats.get_mut(number) else { return };
        seat.wished = now;
        if seat.stage == Stage::Returning {
            if let Some(address) = &seat.address {
                address.do_send(Reconnect);
            }
            return;
        }
        seat.stage = Stage::Down;
        self.tally.connections.disconnects += 1;
        self.tally.reason(reason);
    }

    /// Closes a connection that is to be churned, once its last answers have come.
    pub(super) fn leave_if_done(&mut self, number: usize) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        if seat.stage != Stage::Leaving || seat.flights.waiting().next().is_some() {
            return;
        }
        seat.stage = Stage::Returning;
        if let Some(address) = &seat.address {
            address.do_send(Disconnect::normally());
        }
    }

    fn number(&self, connection: &str) -> Option<usize> {
        connection.parse().ok().map(|global| self.share.local(global))
    }
}

impl Handler<Lifecycle> for Worker {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let Some(number) = self.number(told.connection().as_str()) else { return };
        if self.closing {
            return;
        }
        match told.event {
            LifecycleEvent::Connected { .. } => self.has_connected(number, now, ctx),
            LifecycleEvent::Disconnected { reason, .. } => {
                self.has_disconnected(number, now, reason.to_string());
            }
            LifecycleEvent::ConnectionError { reason, .. } => {
                self.tally.connections.failed_attempts += 1;
                self.tally.reason(reason.to_string());
            }
            LifecycleEvent::GaveUp { reason } => self.is_lost(number, reason.to_string()),
            _ => {}
        }
    }
}

impl Handler<ReceivedBatch> for Worker {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let Some(number) = self.number(batch.connection().as_str()) else { return };
        for message in &batch {
            let Some(seat) = self.seats.get_mut(number) else { return };
            let flight = match &self.plan.answers {
                Answers::Next => seat.flights.end_oldest(),
                Answers::ById(pointer) => {
                    id_at(pointer, message).and_then(|id| seat.flights.end(id))
                }
                Answers::None => None,
            };
            match flight {
                Some(flight) => {
                    self.answered(flight, now, message.as_bytes().len());
                    self.go_on(number, ctx);
                }
                None => self.tally.unasked += 1,
            }
        }
        if self.seats.get(number).map(|seat| seat.stage) == Some(Stage::Leaving) {
            self.leave_if_done(number);
        }
    }
}

/// The id that an answer names, as a number or as text.
fn id_at(pointer: &str, message: Payload<'_>) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(message.as_bytes()).ok()?;
    let id = value.pointer(pointer)?;
    id.as_u64().or_else(|| id.as_str()?.parse().ok())
}

/// A server that drops connections is dialled again soon, and not in a loop.
fn backoff() -> Backoff {
    let backoff = Backoff::between(Duration::from_millis(200), Duration::from_secs(5));
    backoff.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_ids_in_answers() {
        let table = [
            (r#"{"id":42,"ok":true}"#, "/id", Some(42)),
            (r#"{"id":"42"}"#, "/id", Some(42)),
            (r#"{"result":{"id":7}}"#, "/result/id", Some(7)),
            (r#"{"event":"tick"}"#, "/id", None),
            ("hello", "/id", None),
        ];
        for (text, pointer, expected) in table {
            assert_eq!(id_at(pointer, Payload::Text(text)), expected, "{text}");
        }
    }
}
