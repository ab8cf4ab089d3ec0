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
    costs::Costs,
    effort::Effort,
    message::Shape,
    process::{self, Measurement, Server},
    report::{Report, Target},
    rounds::alternate,
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

/// Bytes of a message, and how many of them are sent altogether.
const SIZES: [(usize, u64); 5] = [
    (16, 4_000_000),
    (64, 4_000_000),
    (1024, 1_000_000),
    (16 * 1024, 80_000),
    (1024 * 1024, 1_200),
];
const JSON: [(Shape, u64); 3] =
    [(Shape::Tick, 1_500_000), (Shape::DiscordEvent, 400_000), (Shape::JsonRpc, 600_000)];

pub(crate) fn run(effort: Effort) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for connections in [1, 100] {
        for kind in [Shape::Text, Shape::Binary] {
            for (size, total) in SIZES {
                reports.push(compare(effort, kind(size), connections, total)?);
            }
        }
    }
    for (shape, total) in JSON {
        reports.push(compare(effort, shape, 1, total)?);
    }
    Ok(reports)
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
    let costs = Costs::of(taken);
    let lines = costs.lines(&json!({
        "benchmark": "inbound", "message": shape.to_string(), "connections": connections,
        "messages": messages,
    }));
    let targets = targets(shape, connections, &costs);
    Ok(Report { table: costs.table(title), lines, targets })
}

fn targets(shape: Shape, connections: usize, costs: &Costs) -> Vec<Target> {
    let fast = costs.cpu(Contender::FastWebsockets);
    let tungstenite = costs.cpu(Contender::TokioTungstenite);
    let beside = |name, measured, at_most| vec![Target::new(name, measured, at_most)];
    match (shape, connections) {
        (Shape::Text(64), 1) => [
            ("inbound 64 B: ReceivedBatch / fastwebsockets", costs.cpu(BATCHES) / fast, 0.35),
            ("inbound 64 B: across arbiters / fastwebsockets", costs.cpu(ACROSS) / fast, 0.6),
            ("inbound 64 B: Received / tokio-tungstenite", costs.cpu(EACH) / tungstenite, 0.9),
        ]
        .map(|(name, measured, at_most)| Target::new(name, measured, at_most))
        .into(),
        (Shape::Text(16), 1) => {
            beside("inbound 16 B: ReceivedBatch / best peer", costs.of_best_peer(BATCHES), 1.0)
        }
        (Shape::Text(1024), 1) => {
            beside("inbound 1 KiB: ReceivedBatch / best peer", costs.of_best_peer(BATCHES), 1.0)
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
