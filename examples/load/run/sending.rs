//! The way of a message: it is sent, answered, or counted as what became of it instead.

use std::time::{Duration, Instant};

use super::{flights::Flight, seat::Stage, worker::Worker};
use crate::plan::{Answers, Message as Payload, Pace, Phase, Place};
use actix::prelude::*;

/// What became of handing a message to its connection.
#[derive(Message)]
#[rtype(result = "()")]
struct Handed {
    seat: usize,
    id: u64,
    refused: Option<String>,
}

/// A message sent so much after it was due is late.
const LATE: Duration = Duration::from_millis(1);
/// A closed loop whose message was refused tries again after this.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

impl Worker {
    /// Sends a message, if the connection has a session.
    pub(super) fn send(
        &mut self,
        number: usize,
        id: u64,
        due: Instant,
        phase: Phase,
        ctx: &mut Context<Self>,
    ) {
        let now = Instant::now();
        let connection = self.share.global(number);
        let Some(seat) = self.seats.get_mut(number) else { return };
        let Some(sender) = seat.sender.as_ref().filter(|_| seat.stage == Stage::Up) else {
            return self.refuse(phase, "its connection is not connected");
        };
        let place = Place { id, connection, sequence: seat.sequence };
        let message = self.plan.messages.message(place, &mut self.rng);
        seat.sequence += 1;
        seat.flights.begin(id, Flight { phase, due, sent: now, timed_out: false });
        self.in_flight.begin();

        let lateness = now.saturating_duration_since(due);
        let counts = self.tally.phase(phase);
        counts.due += 1;
        counts.sent += 1;
        counts.late += u64::from(lateness > LATE);
        counts.lateness.record(lateness);
        counts.bytes_sent += message.len() as u64;

        let sending = match message {
            Payload::Text(text) => sender.send_text(text),
            Payload::Binary(bytes) => sender.send_binary(bytes),
        };
        // What is answered tells by itself what became of it: an answer comes, or the session ends.
        if sending.refusal().is_some() || self.plan.answers == Answers::None {
            let told = ctx.address();
            actix::spawn(async move {
                let refused = sending.await.err().map(|error| error.to_string());
                told.do_send(Handed { seat: number, id, refused });
            });
        }
    }

    pub(super) fn refuse(&mut self, phase: Phase, reason: &str) {
        let counts = self.tally.phase(phase);
        counts.due += 1;
        counts.errors.refused += 1;
        self.tally.reason(format!("not sent: {reason}"));
    }

    /// A message has its answer.
    pub(super) fn answered(&mut self, flight: Flight, now: Instant, bytes: usize) {
        if flight.timed_out {
            return;
        }
        self.in_flight.end();
        let is_in_time = self.phase(now) == Some(flight.phase);
        let counts = self.tally.phase(flight.phase);
        counts.answered += 1;
        counts.answered_in_time += u64::from(is_in_time);
        counts.bytes_received += bytes as u64;
        counts.service.record(now.saturating_duration_since(flight.sent));
        counts.response.record(now.saturating_duration_since(flight.due));
    }

    /// Closed loop: fills a connection's places that are free.
    pub(super) fn refill(&mut self, number: usize, due: Instant, ctx: &mut Context<Self>) {
        let Pace::Answers { in_flight, .. } = self.plan.pace else { return };
        while self.is_up(number) {
            let waiting = self.seats.get(number).map_or(0, |seat| seat.flights.waiting().count());
            if waiting >= in_flight {
                return;
            }
            let Some(phase) = self.phase(Instant::now()) else { return };
            let Some(load) = &mut self.load else { return };
            let id = load.next_send;
            load.next_send += self.share.of as u64;
            self.send(number, id, due, phase, ctx);
        }
    }

    /// Closed loop: goes on after an answer, and a pause if there is to be one.
    pub(super) fn go_on(&mut self, number: usize, ctx: &mut Context<Self>) {
        match self.plan.pace {
            Pace::Answers { think, .. } if think.is_zero() => {
                self.refill(number, Instant::now(), ctx);
            }
            Pace::Answers { think, .. } => {
                let due = Instant::now() + think;
                ctx.run_later(think, move |worker, ctx| worker.refill(number, due, ctx));
            }
            Pace::Rate(_) => {}
        }
    }

    /// Counts what was under way on a session that is over.
    pub(super) fn lose_flights(&mut self, number: usize) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        for flight in seat.flights.end_all() {
            self.in_flight.end();
            self.tally.phase(flight.phase).errors.lost += 1;
        }
    }

    pub(super) fn time_out(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let Some(sent_before) = now.checked_sub(self.plan.timeout) else { return };
        for number in 0..self.seats.len() {
            let Some(seat) = self.seats.get_mut(number) else { return };
            let timed_out = seat.flights.time_out(sent_before);
            for flight in &timed_out {
                self.in_flight.end();
                self.tally.phase(flight.phase).errors.timed_out += 1;
            }
            if !timed_out.is_empty() {
                self.leave_if_done(number);
                self.refill(number, now, ctx);
            }
        }
    }
}

impl Handler<Handed> for Worker {
    type Result = ();

    fn handle(&mut self, handed: Handed, ctx: &mut Context<Self>) {
        let Handed { seat: number, id, refused } = handed;
        let Some(seat) = self.seats.get_mut(number) else { return };
        // Where the session ended meanwhile, it counts as lost already.
        let Some(flight) = seat.flights.end(id).filter(|flight| !flight.timed_out) else { return };
        match refused {
            None => {
                self.answered(flight, Instant::now(), 0);
                self.go_on(number, ctx);
            }
            Some(reason) => {
                self.in_flight.end();
                self.tally.phase(flight.phase).errors.refused += 1;
                self.tally.reason(format!("not sent: {reason}"));
                ctx.run_later(AFTER_REFUSAL, move |worker, ctx| {
                    worker.refill(number, Instant::now(), ctx);
                });
            }
        }
        self.leave_if_done(number);
    }
}
