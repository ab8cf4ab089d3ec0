use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use futures_util::future::join_all;
use wsvisor::{DialGate, Supervisor};

use super::{
    gauge::{Gauge, Watch},
    listen::Open,
    progress::Progress,
    worker::{Begin, Cease, Dismiss, Finish, Share, Slice, Take, Worker},
};
use crate::{
    findings::{Findings, Generator, Thread},
    plan::{Phase, Plan},
    tally::{Step, Tally, Timeline, Usage, usage},
};

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(
        "no connection could be made; {reason}. Is the server up, and is the URL right? \
         --connect-patience gives it longer"
    )]
    NoConnection { reason: String },
    #[error("a worker's thread has ended: {0}")]
    WorkerGone(#[from] MailboxError),
}

/// Leads the workers through the phases, and gathers what they count.
pub(crate) struct Conductor {
    plan: Arc<Plan>,
    workers: Vec<Staff>,
    progress: Progress,
    began: Instant,
    last_look: Instant,
    tally: Tally,
    timeline: Timeline,
    connected: usize,
    settled: usize,
    in_flight: u64,
    interrupted: bool,
}

/// A worker and its thread.
struct Staff {
    worker: Addr<Worker>,
    in_flight: Gauge,
    arbiter: Arbiter,
    usage: Option<Usage>,
}

/// What the threads and the process had used when the message phase began.
struct Before {
    at: Instant,
    process: Option<(Duration, u64)>,
    threads: Vec<Option<Usage>>,
}

/// Between two looks at the workers.
const LOOK: Duration = Duration::from_millis(250);
/// How long sessions may take to close at the end.
const CLOSE: Duration = Duration::from_secs(5);

impl Conductor {
    pub(crate) fn new(plan: Plan, quiet: bool) -> Self {
        let (plan, now) = (Arc::new(plan), Instant::now());
        let staff = |number| Staff::hire(Share { number, of: plan.workers }, &plan);
        Self {
            workers: (0..plan.workers).map(staff).collect(),
            progress: Progress::start(quiet),
            began: now,
            last_look: now,
            tally: Tally::default(),
            timeline: Timeline::default(),
            connected: 0,
            settled: 0,
            in_flight: 0,
            interrupted: false,
            plan,
        }
    }

    /// Goes through all phases, or ends early and in order when `interrupt` is over.
    pub(crate) async fn run(
        mut self,
        interrupt: impl Future<Output = ()>,
    ) -> Result<Findings, RunError> {
        let mut interrupt = std::pin::pin!(interrupt);
        let began = self.began;
        let connecting = self.connect(interrupt.as_mut()).await?;
        let open_at = self.connected;
        if open_at == 0 && !self.interrupted {
            self.dismiss().await;
            let reasons = self.tally.reasons.iter();
            let reason = reasons.max_by_key(|(_, times)| **times).map(|(reason, _)| reason.clone());
            let reason = reason.unwrap_or_else(|| "none answered in time".to_owned());
            return Err(RunError::NoConnection { reason });
        }
        let idle = self.plan.idle;
        self.wait(Phase::Idle, idle, |_| false, interrupt.as_mut()).await?;

        let timetable = self.plan.timetable;
        let load_began = Instant::now();
        for staff in &self.workers {
            staff.worker.do_send(Begin(load_began));
        }
        self.wait(Phase::WarmUp, timetable.warm_up, |_| false, interrupt.as_mut()).await?;
        let before = self.before();
        let watch = Watch::start(self.workers.iter().map(|it| it.in_flight.clone()).collect());
        self.wait(Phase::Message, timetable.message, |_| false, interrupt.as_mut()).await?;
        let message_took = before.at.elapsed();
        let in_flight = watch.finish();
        let generator = self.generator(&before);
        self.wait(Phase::Churn, timetable.churn, |_| false, interrupt.as_mut()).await?;

        for staff in &self.workers {
            staff.worker.do_send(Cease);
        }
        let drain = self.plan.drain;
        let was_interrupted = self.interrupted;
        self.interrupted = false;
        self.wait(Phase::Drain, drain, |it| it.in_flight == 0, interrupt.as_mut()).await?;
        self.interrupted |= was_interrupted;
        for staff in &self.workers {
            staff.worker.send(Finish).await?;
        }
        self.look().await?;
        self.dismiss().await;
        Ok(Findings {
            connections: self.plan.connections,
            connected: open_at,
            connecting,
            load_began: load_began.saturating_duration_since(began),
            message_took,
            in_flight,
            tally: self.tally,
            timeline: self.timeline,
            generator,
            interrupted: self.interrupted,
            plan: self.plan,
        })
    }

    /// Opens the connections, and returns how long that took.
    async fn connect(
        &mut self,
        interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Duration, RunError> {
        let began = Instant::now();
        for staff in &self.workers {
            staff.worker.do_send(Open(began));
        }
        let last = self.plan.connects().and_then(|all| all.due(self.plan.connections as u64 - 1));
        let longest = last.map_or(Duration::ZERO, |due| due.after) + self.plan.connect_patience;
        let all = self.plan.connections;
        self.wait(Phase::Connect, longest, |it| it.settled == all, interrupt).await?;
        Ok(began.elapsed())
    }

    /// Lets a phase go on until its time is over, `enough` is true, or the run is interrupted.
    async fn wait(
        &mut self,
        phase: Phase,
        length: Duration,
        enough: impl Fn(&Self) -> bool,
        mut interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), RunError> {
        let began = Instant::now();
        while !self.interrupted && !enough(self) {
            let left = length.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            // A short look ends a phase soon where something is waited for.
            let soon = if matches!(phase, Phase::Connect | Phase::Drain) { LOOK / 5 } else { LOOK };
            tokio::select! {
                () = tokio::time::sleep(left.min(soon)) => {}
                () = interrupt.as_mut() => {
                    self.interrupted = true;
                    self.progress.say("interrupted: waiting for the last answers; Ctrl-C again ends at once");
                }
            }
            let step = self.look().await?;
            let done = began.elapsed().as_secs_f64() / length.as_secs_f64();
            self.progress.tell(phase, done, self.plan.connections, &step);
        }
        Ok(())
    }

    /// Gathers what the workers have counted since the last look.
    async fn look(&mut self) -> Result<Step, RunError> {
        let slices = join_all(self.workers.iter().map(|staff| staff.worker.send(Take))).await;
        let (from, now) = (self.last_look, Instant::now());
        let (mut new, mut answered_before) = (Tally::default(), 0);
        (self.connected, self.settled, self.in_flight) = (0, 0, 0);
        for (slice, staff) in slices.into_iter().zip(&mut self.workers) {
            let Slice { tally, connected, settled, in_flight, usage } = slice?;
            new.add(&tally);
            self.connected += connected;
            self.settled += settled;
            self.in_flight += in_flight;
            staff.usage = usage;
        }
        let mut step = Step {
            from: from.saturating_duration_since(self.began),
            to: now.saturating_duration_since(self.began),
            connected: self.connected,
            in_flight: self.in_flight,
            ..Step::default()
        };
        for counts in new.phases.values() {
            step.sent += counts.sent;
            step.answered += counts.answered;
            step.errors += counts.errors.total();
            if counts.answered > answered_before {
                answered_before = counts.answered;
                (step.p50, step.p99) =
                    (counts.response.percentile(50.0), counts.response.percentile(99.0));
            }
        }
        self.tally.add(&new);
        self.last_look = now;
        self.timeline.push(step);
        Ok(step)
    }

    fn before(&self) -> Before {
        Before {
            at: Instant::now(),
            process: usage::of_this_process(),
            threads: self.workers.iter().map(|staff| staff.usage).collect(),
        }
    }

    /// What the generator itself has used in the message phase.
    fn generator(&self, before: &Before) -> Generator {
        let took = before.at.elapsed();
        let now = usage::of_this_process();
        let share = |part: Duration| part.as_secs_f64() / took.as_secs_f64();
        let threads = self.workers.iter().zip(&before.threads).filter_map(|(staff, before)| {
            let used = staff.usage?.since((*before)?);
            Some(Thread { busy: share(used.cpu), waited: share(used.waited) })
        });
        Generator {
            took,
            cpu: now.zip(before.process).map(|(now, before)| now.0.saturating_sub(before.0)),
            resident: now.map(|(_, resident)| resident),
            threads: threads.collect(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Closes all connections, and ends the threads.
    async fn dismiss(&mut self) {
        self.progress.end();
        let closing = self.workers.iter().map(|staff| staff.worker.send(Dismiss(CLOSE)));
        drop(join_all(closing).await);
        for staff in self.workers.drain(..) {
            staff.arbiter.stop();
        }
    }
}

impl Staff {
    fn hire(share: Share, plan: &Arc<Plan>) -> Self {
        let (arbiter, plan) = (Arbiter::new(), Arc::clone(plan));
        let in_flight = Gauge::default();
        let gauge = in_flight.clone();
        let worker = Worker::start_in_arbiter(&arbiter.handle(), move |_| {
            // Load comes as fast as the plan says: connections are opened by its own schedule, and a
            // server that is down is to be seen as down. The supervisor is started here, so that its
            // connections and the worker share the thread.
            let supervisor = Supervisor::builder()
                .policy(plan.target.policy().clone())
                .dial_gate(DialGate::unlimited())
                .host_breaker(None)
                .start()
                .unwrap_or_else(|error| unreachable!("the same for every load: {error}"));
            Worker::new(share, plan, supervisor, gauge)
        });
        Self { worker, in_flight, arbiter, usage: None }
    }
}
