use std::{
    io::Read as _,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use actix_rt::{System, time::sleep};
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{
    accounts::Accounts,
    client::Client,
    curve::{bins, most_at_once, most_within},
    fleet::{EzSockets, Fleet, Wsvisor},
    journal::Journal,
    scenario::Scenario,
};
use crate::{
    footprint::Footprint,
    limits::raise_file_limit,
    process::{Measurement, Server},
    servers::{LENGTH, Manner, Record, Seen, Service, wall_clock},
};

/// How a fleet came back. Times are in seconds since the server was killed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    pub(crate) connections: usize,
    /// When the server was back.
    pub(crate) back: f64,
    /// When so many percent of the connections were; none where they never were.
    pub(crate) half_up: Option<f64>,
    pub(crate) all_up: Option<f64>,
    /// Connections that were up at the end.
    pub(crate) up_at_the_end: usize,
    /// Dials while the server was away, and after.
    pub(crate) dials_while_away: usize,
    pub(crate) dials_after: usize,
    /// The most dials within any second.
    pub(crate) worst_second: usize,
    /// The most handshakes under way at once, as the server saw it.
    pub(crate) at_once: usize,
    /// Answers of 503.
    pub(crate) refusals: usize,
    pub(crate) accounts: Accounts,
    /// Bytes for each connection: while connected, while parked, and when back.
    pub(crate) connected: Each,
    pub(crate) parked: Each,
    pub(crate) returned: Each,
    /// Dials, and connections that got a session, in each quarter of a second.
    pub(crate) dial_bins: Vec<u32>,
    pub(crate) up_bins: Vec<u32>,
}

/// Memory for each connection.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Each {
    pub(crate) heap: f64,
    pub(crate) resident: f64,
}

/// One client in one scenario.
pub(super) struct Case {
    pub(super) client: Client,
    pub(super) scenario: Scenario,
    pub(super) sample: Sample,
}

/// The width of a bin of a sample's curves.
pub(crate) const BIN: Duration = Duration::from_millis(250);
/// How long the server is away.
const AWAY: Duration = Duration::from_secs(7);
/// Until what is under way has come to rest.
const REST: Duration = Duration::from_secs(2);
/// Messages flow so long before the server is killed, and after all are back.
const FLOW: Duration = Duration::from_secs(2);
/// A fleet that is not back after this, is not.
const PATIENCE: Duration = Duration::from_mins(3);
/// Messages of the whole fleet: one each of this.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(1);
const MESSAGES: usize = 300_000;

/// One fleet, in a process of its own.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(super) client: Client,
    pub(super) scenario: Scenario,
    pub(super) connections: usize,
}

impl Measurement for Plan {
    const NAME: &'static str = "recovery";
    type Sample = Sample;

    /// Kills the server of the fleet, and watches how that comes back. All its work is on this
    /// thread.
    fn measure(self) -> Result<Sample> {
        raise_file_limit()?;
        match self.client {
            Client::Wsvisor => Course::<Wsvisor>::run(self),
            Client::EzSockets => Course::<EzSockets>::run(self),
        }
    }
}

struct Course<F> {
    fleet: F,
    journal: Journal,
    connections: usize,
    next_message: u32,
}

impl<F: Fleet> Course<F> {
    fn run(Plan { scenario, connections, .. }: Plan) -> Result<Sample> {
        let mut server = Server::start(Service::Mortal(0, Manner::Prompt))?;
        let port = server.url().trim_end_matches('/').rsplit(':').next().unwrap_or_default();
        let port = port.parse().context("the server's URL has no port")?;
        let before = Log::of(&mut server)?;
        let system = System::new();
        let journal = Journal::for_connections(connections, MESSAGES);

        let mut fleet = None;
        let connected = Footprint::of(|| {
            system.block_on(async {
                fleet = Some(F::start(connections, server.url(), journal.clone()).await?);
                reach(&journal, connections, PATIENCE).await;
                sleep(REST).await;
                Ok(())
            })
        })?;
        let fleet = fleet.context("there is no fleet")?;
        let mut course = Self { fleet, journal, connections, next_message: 0 };
        ensure!(course.up() == connections, "{} were connected at first", course.up());

        let flowing = Footprint::of(|| {
            system.block_on(course.flow(FLOW));
            Ok(())
        })?;
        let killed = wall_clock();
        drop(server);
        let away = Footprint::of(|| {
            system.block_on(course.flow(AWAY));
            Ok(())
        })?;
        let mut server = Server::start(Service::Mortal(port, scenario.manner()))?;
        let back = wall_clock();
        let after = Log::of(&mut server)?;

        let returned = Footprint::of(|| {
            system.block_on(course.flow_until_up(PATIENCE));
            Ok(())
        })?;
        system.block_on(async {
            course.flow(FLOW).await;
            sleep(REST).await;
        });
        course.fleet.ask();
        let up_at_the_end = course.up();
        drop(server);
        let (before, after) = (before.finish(), after.finish());

        let parked = connected + flowing + away;
        Ok(course.sample(
            Times { killed, back },
            [&before, &after],
            [connected, parked, parked + returned],
            up_at_the_end,
        ))
    }

    fn up(&self) -> usize {
        self.journal.read().connected
    }

    /// Messages flow for so long.
    async fn flow(&mut self, time: Duration) {
        self.flow_while(time, |_| true).await;
    }

    /// Messages flow until all are up again.
    async fn flow_until_up(&mut self, patience: Duration) {
        let all = self.connections;
        self.flow_while(patience, |course| course.up() < all).await;
    }

    async fn flow_while(&mut self, time: Duration, go_on: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        let mut sent = 0_u128;
        while began.elapsed() < time && go_on(self) {
            let due = began.elapsed().as_nanos() / BETWEEN_MESSAGES.as_nanos();
            // Never many at once, however late this is.
            for _ in sent..due.min(sent + 20) {
                if (self.next_message as usize) < MESSAGES {
                    let connection = self.next_message as usize % self.connections;
                    self.fleet.send(connection, self.next_message);
                    self.next_message += 1;
                }
            }
            sent = due;
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn sample(
        &self,
        times: Times,
        [before, after]: [&[Record]; 2],
        memory: [Footprint; 3],
        up_at_the_end: usize,
    ) -> Sample {
        let entries = self.journal.read();
        let Times { killed, .. } = times;
        let since = |at: &Duration| at.checked_sub(killed);
        let seen = |wanted: fn(&Seen) -> bool| -> Vec<Duration> {
            let records = after.iter().filter(|record| wanted(&record.seen));
            records.filter_map(|record| since(&record.at)).collect()
        };
        // While the server is away only the clients see a dial; then the server does.
        let away = entries.failures.iter().filter(|at| **at < times.back);
        let away: Vec<_> = away.filter_map(since).collect();
        let served = seen(|seen| matches!(seen, Seen::Dial));
        let ends = seen(|seen| matches!(seen, Seen::Upgrade | Seen::Refusal));
        let dials: Vec<_> = away.iter().chain(&served).copied().collect();
        let ups: Vec<_> = entries.ups.iter().filter_map(since).collect();
        let up = |count: usize| Some(ups.get(count.checked_sub(1)?)?.as_secs_f64());

        let mut received = vec![0_u8; self.next_message as usize];
        for record in before.iter().chain(after) {
            if let Seen::Message(number) = record.seen
                && let Some(times) = received.get_mut(number as usize)
            {
                *times = times.saturating_add(1);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let each = |footprint: Footprint| Each {
            heap: footprint.heap as f64 / self.connections as f64,
            resident: footprint.resident as f64 / self.connections as f64,
        };
        let [connected, parked, returned] = memory.map(each);
        Sample {
            connections: self.connections,
            back: times.back.saturating_sub(killed).as_secs_f64(),
            half_up: up(self.connections / 2),
            all_up: up(self.connections),
            up_at_the_end,
            dials_while_away: away.len(),
            dials_after: served.len(),
            worst_second: most_within(&dials, Duration::from_secs(1)),
            at_once: most_at_once(&served, &ends),
            refusals: seen(|seen| matches!(seen, Seen::Refusal)).len(),
            accounts: Accounts::of(&entries.told, &received),
            connected,
            parked,
            returned,
            dial_bins: bins(&dials, BIN),
            up_bins: bins(&ups, BIN),
        }
    }
}

#[derive(Clone, Copy)]
struct Times {
    killed: Duration,
    back: Duration,
}

/// Waits until so many are connected, or for so long.
async fn reach(journal: &Journal, connections: usize, patience: Duration) {
    let began = Instant::now();
    while journal.read().connected < connections && began.elapsed() < patience {
        sleep(Duration::from_millis(20)).await;
    }
}

/// The records of a server, read on a thread of their own.
struct Log {
    records: Arc<Mutex<Vec<Record>>>,
    reader: thread::JoinHandle<()>,
}

impl Log {
    fn of(server: &mut Server) -> Result<Self> {
        let mut output = server.take_output().context("the server's output is taken")?;
        let records = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&records);
        let reader = thread::spawn(move || {
            let mut bytes = [0; LENGTH];
            // The server's end is the log's.
            while output.read_exact(&mut bytes).is_ok() {
                let mut records = read.lock().unwrap_or_else(PoisonError::into_inner);
                records.extend(Record::from_bytes(bytes));
            }
        });
        Ok(Self { records, reader })
    }

    /// All records, once the server is dead.
    fn finish(self) -> Vec<Record> {
        // It does not panic.
        let _ = self.reader.join();
        std::mem::take(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
