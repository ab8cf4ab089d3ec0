use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use wsvisor::{Shutdown, Supervisor};

use super::{gauge::Gauge, pacer::Pacer, seat::Seat};
use crate::{
    plan::{Pace, Phase, Plan, Schedule},
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
    pub(super) load: Option<Load>,
    pub(super) pacer: Option<Pacer>,
    pub(super) cursor: usize,
    pub(super) rng: StdRng,
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
pub(super) struct Load {
    pub(super) began: Instant,
    pub(super) sends: Option<Schedule>,
    pub(super) churns: Schedule,
    /// The next messages of its share.
    pub(super) next_send: u64,
    pub(super) next_churn: u64,
    /// Nothing is sent any more.
    pub(super) ceased: bool,
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

/// Between two looks at timeouts and at how late the thread wakes.
const HEARTBEAT: Duration = Duration::from_millis(20);
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

    /// Looks at what has timed out and how late this is, and asks to be called again.
    fn beat(&mut self, expected: Instant, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.tally.loop_lag.record(now.saturating_duration_since(expected));
        self.time_out(now, ctx);
        if self.pacer.is_none() && self.load.is_some() {
            self.send_due(ctx);
        }
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
        match Pacer::start(&ctx.address()) {
            Ok(pacer) => self.pacer = Some(pacer),
            Err(error) => self.alarm_failed(&error),
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
