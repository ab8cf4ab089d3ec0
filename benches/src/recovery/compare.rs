use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    client::Client,
    measure::{Case, Plan, Sample},
    picture,
    scenario::Scenario,
};
use crate::{
    process,
    report::{Report, Table, Target},
};

/// How many connections, and where the picture and the figures are kept.
#[derive(Clone, Debug)]
pub(crate) struct Fleets {
    pub(crate) connections: Vec<usize>,
    pub(crate) folder: Option<String>,
}

impl Default for Fleets {
    fn default() -> Self {
        Self { connections: vec![1_000, 10_000], folder: None }
    }
}

/// What a second may hold of dials by the default gate: its rate and its burst, and five in a hundred
/// more, for dials are counted where the server accepts them, which a busy machine does in bunches.
const GATE: f64 = 630.0;
/// Dials at once by the default gate.
const GATE_AT_ONCE: f64 = 100.0;

/// Lets each client come back in each scenario.
pub(crate) fn run(fleets: &Fleets) -> Result<Report> {
    let mut cases = Vec::new();
    for connections in &fleets.connections {
        for scenario in Scenario::ALL {
            for client in Client::ALL {
                let plan = Plan { client, scenario, connections: *connections };
                let sample: Sample = process::sample(&plan)?;
                let case = Case { client, scenario, sample };
                eprintln!(
                    "recovery: {connections} connections, {}: {:14} {}",
                    scenario.name(),
                    client.name(),
                    seconds(case.sample.all_up)
                );
                cases.push(case);
            }
        }
    }
    if let Some(folder) = &fleets.folder {
        keep(Path::new(folder), &cases)?;
    }
    Ok(report(&cases))
}

fn report(cases: &[Case]) -> Report {
    let table = Table::new(
        "Recovery: after the server was killed, and back after 7 s".to_owned(),
        &[
            "clients",
            "half up",
            "all up",
            "dials",
            "worst second",
            "at once",
            "503s",
            "heap up",
            "parked",
            "told",
            "lost, told sent",
            "never told",
            "twice",
        ],
    );
    let mut report = Report { table, lines: Vec::new(), targets: Vec::new() };
    for Case { client, scenario, sample } in cases {
        let accounts = &sample.accounts;
        report.table.row(vec![
            format!("{} {}, {}", sample.connections, client.name(), scenario.name()),
            seconds(sample.half_up),
            seconds(sample.all_up),
            (sample.dials_while_away + sample.dials_after).to_string(),
            sample.worst_second.to_string(),
            sample.at_once.to_string(),
            sample.refusals.to_string(),
            format!("{:.0}", sample.connected.heap),
            format!("{:.0}", sample.parked.heap),
            (accounts.refused + accounts.not_sent + accounts.unknown).to_string(),
            accounts.sent_lost.to_string(),
            accounts.silently_lost.to_string(),
            accounts.duplicated.to_string(),
        ]);
        report.lines.push(line(*client, *scenario, sample));
    }
    let ours = || cases.iter().filter(|case| case.client == Client::Wsvisor);
    let most = |figure: fn(&Sample) -> f64| ours().map(|it| figure(&it.sample)).fold(0.0, f64::max);
    report.targets = vec![
        Target {
            name: "recovery: dials in the worst second",
            measured: most(|sample| f64_of(sample.worst_second)),
            at_most: GATE,
        },
        Target {
            name: "recovery: handshakes at once",
            measured: most(|sample| f64_of(sample.at_once)),
            at_most: GATE_AT_ONCE,
        },
        Target {
            name: "recovery: connections that did not come back",
            measured: most(|sample| f64_of(sample.connections - sample.up_at_the_end)),
            at_most: 0.0,
        },
        Target {
            name: "recovery: messages lost without a word, or received twice or against what was told",
            measured: most(|sample| {
                let accounts = &sample.accounts;
                f64::from(accounts.silently_lost + accounts.duplicated + accounts.contradicted)
            }),
            at_most: 0.0,
        },
    ];
    report
}

fn line(client: Client, scenario: Scenario, sample: &Sample) -> serde_json::Value {
    json!({
        "benchmark": "recovery", "client": client.name(), "scenario": scenario.name(),
        "sample": sample,
    })
}

/// Writes the figures, and a picture of the largest fleets.
fn keep(folder: &Path, cases: &[Case]) -> Result<()> {
    let lines = cases.iter().map(|case| line(case.client, case.scenario, &case.sample));
    let mut lines: Vec<_> = lines.map(|line| line.to_string()).collect();
    lines.push(String::new());
    fs::write(folder.join("recovery.jsonl"), lines.join("\n"))
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    fs::write(folder.join("recovery.svg"), picture::draw(cases))?;
    Ok(())
}

fn seconds(time: Option<f64>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| format!("{time:.1} s"))
}

fn f64_of(count: usize) -> f64 {
    count as f64
}
