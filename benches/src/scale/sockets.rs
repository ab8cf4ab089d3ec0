use std::{sync::atomic::Ordering, thread, time::Duration};

use actix_rt::System;
use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wsvisor::Shutdown;

use super::{Scale, crowd::Crowd};
use crate::{
    footprint::resident,
    limits::raise_file_limit,
    process::{self, Measurement, Server},
    report::{Report, Table, Target},
    servers::Service,
    usage::Usage,
};

/// A crowd whose connections have sockets.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct OverSockets(Scale);

/// What one process saw.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    connect_seconds: f64,
    /// Resident bytes for each connection.
    resident: f64,
    /// Share of one processor while they are watched, in percent.
    cpu: f64,
    messages: u64,
    /// Messages that the server must have sent.
    expected: u64,
    out_of_order: u64,
    trouble: u64,
    shutdown_seconds: f64,
}

/// Each connection receives one message in this time.
const PERIOD: Duration = Duration::from_mins(1);

pub(super) fn compare(scale: Scale) -> Result<Report> {
    let Scale { processes, connections, seconds } = scale;
    eprintln!("scale: {processes} process(es) x {connections} connections for {seconds} s");
    let running: Vec<_> = (0..processes)
        .map(|_| thread::spawn(move || process::sample(&OverSockets(scale))))
        .collect();
    let mut table = Table::new(
        format!(
            "Scale: {processes} x {connections} supervised connections over sockets, {seconds} s"
        ),
        &[
            "process",
            "connected, s",
            "resident",
            "cpu %",
            "messages",
            "lost",
            "ends",
            "shutdown, s",
        ],
    );
    let (mut lines, mut lost, mut trouble) = (Vec::new(), 0, 0);
    for (number, process) in running.into_iter().enumerate() {
        let sample = process.join().map_err(|_| anyhow!("a measurement panicked"))??;
        let missing = sample.expected.saturating_sub(sample.messages) + sample.out_of_order;
        lost += missing;
        trouble += sample.trouble;
        table.row(vec![
            (number + 1).to_string(),
            format!("{:.1}", sample.connect_seconds),
            format!("{:.0}", sample.resident),
            format!("{:.1}", sample.cpu),
            sample.messages.to_string(),
            missing.to_string(),
            sample.trouble.to_string(),
            format!("{:.1}", sample.shutdown_seconds),
        ]);
        lines.push(json!({
            "benchmark": "scale", "connections": connections, "seconds": seconds, "sample": sample,
        }));
    }
    let targets = vec![
        Target::new("scale: messages lost", lost as f64, 0.0),
        Target::new("scale: connections that ended", trouble as f64, 0.0),
    ];
    Ok(Report { table, lines, targets })
}

impl Measurement for OverSockets {
    const NAME: &'static str = "scale over sockets";
    type Sample = Sample;

    fn measure(self) -> Result<Sample> {
        let Self(Scale { connections, seconds, .. }) = self;
        raise_file_limit()?;
        let period = u64::try_from(PERIOD.as_millis())?;
        let server = Server::start(Service::Metronome(period))?;
        System::new().block_on(async {
            let before = resident()?;
            let crowd = Crowd::over_sockets().await?;
            let grown = crowd.grow_to(connections, server.url()).await?;
            let start = Usage::now()?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let cost = Usage::now()?.each_since(start, 1);
            let resident = (resident()? - before) as f64 / connections as f64;
            let told = &crowd.told;
            let messages = told.messages.load(Ordering::Relaxed);
            let (out_of_order, trouble) =
                (told.out_of_order.load(Ordering::Relaxed), told.trouble.load(Ordering::Relaxed));
            let start = Usage::now()?;
            crowd.supervisor.send(Shutdown::within(Duration::from_mins(1))).await?;
            let shutdown = Usage::now()?.each_since(start, 1);
            // A message that is due as the time ends may be under way.
            let due = seconds.saturating_sub(2) / PERIOD.as_secs();
            let sample = Sample {
                connect_seconds: grown.as_secs_f64(),
                resident,
                cpu: 100.0 * cost.cpu() / cost.elapsed,
                messages,
                expected: due * connections as u64,
                out_of_order,
                trouble,
                shutdown_seconds: shutdown.elapsed / 1e9,
            };
            ensure!(messages > 0 || due == 0, "no message came: {told:?}");
            Ok(sample)
        })
    }
}
