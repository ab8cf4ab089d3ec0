use anyhow::Result;
use serde_json::json;

use super::tally::Sample;
use crate::{
    client::{Client, Subscribed},
    process,
    report::{Report, Table, Target},
};

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) messages: u64,
    pub(crate) rounds: usize,
}

const BATCHES: Client = Client::Wsvisor(Subscribed::Batches);
const EACH: Client = Client::Wsvisor(Subscribed::Each);
const CLIENTS: [Client; 6] = [
    BATCHES,
    EACH,
    Client::FastWebsockets,
    Client::TokioWebsockets,
    Client::Awc,
    Client::TokioTungstenite,
];

/// All samples of one client, by processor time.
struct Samples(Vec<Sample>);

/// Measures all clients in turn, round after round, so that what disturbs the machine for a while
/// disturbs them alike.
pub(crate) fn run(Plan { messages, rounds }: Plan) -> Result<Report> {
    let mut taken = CLIENTS.map(|client| (client, Samples(Vec::new())));
    for round in 1..=rounds {
        for (client, samples) in &mut taken {
            let messages = messages.to_string();
            let arguments = ["measure-flood", "--client", client.name(), "--messages", &messages];
            let sample: Sample = process::sample(&arguments)?;
            eprintln!("flood, round {round}: {:24} {:6.1} ns", client.name(), sample.cpu_ns());
            samples.insert(sample);
        }
    }
    let median = |wanted: Client| {
        let found = taken.iter().find(|(client, _)| *client == wanted);
        found.map_or(f64::NAN, |(_, samples)| samples.median())
    };
    let (fast, tungstenite) = (median(Client::FastWebsockets), median(Client::TokioTungstenite));

    let title = format!(
        "Flood: ns of processor time for each of {messages} 64-byte texts on one connection, {rounds} rounds"
    );
    let mut report = Report::new(Table::new(
        title,
        &["client", "median", "minimum", "user", "system", "x fastws", "x tungst"],
    ));
    for (client, samples) in &taken {
        let (name, cpu, least) = (client.name(), samples.median(), samples.minimum());
        let (user, system) = samples.split();
        let (of_fast, of_tungstenite) = (cpu / fast, cpu / tungstenite);
        report.table.row(vec![
            name.to_owned(),
            format!("{cpu:.1}"),
            format!("{least:.1}"),
            format!("{user:.1}"),
            format!("{system:.1}"),
            format!("{of_fast:.2}"),
            format!("{of_tungstenite:.2}"),
        ]);
        report.lines.push(json!({
            "benchmark": "flood", "client": name, "messages": messages,
            "cpu_ns": {"median": cpu, "minimum": least},
            "of_fastwebsockets": of_fast, "of_tokio_tungstenite": of_tungstenite,
            "rounds": samples.0,
        }));
    }
    report.targets = vec![
        Target {
            name: "flood: ReceivedBatch / fastwebsockets, median",
            measured: median(BATCHES) / fast,
            at_most: 0.40,
        },
        Target {
            name: "flood: Received / tokio-tungstenite, median",
            measured: median(EACH) / tungstenite,
            at_most: 1.0,
        },
    ];
    Ok(report)
}

impl Samples {
    fn insert(&mut self, sample: Sample) {
        let at = self.0.partition_point(|other| other.cpu_ns() < sample.cpu_ns());
        self.0.insert(at, sample);
    }

    fn minimum(&self) -> f64 {
        self.0.first().map_or(f64::NAN, |sample| sample.cpu_ns())
    }

    /// The lower of the two in the middle, where there are two.
    fn middle(&self) -> Option<&Sample> {
        self.0.get(self.0.len().saturating_sub(1) / 2)
    }

    fn median(&self) -> f64 {
        self.middle().map_or(f64::NAN, |sample| sample.cpu_ns())
    }

    /// User and system time of the median.
    fn split(&self) -> (f64, f64) {
        self.middle().map_or((f64::NAN, f64::NAN), |sample| (sample.user, sample.system))
    }
}
