use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use futures_util::future::Either;
use rand::{SeedableRng as _, rngs::StdRng};
use wsvisor::{SendBinary, SendString, Shutdown, Supervisor};

use super::{
    flights::Flight,
    gauge::Gauge,
    pacer::{Pacer, Wake},
    seat::{Seat, Stage},
};
use crate::{
    plan::{Answers, Message, Pace, Phase, Place, Plan, Schedule},
    tally::{Tally, Usage},
};

/// One thread's share of the connections: opens them, sends on them, and counts what happens.
///
/// Of W workers, the one numbered w has the connections and the messages w, w + W, w + 2W and so on.
pub(crate) struct Worker {
    pub(super) share: Share,
    pub(super) plan: Arc<Plan>,
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) seats: Vec<Seat>,
    pub(super) opened: usize,
    pub(super) tally: Tally,
    /// Messages without an answer, on all its connections.
    pub(super) in_flight: Gauge,
    load: Option<Load>,
    pacer: Option<Pacer>,
    cursor: usize,
    rng: StdRng,
    /// The run is over: what ends now, ends as it should.
    pub(super) closing: bool,
}

/// Which worker of how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) number: usize,
    pub(crate) of: usize,
}

/// What is under way while messages flow.
struct Load {
    began: Instant,
    sends: Option<Schedule>,
    churns: Schedule,
    /// The next messages of its share.
    next_send: u64,
    next_churn: u64,
    /// Nothing is sent any more.
    ceased: bool,
}

/// Begin to send: the first message is due at this time.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Begin(pub(crate) Instant);

/// Send nothing any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Cease;

/// Wait for no answer any more, and for no session that ends.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Finish;

/// Close all sessions, within this time.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Dismiss(pub(crate) Duration);

/// Hand over what was counted since the last time.
#[derive(Message)]
#[rtype(result = "Slice")]
pub(crate) struct Take;

/// What a worker has counted, and how it stands.
pub(crate) struct Slice {
    pub(crate) tally: Tally,
    pub(crate) connected: usize,
    /// Connections whose first attempts are over.
    pub(crate) settled: usize,
    pub(crate) in_flight: u64,
    /// Of its thread, since that began.
    pub(crate) usage: Option<Usage>,
}

/// What became of handing a message to its connection.
#[derive(Message)]
#[rtype(result = "()")]
struct Handed {
    seat: usize,
    id: u64,
    refused: Option<String>,
}

/// Between two looks at timeouts and at how late the thread wakes.
const HEARTBEAT: Duration = Duration::from_millis(20);
/// A message sent so much after it was due is late.
const LATE: Duration = Duration::from_millis(1);
/// Messages sent before answers are looked at again.
const BURST: usize = 512;
/// A closed loop whose message was refused tries again after this.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

impl Share {
    /// The run's number of what is the n-th here.
    pub(super) const fn global(self, local: usize) -> usize {
        self.number + local * self.of
    }

    pub(super) const fn local(self, global: usize) -> usize {
        global / self.of
    }

    /// How many of so many are of this share.
    pub(crate) const fn count(self, all: usize) -> usize {
        (all + self.of - 1 - self.number) / self.of
    }
}

impl Worker {
    pub(crate) fn new(
        share: Share,
        plan: Arc<Plan>,
        supervisor: Addr<Supervisor>,
        in_flight: Gauge,
    ) -> Self {
        let now = Instant::now();
        let seats = share.count(plan.connections);
        Self {
            share,
            plan,
            supervisor,
            seats: std::iter::repeat_with(|| Seat::waiting(now)).take(seats).collect(),
            opened: 0,
            tally: Tally::default(),
            in_flight,
            load: None,
            pacer: None,
            cursor: 0,
            rng: StdRng::from_rng(&mut rand::rng()),
            closing: false,
        }
    }

    /// The phase in which messages are due now; none where none are.
    pub(super) fn phase(&self, now: Instant) -> Option<Phase> {
        let load = self.load.as_ref().filter(|load| !load.ceased)?;
        self.plan.timetable.phase_at(now.checked_duration_since(load.began)?)
    }

    /// Sends all that is due, and closes what is to be churned.
    fn send_due(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        for _ in 0..BURST {
            let Some((due, phase)) = self.next_due().filter(|(due, _)| *due <= now) else {
                break;
            };
            let Some(load) = &mut self.load else { return };
            let id = load.next_send;
            load.next_send += self.share.of as u64;
            match self.next_seat() {
                Some(seat) => self.send(seat, id, due, phase, ctx),
                None => self.refuse(phase, "no connection is there to send on"),
            }
        }
        self.churn_due(now);
        self.sleep();
    }

    /// When the next message is due in the open loop.
    fn next_due(&self) -> Option<(Instant, Phase)> {
        let load = self.load.as_ref().filter(|load| !load.ceased)?;
        let due = load.sends.as_ref()?.due(load.next_send)?;
        Some((load.began + due.after, due.phase))
    }

    fn churn_due(&mut self, now: Instant) {
        while let Some(due) = self.next_churn().filter(|due| *due <= now) {
            let _ = due;
            if let Some(load) = &mut self.load {
                load.next_churn += self.share.of as u64;
            }
            if let Some(seat) = self.next_seat().filter(|seat| self.is_up(*seat)) {
                if let Some(seat) = self.seats.get_mut(seat) {
                    seat.stage = Stage::Leaving;
                }
                self.leave_if_done(seat);
            }
        }
    }

    fn next_churn(&self) -> Option<Instant> {
        let load = self.load.as_ref().filter(|load| !load.ceased)?;
        Some(load.began + load.churns.due(load.next_churn)?.after)
    }

    fn sleep(&self) {
        let next = [self.next_due().map(|(due, _)| due), self.next_churn()];
        if let (Some(next), Some(pacer)) = (next.into_iter().flatten().min(), &self.pacer) {
            pacer.wake_at(next);
        }
    }

    /// The connections take turns, but for those that are away on purpose.
    fn next_seat(&mut self) -> Option<usize> {
        let seats = self.seats.len();
        let turns = (0..seats).map(|turn| (self.cursor + turn) % seats);
        let found = turns
            .into_iter()
            .find(|seat| self.seats.get(*seat).is_some_and(Seat::takes_messages))?;
        self.cursor = found + 1;
        Some(found)
    }

    fn is_up(&self, seat: usize) -> bool {
        self.seats.get(seat).is_some_and(|seat| seat.stage == Stage::Up && seat.address.is_some())
    }

    /// Sends a message, if the connection has a session.
    fn send(
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
        let Some(address) = seat.address.as_ref().filter(|_| seat.stage == Stage::Up) else {
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

        let told = ctx.address();
        let must_tell = self.plan.answers == Answers::None;
        let handed = match message {
            Message::Text(text) => Either::Left(address.send(SendString::new(text))),
            Message::Binary(bytes) => Either::Right(address.send(SendBinary::new(bytes))),
        };
        actix::spawn(async move {
            let refused = match handed.await {
                Ok(Ok(_)) if !must_tell => return,
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(gone) => Some(gone.to_string()),
            };
            told.do_send(Handed { seat: number, id, refused });
        });
    }

    fn refuse(&mut self, phase: Phase, reason: &str) {
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

    fn time_out(&mut self, now: Instant, ctx: &mut Context<Self>) {
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

    /// Looks at what has timed out and how late this is, and asks to be called again.
    fn beat(&mut self, expected: Instant, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.tally.loop_lag.record(now.saturating_duration_since(expected));
        self.time_out(now, ctx);
        let next = now + HEARTBEAT;
        ctx.run_later(HEARTBEAT, move |worker, ctx| worker.beat(next, ctx));
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.beat(Instant::now(), ctx);
    }
}

impl Handler<Begin> for Worker {
    type Result = ();

    fn handle(&mut self, Begin(began): Begin, ctx: &mut Context<Self>) {
        match Pacer::start(ctx.address()) {
            Ok(pacer) => self.pacer = Some(pacer),
            Err(error) => self.tally.reason(format!("no thread for the pacer: {error}")),
        }
        self.load = Some(Load {
            began,
            sends: self.plan.sends(),
            churns: self.plan.churns(),
            next_send: self.share.number as u64,
            next_churn: self.share.number as u64,
            ceased: false,
        });
        if matches!(self.plan.pace, Pace::Answers { .. }) {
            for number in 0..self.seats.len() {
                self.refill(number, began, ctx);
            }
        }
        self.sleep();
    }
}

impl Handler<Wake> for Worker {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        self.send_due(ctx);
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

impl Handler<Cease> for Worker {
    type Result = ();

    fn handle(&mut self, _: Cease, _: &mut Context<Self>) {
        if let Some(load) = &mut self.load {
            load.ceased = true;
        }
    }
}

impl Handler<Finish> for Worker {
    type Result = ();

    fn handle(&mut self, _: Finish, _: &mut Context<Self>) {
        self.closing = true;
        for seat in &mut self.seats {
            for flight in seat.flights.end_all() {
                self.in_flight.end();
                self.tally.phase(flight.phase).errors.unanswered += 1;
            }
        }
    }
}

impl Handler<Dismiss> for Worker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Dismiss(within): Dismiss, _: &mut Context<Self>) -> Self::Result {
        self.closing = true;
        let shut_down = self.supervisor.send(Shutdown::within(within));
        // A supervisor that is gone has no connections.
        Box::pin(async move { shut_down.await.unwrap_or_default() })
    }
}

impl Handler<Take> for Worker {
    type Result = MessageResult<Take>;

    fn handle(&mut self, _: Take, _: &mut Context<Self>) -> Self::Result {
        MessageResult(Slice {
            tally: std::mem::take(&mut self.tally),
            connected: self.seats.iter().filter(|seat| seat.has_session()).count(),
            settled: self.seats.iter().filter(|seat| seat.is_settled()).count(),
            in_flight: self.in_flight.now(),
            usage: Usage::of_this_thread(),
        })
    }
}
