//! Memory on the client for each idle connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_rt::{System, SystemRunner, time::sleep};
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    contenders::{Contender, Peer, Show, Subject, Wiring, with_peer},
    effort::Effort,
    footprint::Footprint,
    limits::raise_file_limit,
    message::Shape,
    process::{self, Measurement, Server},
    report::{Report, Table, Target},
    servers::Service,
};

/// So many connections in silence.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    who: Contender,
    connections: usize,
}

/// The memory of all connections together.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// They are connected and have received nothing.
    fresh: Footprint,
    /// Each has received one large message, and is idle again.
    after_message: Footprint,
}

const SUBSCRIBED: Contender = Contender::Wsvisor(Wiring::Batches);
/// The message after which memory is measured again.
const LARGE: Shape = Shape::Text(100 * 1024);
/// Until what is under way has come to rest.
const REST: Duration = Duration::from_secs(2);

pub(crate) fn run(effort: Effort) -> Result<Vec<Report>> {
    [1_000, 10_000].into_iter().map(|connections| compare(effort.of(connections))).collect()
}

/// Measures each client once: memory, unlike time, is hardly disturbed by what else runs.
fn compare(connections: u64) -> Result<Report> {
    let connections = usize::try_from(connections)?;
    let title = format!(
        "Idle: bytes for each of {connections} connections, fresh and after a message of 100 KiB"
    );
    let mut table = Table::new(
        title,
        &[
            "client",
            "heap",
            "allocs",
            "resident",
            "heap, after",
            "resident, after",
            "x leanest peer",
        ],
    );
    let each = |total: i64| total as f64 / connections as f64;
    let contenders =
        Contender::beside_peers(&[Wiring::Lifecycle, Wiring::Batches, Wiring::BatchesAlone]);
    let mut taken = Vec::new();
    for who in contenders {
        eprintln!("idle, {connections} connections: {who}");
        let sample: Sample = process::sample(&Plan { who, connections })?;
        taken.push((who, sample));
    }
    let heap_of = |wanted: Contender| {
        let found = taken.iter().find(|(who, _)| *who == wanted);
        found.map_or(f64::NAN, |(_, sample)| each(sample.fresh.heap))
    };
    let leanest = Contender::PEERS.into_iter().map(heap_of).fold(f64::NAN, f64::min);
    let mut lines = Vec::new();
    let mut targets = Vec::new();
    for &(who, Sample { fresh, after_message: after }) in &taken {
        let ratio = each(fresh.heap) / leanest;
        table.figures(
            who.name(),
            &[
                each(fresh.heap),
                each(fresh.allocations),
                each(fresh.resident),
                each(after.heap),
                each(after.resident),
            ],
            ratio,
        );
        lines.push(json!({
            "benchmark": "idle", "client": who.name(), "connections": connections,
            "heap": each(fresh.heap), "allocations": each(fresh.allocations),
            "resident": each(fresh.resident), "of_leanest_peer": ratio,
            "heap_after_message": each(after.heap), "resident_after_message": each(after.resident),
        }));
        if who == SUBSCRIBED {
            targets.push(Target::new(
                "idle: heap bytes a subscribed connection",
                each(fresh.heap),
                2_200.0,
            ));
            targets.push(Target::new("idle: heap / leanest peer", ratio, 0.45));
            let growth = after.heap as f64 / fresh.heap as f64;
            targets.push(Target::new("idle: heap after 100 KiB / before", growth, 1.1));
        }
    }
    Ok(Report { table, lines, targets })
}

impl Measurement for Plan {
    const NAME: &'static str = "idle";
    type Sample = Sample;

    /// Opens connections one after the other, all on this thread, and lets them rest.
    fn measure(self) -> Result<Sample> {
        with_peer!(
            self.who,
            P => self.measure_peer::<P>(),
            wiring => self.measure_wsvisor(wiring)
        )
        .with_context(|| self.who.to_string())
    }
}

impl Plan {
    /// Each connection is a task that waits in a read.
    fn measure_peer<P: Peer>(self) -> Result<Sample> {
        let house = House::open()?;
        let fresh = Footprint::of(|| {
            house.run(async {
                for _ in 0..self.connections {
                    let socket = P::connect(house.server.url()).await?;
                    actix_rt::spawn(P::read(socket, house.heard()));
                }
                Ok(())
            })
        })?;
        house.sample(fresh, self.connections)
    }

    /// Each connection is an actor and a session's task, and all have one subscriber.
    fn measure_wsvisor(self, wiring: Wiring) -> Result<Sample> {
        let house = House::open()?;
        let mut subject = None;
        let fresh = Footprint::of(|| {
            house.run(async {
                let subject = subject.insert(Subject::start(wiring, house.heard())?);
                for number in 0..self.connections {
                    subject.connect(format!("idle-{number}"), house.server.url()).await?;
                }
                Ok(())
            })
        })?;
        let told = if wiring == Wiring::Lifecycle { 0 } else { self.connections };
        house.sample(fresh, told)
    }
}

/// Where connections are idle.
struct House {
    server: Server,
    system: SystemRunner,
    heard: Arc<AtomicUsize>,
}

/// Counts messages.
struct Heard(Arc<AtomicUsize>);

impl House {
    fn open() -> Result<Self> {
        raise_file_limit()?;
        let server = Server::start(Service::Keep(LARGE))?;
        Ok(Self { server, system: System::new(), heard: Arc::default() })
    }

    fn heard(&self) -> Heard {
        Heard(Arc::clone(&self.heard))
    }

    /// Runs `work`, and then what it left to run.
    fn run(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        self.system.block_on(async {
            work.await?;
            sleep(REST).await;
            Ok(())
        })
    }

    /// Lets the server speak, which `told` readers must hear.
    fn sample(mut self, fresh: Footprint, told: usize) -> Result<Sample> {
        self.server.speak()?;
        let change = Footprint::of(|| {
            self.run(async {
                // A gigabyte takes its time.
                for _ in 0..600 {
                    if self.heard.load(Ordering::Relaxed) >= told {
                        break;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
                Ok(())
            })
        })?;
        let heard = self.heard.load(Ordering::Relaxed);
        ensure!(heard == told, "{heard} messages were heard of {told}");
        Ok(Sample { fresh, after_message: fresh + change })
    }
}

impl Show for Heard {
    fn text(&mut self, _: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn bytes(&mut self, _: &[u8]) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
