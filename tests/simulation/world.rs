//! Runs a plan in virtual time.

use std::{rc::Rc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use wsvisor::{
    Strategy,
    testing::{Network, virtual_time},
};

use crate::{
    fates::Fates,
    fleet::Live,
    journal::Journal,
    plan::{Command, Home, Move, Plan},
    seat::Seat,
    servers::Host,
    watch::Watch,
};

/// What a run was like.
pub(crate) struct Outcome {
    pub(crate) history: Vec<String>,
    pub(crate) violations: Vec<String>,
}

pub(crate) fn run(plan: &Plan) -> Outcome {
    virtual_time(plan.seed, async {
        let world = World::open(plan).await;
        let journal = world.journal.clone();
        world.play(plan).await;
        let (history, violations) = journal.close();
        Outcome { history, violations }
    })
}

struct World {
    journal: Journal,
    watch: Watch,
    hosts: Vec<Host>,
    supervisors: Vec<Seat>,
    fleet: Vec<Rc<Live>>,
    fates: Fates,
}

impl World {
    async fn open(plan: &Plan) -> Self {
        let (journal, network) = (Journal::begin(), Network::with_capacity(plan.pipes));
        let fates = Fates::begin(&journal);
        let watch = Watch::over(network.clone(), &fates, journal.clone());
        let hosts: Vec<_> = (0..plan.servers)
            .map(|number| Host::start(number, plan.seed, &network, &fates, &journal))
            .collect();
        let supervisors = Seat::start(plan).await;
        let fleet = plan.members.iter().enumerate().map(|(number, member)| {
            let supervisor = match member.home {
                Home::Alone => None,
                Home::Supervisor(supervisor) => Some(supervisors[supervisor].clone()),
            };
            let server = hosts[member.server].url();
            Live::new(number, member.clone(), server, supervisor, &watch, &fates, &journal)
        });
        let fleet = fleet.collect();
        Self { journal, watch, hosts, supervisors, fleet, fates }
    }

    async fn play(mut self, plan: &Plan) {
        let began = Instant::now();
        for live in &self.fleet {
            live.start().await;
            if live.member.home == Home::Alone {
                live.command(Command::Connect);
            }
        }
        for (at, what) in &plan.moves {
            sleep_until(began + *at).await;
            match what {
                Move::Fault { server, fault } => {
                    self.journal.note(format_args!("server {server}: {fault:?}"));
                    self.hosts[*server].suffer(*fault);
                }
                Move::Command { member, command } => {
                    self.journal.note(format_args!("c{member} is told {command:?}"));
                    self.fleet[*member].command(*command);
                }
            }
        }
        sleep_until(began + plan.length).await;
        // Some fleets are shut down in the middle of the storm.
        if !plan.seed.is_multiple_of(3) {
            self.recover().await;
        }
        self.shut_down(plan).await;
    }

    async fn recover(&mut self) {
        self.journal.note("the faults stop");
        for host in &mut self.hosts {
            host.recover();
        }
        sleep(self.longest_recovery()).await;
        for live in &self.fleet {
            live.check_recovery().await;
        }
    }

    /// An attempt or a close may be under way, which fails at its timeout; then the connection backs
    /// off once more, or waits as long as a server asked it to; and then for the host's breaker.
    fn longest_recovery(&self) -> Duration {
        // Its supervisor may have given up, and wait to be started again.
        const LONGEST_RESTART: Duration = Duration::from_mins(1);
        const LONGEST_DEAD_TIME: Duration = Duration::from_secs(60 + 18);
        const TIMEOUT: Duration = Duration::from_secs(10);
        const LONGEST_HINT: Duration = Duration::from_secs(60 + 5);
        let backoffs = self.fleet.iter().map(|live| live.member.backoff.1);
        let closes = self.fleet.iter().map(|live| live.member.close_timeout);
        let backoff = backoffs.max().unwrap_or_default().max(LONGEST_HINT);
        LONGEST_RESTART
            + LONGEST_DEAD_TIME
            + TIMEOUT
            + closes.max().unwrap_or_default()
            + backoff
            + Duration::from_secs(2)
    }

    /// One after the other, or all at once.
    fn longest_shutdown(&self, supervisor: usize, strategy: &Strategy) -> Duration {
        const LINGER: Duration = Duration::from_millis(1_010);
        let members = self.fleet.iter().map(|live| &live.member);
        let below = members.filter(|member| member.home == Home::Supervisor(supervisor));
        let closes = below.map(|member| member.close_timeout + LINGER);
        match strategy {
            Strategy::Dynamic(_) => closes.max().unwrap_or(LINGER),
            _ => closes.sum::<Duration>() + LINGER,
        }
    }

    async fn shut_down(self, plan: &Plan) {
        for live in &self.fleet {
            live.retire();
        }
        for (number, supervisor) in self.supervisors.iter().enumerate() {
            let bound = self.longest_shutdown(number, &plan.supervisors[number].0);
            self.journal.note(format_args!("u{number} is shut down"));
            let began = Instant::now();
            let seat = supervisor.clone();
            let shutdown = actix_rt::spawn(async move { seat.shut_down().await });
            // What was under way at this instant is done at the next.
            sleep(Duration::from_millis(1)).await;
            self.watch.close(&format!("u{number}"));
            let answer = shutdown.await;
            self.journal.check(matches!(answer, Ok(true)), format_args!("Shutdown: {answer:?}"));
            let took = began.elapsed();
            self.journal.check(took <= bound, format_args!("Shutdown took {took:?} (I5)"));
            let home = format!("/u{number}/");
            let live = self.watch.all_live();
            let left: Vec<_> = live.iter().filter(|path| path.starts_with(&home)).collect();
            self.journal.check(left.is_empty(), format_args!("{left:?} are left after Shutdown"));
        }
        for live in &self.fleet {
            live.let_go();
        }
        // What nobody commands closes; what was told to wait is answered; nothing dials (I6).
        sleep(Duration::from_hours(1)).await;
        let left = self.watch.all_live();
        self.journal.check(left.is_empty(), format_args!("{left:?} are left at the end"));
        for live in &self.fleet {
            let (number, pending) = (live.number, live.pending.get());
            self.journal
                .check(pending == 0, format_args!("c{number}: {pending} commands have no answer"));
        }
        self.fates.close();
    }
}
