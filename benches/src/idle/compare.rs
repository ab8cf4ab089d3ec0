use anyhow::Result;
use serde_json::json;

use super::measure::Sample;
use crate::{
    client::{Client, Subscribed},
    process,
    report::{Report, Table, Target},
};

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
}

const TARGETED: Client = Client::Wsvisor(Subscribed::Lifecycle);
const CLIENTS: [Client; 6] = [
    TARGETED,
    Client::Wsvisor(Subscribed::Batches),
    Client::TokioWebsockets,
    Client::FastWebsockets,
    Client::Awc,
    Client::TokioTungstenite,
];

/// Measures each client once: memory, unlike time, is hardly disturbed by what else runs.
pub(crate) fn run(Plan { connections }: Plan) -> Result<Report> {
    let title = format!(
        "Idle: bytes for each of {connections} connections, fresh and after their first message"
    );
    let mut report = Report::new(Table::new(
        title,
        &["client", "heap", "allocs", "resident", "heap, after", "resident, after"],
    ));
    let count = connections.to_string();
    for client in CLIENTS {
        let arguments = ["measure-idle", "--client", client.name(), "--connections", &count];
        let sample: Sample = process::sample(&arguments)?;
        let each = |total: i64| total as f64 / connections as f64;
        let Sample { fresh, after_message: after } = sample;
        eprintln!("idle: {:24} {:8.0} bytes", client.name(), each(fresh.heap));
        report.table.row(vec![
            client.name().to_owned(),
            format!("{:.0}", each(fresh.heap)),
            format!("{:.1}", each(fresh.allocations)),
            format!("{:.0}", each(fresh.resident)),
            format!("{:.0}", each(after.heap)),
            format!("{:.0}", each(after.resident)),
        ]);
        report.lines.push(json!({
            "benchmark": "idle", "client": client.name(), "connections": connections,
            "heap": each(fresh.heap), "allocations": each(fresh.allocations),
            "resident": each(fresh.resident),
            "heap_after_message": each(after.heap), "resident_after_message": each(after.resident),
        }));
        if client == TARGETED {
            report.targets.push(Target {
                name: "idle: heap bytes for each connection",
                measured: each(fresh.heap),
                at_most: 3_000.0,
            });
        }
    }
    Ok(report)
}
