//! Processor time on the client for each message of a flood towards it.

mod tally;

use actix_rt::System;
use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::tally::{Flood, Tally};
use crate::{
    contenders::{Contender, Peer, Subject, Wiring, with_peer},
    effort::Effort,
    message::Shape,
    process::{self, Measurement, Server},
    report::{Report, Table, Target},
    rounds::{Taken, alternate, median_of},
    servers::Service,
    usage::Cost,
};

/// One flood.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    who: Contender,
    shape: Shape,
    connections: usize,
    /// To each connection.
    messages: u64,
}

const BATCHES: Contender = Contender::Wsvisor(Wiring::Batches);
const EACH: Contender = Contender::Wsvisor(Wiring::Each);
const ACROSS: Contender = Contender::Wsvisor(Wiring::BatchesAcross);

/// What is sent, over how many connections, and how many of it altogether.
const CASES: [(Shape, usize, u64); 12] = [
    (Shape::Text(16), 1, 4_000_000),
    (Shape::Text(64), 1, 4_000_000),
    (Shape::Text(1024), 1, 1_000_000),
    (Shape::Text(16 * 1024), 1, 80_000),
    (Shape::Text(1024 * 1024), 1, 1_200),
    (Shape::Binary(64), 1, 4_000_000),
    (Shape::Binary(16 * 1024), 1, 80_000),
    (Shape::Text(64), 100, 4_000_000),
    (Shape::Text(1024), 100, 1_000_000),
    (Shape::Tick, 1, 1_500_000),
    (Shape::DiscordEvent, 1, 400_000),
    (Shape::JsonRpc, 1, 600_000),
];

pub(crate) fn run(effort: Effort) -> Result<Vec<Report>> {
    CASES
        .iter()
        .map(|&(shape, connections, total)| compare(effort, shape, connections, total))
        .collect()
}

fn compare(effort: Effort, shape: Shape, connections: usize, total: u64) -> Result<Report> {
    let wirings = match (shape.is_json(), connections) {
        // Alone and across arbiters nothing else happens than with plain text on one connection.
        (false, 1) => {
            &[Wiring::Batches, Wiring::Each, Wiring::BatchesAcross, Wiring::BatchesAlone][..]
        }
        (true, _) => &[Wiring::Batches, Wiring::BatchesUnchecked, Wiring::Each],
        _ => &[Wiring::Batches, Wiring::Each],
    };
    let messages = (effort.of(total) / connections as u64).max(2);
    let title =
        format!("Inbound: {shape}, {connections} connection(s), ns of processor time a message");
    let contenders = Contender::beside_peers(wirings);
    let taken = alternate(&title, effort.rounds(), contenders, |who| {
        process::sample(&Plan { who, shape, connections, messages })
    })?;
    let best_peer = Contender::PEERS
        .into_iter()
        .map(|peer| median_of(&taken, peer, |cost| cost.cpu()))
        .fold(f64::NAN, f64::min);
    let mut table = Table::new(
        title,
        &["client", "median", "least", "most", "user", "system", "clock", "x best peer"],
    );
    let mut report_lines = Vec::new();
    for row in &taken {
        let cpu = row.spread(|cost| cost.cpu());
        let (user, system) = (row.median(|cost| cost.user), row.median(|cost| cost.system));
        let elapsed = row.median(|cost| cost.elapsed);
        table.figures(
            row.who.name(),
            &[cpu.median, cpu.least, cpu.most, user, system, elapsed],
            cpu.median / best_peer,
        );
        report_lines.push(json!({
            "benchmark": "inbound", "client": row.who.name(), "message": shape.to_string(),
            "connections": connections, "messages": messages,
            "cpu_ns": {"median": cpu.median, "least": cpu.least, "most": cpu.most},
            "of_best_peer": cpu.median / best_peer, "rounds": row.samples,
        }));
    }
    Ok(Report {
        table,
        lines: report_lines,
        targets: targets(shape, connections, &taken, best_peer),
    })
}

fn targets(
    shape: Shape,
    connections: usize,
    taken: &[Taken<Contender, Cost>],
    best_peer: f64,
) -> Vec<Target> {
    let cpu = |who| median_of(taken, who, |cost: &Cost| cost.cpu());
    let fast = cpu(Contender::FastWebsockets);
    match (shape, connections) {
        (Shape::Text(64), 1) => vec![
            Target::new("inbound 64 B: ReceivedBatch / fastwebsockets", cpu(BATCHES) / fast, 0.35),
            Target::new("inbound 64 B: across arbiters / fastwebsockets", cpu(ACROSS) / fast, 0.6),
            Target::new(
                "inbound 64 B: Received / tokio-tungstenite",
                cpu(EACH) / cpu(Contender::TokioTungstenite),
                0.9,
            ),
        ],
        (Shape::Text(16), 1) => {
            vec![Target::new(
                "inbound 16 B: ReceivedBatch / best peer",
                cpu(BATCHES) / best_peer,
                1.0,
            )]
        }
        (Shape::Text(1024), 1) => {
            vec![Target::new(
                "inbound 1 KiB: ReceivedBatch / best peer",
                cpu(BATCHES) / best_peer,
                1.0,
            )]
        }
        _ => vec![],
    }
}

impl Measurement for Plan {
    const NAME: &'static str = "inbound";
    type Sample = Cost;

    fn measure(self) -> Result<Cost> {
        let Self { who, shape, connections, messages } = self;
        let server = Server::start(Service::Flood(shape, messages))?;
        System::new()
            .block_on(async {
                with_peer!(
                    who,
                    P => self.flood_peer::<P>(server).await,
                    wiring => self.flood_wsvisor(wiring, server).await
                )
            })
            .with_context(|| format!("{who}: {connections} x {messages} of {shape}"))
    }
}

impl Plan {
    async fn flood_peer<P: Peer>(self, mut server: Server) -> Result<Cost> {
        let (flood, cost) = Flood::of(self.connections, self.total());
        let mut sockets = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            sockets.push(P::connect(server.url()).await?);
        }
        server.speak()?;
        let readers = sockets.into_iter().map(|socket| {
            let tally = Tally::new(self.shape, self.messages, &flood);
            let reader = actix_rt::spawn(P::read(socket, tally));
            async move { reader.await? }
        });
        try_join_all(readers).await?;
        cost.wait()
    }

    async fn flood_wsvisor(self, wiring: Wiring, mut server: Server) -> Result<Cost> {
        // One subscriber hears all connections.
        let (flood, cost) = Flood::of(1, self.total());
        let tally = Tally::new(self.shape, self.total(), &flood);
        let mut subject = Subject::start(wiring, tally)?.json(self.shape.is_json());
        for number in 0..self.connections {
            subject.connect(format!("flood-{number}"), server.url()).await?;
        }
        server.speak()?;
        for _ in 0..self.connections {
            subject.disconnected().await?;
        }
        cost.wait()
    }

    const fn total(self) -> u64 {
        self.messages * self.connections as u64
    }
}
