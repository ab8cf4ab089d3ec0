//! Processor time on the client for each message that it sends.

use std::{collections::VecDeque, pin::pin};

use actix::Addr;
use anyhow::{Context as _, Result};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wsvisor::{Connection, GetSender, SendBatch, SendString, Sender};

use crate::{
    contenders::{Contender, Deaf, Peer, Subject, Wiring, with_peer},
    costs::Costs,
    effort::Effort,
    message::Shape,
    process::{self, Measurement, Server},
    report::{Report, Target},
    rounds::alternate,
    runtime::in_task,
    servers::Service,
    usage::{Cost, Usage},
};

/// So many texts to a server that throws them away.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    who: Contender,
    len: usize,
    messages: u64,
    pace: Pace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Pace {
    /// As many at once as the outbox takes.
    Flood,
    /// Each once the one before was handed to the socket.
    OneByOne,
}

const WSVISOR: Contender = Contender::Wsvisor(Wiring::Lifecycle);
const SENDER: Contender = Contender::Wsvisor(Wiring::Sender);
const BATCHES: Contender = Contender::Wsvisor(Wiring::SendBatches);
/// Messages that are on their way at once; the outbox holds 1,000.
const IN_FLIGHT: usize = 500;

const CASES: [(Pace, usize, u64); 4] = [
    (Pace::Flood, 64, 1_000_000),
    (Pace::Flood, 1024, 300_000),
    (Pace::OneByOne, 64, 100_000),
    (Pace::OneByOne, 1024, 100_000),
];

pub(crate) fn run(effort: Effort) -> Result<Vec<Report>> {
    CASES.iter().map(|&(pace, len, messages)| compare(effort, pace, len, messages)).collect()
}

fn compare(effort: Effort, pace: Pace, len: usize, messages: u64) -> Result<Report> {
    let messages = effort.of(messages);
    let how = match pace {
        Pace::Flood => "as a flood",
        Pace::OneByOne => "one by one",
    };
    let shape = Shape::Text(len);
    let title =
        format!("Outbound: {shape} {how}, outcomes awaited, ns of processor time a message");
    let wirings = match pace {
        Pace::Flood => &[Wiring::SendBatches, Wiring::Sender, Wiring::Lifecycle][..],
        Pace::OneByOne => &[Wiring::Sender, Wiring::Lifecycle],
    };
    let contenders = Contender::beside_peers(wirings);
    // Writing is the same with and without awc's StreamHandler.
    let contenders = contenders.into_iter().filter(|who| *who != Contender::AwcStreamHandler);
    let taken = alternate(&title, effort.rounds(), contenders, |who| {
        process::sample(&Plan { who, len, messages, pace })
    })?;
    let costs = Costs::of(taken);
    let table = costs.table(title);
    let lines = costs.lines(&json!({
        "benchmark": "outbound", "message": shape.to_string(), "pace": how, "messages": messages,
    }));
    let names = match (pace, len) {
        (Pace::Flood, 64) => [
            "outbound flood 64 B: wsvisor by SendBatch / best peer",
            "outbound flood 64 B: wsvisor by Sender / best peer",
            "outbound flood 64 B: wsvisor by SendString / best peer",
        ],
        (Pace::Flood, _) => [
            "outbound flood 1 KiB: wsvisor by SendBatch / best peer",
            "outbound flood 1 KiB: wsvisor by Sender / best peer",
            "outbound flood 1 KiB: wsvisor by SendString / best peer",
        ],
        (Pace::OneByOne, _) => return Ok(Report { table, lines, targets: vec![] }),
    };
    let targets = names
        .into_iter()
        .zip([BATCHES, SENDER, WSVISOR])
        .map(|(name, who)| Target::new(name, costs.of_best_peer(who), 0.5))
        .collect();
    Ok(Report { table, lines, targets })
}

impl Measurement for Plan {
    const NAME: &'static str = "outbound";
    type Sample = Cost;

    fn measure(self) -> Result<Cost> {
        let server = Server::start(Service::Sink)?;
        let text = String::from_utf8(Shape::Text(self.len).payload())?;
        let url = server.url().to_owned();
        in_task(async move {
            with_peer!(
                self.who,
                P => self.send_with_peer::<P>(&url, &text).await,
                wiring => self.send_with_wsvisor(wiring, &url, &text).await
            )
        })
        .with_context(|| self.who.to_string())
    }
}

impl Plan {
    async fn send_with_peer<P: Peer>(self, url: &str, text: &str) -> Result<Cost> {
        let mut socket = P::connect(url).await?;
        let per_flush = match self.pace {
            Pace::Flood => IN_FLIGHT as u64,
            Pace::OneByOne => 1,
        };
        let start = Usage::now()?;
        for number in 1..=self.messages {
            P::feed(&mut socket, text).await?;
            if number % per_flush == 0 || number == self.messages {
                P::flush(&mut socket).await?;
            }
        }
        Ok(Usage::now()?.each_since(start, self.messages))
    }

    async fn send_with_wsvisor(self, wiring: Wiring, url: &str, text: &str) -> Result<Cost> {
        let mut subject = Subject::start(wiring, Deaf)?;
        let connection = subject.connect("outbound".to_owned(), url).await?;
        let start = Usage::now()?;
        match self.pace {
            Pace::OneByOne if wiring == Wiring::Sender => {
                let sender = connection.send(GetSender).await?;
                for _ in 0..self.messages {
                    sender.send_text(text).await?;
                }
            }
            Pace::OneByOne => {
                for _ in 0..self.messages {
                    connection.send(SendString::new(text.to_owned())).await??;
                }
            }
            Pace::Flood if wiring == Wiring::SendBatches => {
                self.flood_by_batches(&connection, text).await?;
            }
            Pace::Flood if wiring == Wiring::Sender => {
                self.flood_by_sender(&connection.send(GetSender).await?, text).await?;
            }
            Pace::Flood => self.flood(&connection, text).await?,
        }
        Ok(Usage::now()?.each_since(start, self.messages))
    }

    async fn flood(self, connection: &Addr<Connection>, text: &str) -> Result<()> {
        let mut under_way = VecDeque::with_capacity(IN_FLIGHT);
        for _ in 0..self.messages {
            let mut send = Box::pin(connection.send(SendString::new(text.to_owned())));
            // The first poll hands it over, if the mailbox was full.
            if let Some(outcome) = send.as_mut().now_or_never() {
                outcome??;
                continue;
            }
            under_way.push_back(send);
            if under_way.len() == IN_FLIGHT
                && let Some(oldest) = under_way.pop_front()
            {
                pin!(oldest).await??;
            }
        }
        for send in under_way {
            send.await??;
        }
        Ok(())
    }

    async fn flood_by_sender(self, sender: &Sender, text: &str) -> Result<()> {
        let mut under_way = VecDeque::with_capacity(IN_FLIGHT);
        for _ in 0..self.messages {
            under_way.push_back(sender.send_text(text));
            if under_way.len() == IN_FLIGHT
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.await?;
            }
        }
        for sending in under_way {
            sending.await?;
        }
        Ok(())
    }

    /// As many messages in each batch as the others have on their way at once.
    async fn flood_by_batches(self, connection: &Addr<Connection>, text: &str) -> Result<()> {
        let mut left = self.messages;
        while left > 0 {
            let count = left.min(IN_FLIGHT as u64);
            let mut batch = SendBatch::new();
            (0..count).for_each(|_| batch.push_text(text));
            connection.send(batch).await?.into_result()?;
            left -= count;
        }
        Ok(())
    }
}
