use std::time::{Duration, Instant};

use actix_rt::System;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wsvisor::{CountConnections, Shutdown, WhichConnections};

use super::crowd::Crowd;
use crate::{
    footprint::Footprint,
    instructions::Canned,
    process::{self, Measurement},
    report::{Report, Table, Target},
    usage::Usage,
};

/// A crowd whose connections have no socket.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct InMemory {
    connections: usize,
}

/// What a crowd in memory costs, for each connection where nothing else is said.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    heap: f64,
    resident: f64,
    /// Microseconds.
    start: f64,
    /// Nanoseconds of processor time in a second of idling, pings included.
    idle: f64,
    /// Microseconds, of the whole answer.
    count: f64,
    /// Microseconds, of the whole answer of one page of 100.
    page: f64,
    /// Microseconds.
    shutdown: f64,
}

const CROWDS: [usize; 3] = [1_000, 10_000, 100_000];
/// How often the supervisor is asked; the shortest time is taken, in which nothing else happened.
const ASKED: usize = 20;
/// Two rounds of pings.
const WATCHED: Duration = Duration::from_secs(40);

pub(super) fn compare() -> Result<Report> {
    let mut table = Table::new(
        "Scale: supervised connections in memory, for each of them".to_owned(),
        &[
            "connections",
            "heap",
            "resident",
            "start us",
            "idle ns/s",
            "shutdown us",
            "count us",
            "page us",
        ],
    );
    let mut lines = Vec::new();
    let mut taken = Vec::new();
    for connections in CROWDS {
        eprintln!("scale: {connections} connections in memory");
        let sample = process::sample(&InMemory { connections })?;
        let Sample { heap, resident, start, idle, count, page, shutdown } = sample;
        table.row(vec![
            connections.to_string(),
            format!("{heap:.0}"),
            format!("{resident:.0}"),
            format!("{start:.1}"),
            format!("{idle:.0}"),
            format!("{shutdown:.1}"),
            format!("{count:.1}"),
            format!("{page:.1}"),
        ]);
        lines.push(
            json!({"benchmark": "scale in memory", "connections": connections, "sample": sample}),
        );
        taken.push(sample);
    }
    let ratio = |figure: fn(&Sample) -> f64| match taken.as_slice() {
        [few, .., many] => figure(many) / figure(few),
        _ => f64::NAN,
    };
    let targets = vec![
        Target::new("scale: heap a connection, 100,000 / 1,000", ratio(|sample| sample.heap), 1.1),
        Target::new(
            "scale: idling a connection, 100,000 / 1,000",
            ratio(|sample| sample.idle),
            2.0,
        ),
        Target::new("scale: CountConnections, 100,000 / 1,000", ratio(|sample| sample.count), 2.0),
        Target::new("scale: a page of 100, 100,000 / 1,000", ratio(|sample| sample.page), 2.0),
    ];
    Ok(Report { table, lines, targets })
}

impl Measurement for InMemory {
    const NAME: &'static str = "scale in memory";
    type Sample = Sample;

    fn measure(self) -> Result<Sample> {
        let Self { connections } = self;
        let system = System::new();
        let (mut crowd, mut start) = (None, Duration::ZERO);
        let footprint = Footprint::of(|| {
            system.block_on(async {
                let crowd = crowd.insert(Crowd::in_memory(Canned::silent()).await?);
                start = crowd.grow_to(connections, "ws://canned.example/").await?;
                Ok(())
            })
        })?;
        system.block_on(async {
            let Some(Crowd { supervisor, told }) = crowd else { unreachable!("it was just made") };
            let before = Usage::now()?;
            tokio::time::sleep(WATCHED).await;
            let idle = Usage::now()?.each_since(before, connections as u64).cpu();

            let (mut count, mut page) = (Duration::MAX, Duration::MAX);
            for _ in 0..ASKED {
                let asked = Instant::now();
                let counts = supervisor.send(CountConnections).await?;
                count = count.min(asked.elapsed());
                ensure!(counts.connected == connections, "{counts:?}, {told:?}");
                let asked = Instant::now();
                supervisor.send(WhichConnections::all().limit(100)).await?;
                page = page.min(asked.elapsed());
            }
            let asked = Instant::now();
            supervisor.send(Shutdown::within(Duration::from_mins(2))).await?;
            let shutdown = asked.elapsed();

            let each = |total: f64| total / connections as f64;
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            Ok(Sample {
                heap: each(footprint.heap as f64),
                resident: each(footprint.resident as f64),
                start: each(micros(start)),
                idle: idle / WATCHED.as_secs_f64(),
                count: micros(count),
                page: micros(page),
                shutdown: each(micros(shutdown)),
            })
        })
    }
}
