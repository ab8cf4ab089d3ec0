//! Round trips: latency, and processor time on the client.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Context, Handler};
use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::oneshot;
use wsvisor::{Connection, GetSender, ReceivedBatch, SendString, Sender, Settings, Subscribe};

use crate::{
    contenders::{Contender, Deaf, Peer, Subject, Wiring, with_peer},
    effort::Effort,
    limits::raise_file_limit,
    message::Shape,
    process::{self, Measurement, Server},
    report::{Report, Table, Target},
    rounds::{alternate, median_of},
    runtime::in_task,
    servers::Service,
    usage::{Cost, Usage},
};

/// So many round trips on each connection, one after the other.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    who: Contender,
    connections: usize,
    trips: u64,
}

/// What the round trips cost, and how long they took, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    cost: Cost,
    p50: f64,
    p99: f64,
    p999: f64,
}

const ADDRESS: Contender = Contender::Wsvisor(Wiring::Lifecycle);
const SENDER: Contender = Contender::Wsvisor(Wiring::Sender);
const REPLIES: Contender = Contender::Wsvisor(Wiring::Replies);
const SHAPE: Shape = Shape::Text(64);

/// Connections, and round trips altogether.
const CASES: [(usize, u64); 2] = [(1, 60_000), (1_000, 100_000)];

pub(crate) fn run(effort: Effort) -> Result<Vec<Report>> {
    CASES.iter().map(|&(connections, total)| compare(effort, connections, total)).collect()
}

fn compare(effort: Effort, connections: usize, total: u64) -> Result<Report> {
    let trips = (effort.of(total) / connections as u64).max(1);
    let title = format!("Echo: round trips of {SHAPE} on {connections} connection(s)");
    let contenders = Contender::beside_peers(&[Wiring::Replies, Wiring::Sender, Wiring::Lifecycle]);
    // A single answer is read in the same way with and without awc's StreamHandler.
    let contenders = contenders.into_iter().filter(|who| *who != Contender::AwcStreamHandler);
    let taken = alternate(&title, effort.rounds(), contenders, |who| {
        process::sample(&Plan { who, connections, trips })
    })?;
    let best_peer = Contender::PEERS
        .into_iter()
        .map(|peer| median_of(&taken, peer, |sample| sample.cost.cpu()))
        .fold(f64::NAN, f64::min);
    let mut table = Table::new(
        title.clone(),
        &["client", "cpu ns", "least", "most", "p50 us", "p99 us", "p99.9 us", "x best peer"],
    );
    let mut lines = Vec::new();
    for row in &taken {
        let cpu = row.spread(|sample| sample.cost.cpu());
        let (p50, p99) = (row.median(|sample| sample.p50), row.median(|sample| sample.p99));
        let p999 = row.median(|sample| sample.p999);
        let ratio = cpu.median / best_peer;
        table.figures(row.who.name(), &[cpu.median, cpu.least, cpu.most, p50, p99, p999], ratio);
        lines.push(json!({
            "benchmark": "echo", "client": row.who.name(), "connections": connections,
            "trips": trips, "of_best_peer": ratio,
            "cpu_ns": {"median": cpu.median, "least": cpu.least, "most": cpu.most},
            "latency_us": {"p50": p50, "p99": p99, "p99.9": p999}, "rounds": row.samples,
        }));
    }
    let names = match connections {
        1 => [
            "round trip, 1 connection: wsvisor by reply_with / best peer, CPU",
            "round trip, 1 connection: wsvisor by Sender / best peer, CPU",
            "round trip, 1 connection: wsvisor by SendString / best peer, CPU",
        ],
        _ => [
            "round trip, 1,000 connections: wsvisor by reply_with / best peer, CPU",
            "round trip, 1,000 connections: wsvisor by Sender / best peer, CPU",
            "round trip, 1,000 connections: wsvisor by SendString / best peer, CPU",
        ],
    };
    let of_best = |who| median_of(&taken, who, |sample| sample.cost.cpu()) / best_peer;
    let targets = names
        .into_iter()
        .zip([REPLIES, SENDER, ADDRESS])
        .map(|(name, who)| Target::new(name, of_best(who), 1.0))
        .collect();
    Ok(Report { table, lines, targets })
}

impl Measurement for Plan {
    const NAME: &'static str = "echo";
    type Sample = Sample;

    fn measure(self) -> Result<Sample> {
        raise_file_limit()?;
        let server = Server::start(Service::Echo)?;
        let text = String::from_utf8(SHAPE.payload())?;
        let url = server.url().to_owned();
        in_task(async move {
            with_peer!(
                self.who,
                P => self.with_peer::<P>(&url, text).await,
                wiring => self.with_wsvisor(wiring, &url, text).await
            )
        })
        .with_context(|| self.who.to_string())
    }
}

impl Plan {
    async fn with_peer<P: Peer>(self, url: &str, text: String) -> Result<Sample> {
        let mut sockets = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            sockets.push(P::connect(url).await?);
        }
        let start = Usage::now()?;
        let trips = sockets.into_iter().map(|socket| {
            let trips = actix_rt::spawn(round_trips::<P>(socket, text.clone(), self.trips));
            async move { trips.await? }
        });
        self.sample(start, try_join_all(trips).await?)
    }

    async fn with_wsvisor(self, wiring: Wiring, url: &str, text: String) -> Result<Sample> {
        if wiring == Wiring::Replies {
            return self.with_replies(url, text).await;
        }
        let mut subject = Subject::start(wiring, Deaf)?;
        let mut finished = Vec::with_capacity(self.connections);
        let mut echoers = Vec::with_capacity(self.connections);
        for number in 0..self.connections {
            let connection = subject.connect(format!("echo-{number}"), url).await?;
            let sends = match wiring {
                Wiring::Sender => Way::Sender(connection.send(GetSender).await?),
                _ => Way::Address(connection.clone()),
            };
            let (trips, wait) = Trips::new(self.trips);
            let echoer = Echoer { sends, text: text.clone(), trips }.start();
            connection.send(Subscribe::new(echoer.clone().recipient::<ReceivedBatch>())).await?;
            finished.push(wait);
            echoers.push(echoer);
        }
        let start = Usage::now()?;
        for echoer in &echoers {
            echoer.do_send(Begin);
        }
        self.sample(start, try_join_all(finished).await?)
    }

    /// No actor hears of a message: the session replies.
    async fn with_replies(self, url: &str, text: String) -> Result<Sample> {
        let mut subject = Subject::start(Wiring::Replies, Deaf)?;
        let mut finished = Vec::with_capacity(self.connections);
        let mut waiting = Vec::with_capacity(self.connections);
        for number in 0..self.connections {
            let (trips, wait) = Trips::new(self.trips);
            let trips = Arc::new(Mutex::new(trips));
            let (theirs, reply) = (Arc::clone(&trips), text.clone());
            subject.settings(Settings::default().reply_with(move |_, replies| {
                if theirs.lock().is_ok_and(|mut trips| trips.back(1)) {
                    replies.text(&reply);
                }
            }));
            waiting.push((subject.connect(format!("echo-{number}"), url).await?, trips));
            finished.push(wait);
        }
        let start = Usage::now()?;
        for (connection, trips) in &waiting {
            if let Ok(mut trips) = trips.lock() {
                trips.begin();
            }
            connection.do_send(SendString::new(text.clone()));
        }
        self.sample(start, try_join_all(finished).await?)
    }

    fn sample(self, start: Usage, took: Vec<Vec<Duration>>) -> Result<Sample> {
        let cost = Usage::now()?.each_since(start, self.trips * self.connections as u64);
        let mut took: Vec<_> = took.into_iter().flatten().collect();
        took.sort_unstable();
        let quantile = |per_mille: usize| {
            let at = (took.len() * per_mille / 1_000).min(took.len().saturating_sub(1));
            took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
        };
        Ok(Sample { cost, p50: quantile(500), p99: quantile(990), p999: quantile(999) })
    }
}

async fn round_trips<P: Peer>(
    mut socket: P::Socket,
    text: String,
    trips: u64,
) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for _ in 0..trips {
        let sent = Instant::now();
        P::feed(&mut socket, &text).await?;
        P::flush(&mut socket).await?;
        P::next(&mut socket, &mut Deaf).await?;
        took.push(sent.elapsed());
    }
    Ok(took)
}

/// The round trips of one connection.
struct Trips {
    left: u64,
    sent: Instant,
    took: Vec<Duration>,
    finish: Option<oneshot::Sender<Vec<Duration>>>,
}

impl Trips {
    /// So many, and who waits for how long they took.
    fn new(left: u64) -> (Self, oneshot::Receiver<Vec<Duration>>) {
        let (finish, wait) = oneshot::channel();
        (Self { left, sent: Instant::now(), took: Vec::new(), finish: Some(finish) }, wait)
    }

    /// A message is sent now.
    fn begin(&mut self) {
        self.sent = Instant::now();
    }

    /// So many came back. Whether there is to be one more: then it is sent now.
    fn back(&mut self, messages: u64) -> bool {
        self.took.push(self.sent.elapsed());
        self.left = self.left.saturating_sub(messages);
        if self.left > 0 {
            self.begin();
        } else if let Some(finish) = self.finish.take() {
            let _ = finish.send(std::mem::take(&mut self.took));
        }
        self.left > 0
    }
}

/// Answers each answer, as an actor would that talks to a server.
struct Echoer {
    sends: Way,
    text: String,
    trips: Trips,
}

enum Way {
    Address(Addr<Connection>),
    Sender(Sender),
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Begin;

impl Echoer {
    fn send(&self) {
        match &self.sends {
            Way::Address(connection) => connection.do_send(SendString::new(self.text.clone())),
            Way::Sender(sender) => drop(sender.send_text(&self.text)),
        }
    }
}

impl Actor for Echoer {
    type Context = Context<Self>;
}

impl Handler<Begin> for Echoer {
    type Result = ();

    fn handle(&mut self, _: Begin, _: &mut Context<Self>) {
        self.trips.begin();
        self.send();
    }
}

impl Handler<ReceivedBatch> for Echoer {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        if self.trips.back(batch.len() as u64) {
            self.send();
        }
    }
}
