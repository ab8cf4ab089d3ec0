//! What each further subscriber of one connection costs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix::{Actor, Context, Handler};
use actix_rt::System;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use wsvisor::{Received, ReceivedBatch, Subscribe};

use crate::{
    contenders::{Deaf, Subject, Wiring},
    effort::Effort,
    message::Shape,
    process::{self, Measurement, Server},
    report::{Report, Table, Target},
    rounds::{Spread, alternate},
    servers::Service,
    usage::{Cost, Usage},
};

/// A flood of texts that so many subscribers hear.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    subscribers: u64,
    form: Form,
    messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Form {
    /// One actor message for each text.
    Each,
    /// One actor message for all texts of one read.
    Batches,
}

const SHAPE: Shape = Shape::Text(64);
/// Deliveries of one measurement: texts, times subscribers.
const DELIVERIES: u64 = 4_000_000;

pub(crate) fn run(effort: Effort) -> Result<Vec<Report>> {
    let title = format!("Fan-out: {SHAPE}, ns of processor time for each delivery of a text");
    let plans = [Form::Batches, Form::Each].into_iter().flat_map(|form| {
        [1, 10, 100].map(|subscribers| Plan {
            subscribers,
            form,
            messages: effort.of(DELIVERIES) / subscribers,
        })
    });
    let taken = alternate(&title, effort.rounds(), plans, |plan| process::sample(&plan))?;
    let mut table =
        Table::new(title, &["subscribers", "median", "least", "most", "x one subscriber"]);
    let (mut lines, mut targets) = (Vec::new(), Vec::new());
    let mut one = f64::NAN;
    for row in &taken {
        let Plan { subscribers, form, messages } = row.who;
        let Spread { least, median, most } = row.spread(|cost| cost.cpu());
        if subscribers == 1 {
            one = median;
        }
        table.figures(&row.who.to_string(), &[median, least, most], median / one);
        lines.push(json!({
            "benchmark": "fan-out", "form": form, "subscribers": subscribers, "messages": messages,
            "cpu_ns": {"median": median, "least": least, "most": most}, "rounds": row.samples,
        }));
        if subscribers == 100 {
            let name = match form {
                Form::Batches => "fan-out: ns a delivery to 100 subscribers, ReceivedBatch",
                Form::Each => "fan-out: ns a delivery to 100 subscribers, Received",
            };
            targets.push(Target::new(name, median, 100.0));
        }
    }
    Ok(vec![Report { table, lines, targets }])
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let form = match self.form {
            Form::Each => "Received",
            Form::Batches => "ReceivedBatch",
        };
        write!(f, "{} by {form}", self.subscribers)
    }
}

impl Measurement for Plan {
    const NAME: &'static str = "fanout";
    type Sample = Cost;

    fn measure(self) -> Result<Cost> {
        let mut server = Server::start(Service::Flood(SHAPE, self.messages))?;
        System::new().block_on(async {
            let mut subject = Subject::start(Wiring::Lifecycle, Deaf)?;
            let connection = subject.connect("fan-out".to_owned(), server.url()).await?;
            let deliveries = self.messages * self.subscribers;
            let count = Arc::new(Count { left: AtomicU64::new(deliveries), done: Notify::new() });
            for _ in 0..self.subscribers {
                let subscriber = Subscriber(Arc::clone(&count)).start();
                connection
                    .send(match self.form {
                        Form::Each => Subscribe::new(subscriber.recipient::<Received>()),
                        Form::Batches => Subscribe::new(subscriber.recipient::<ReceivedBatch>()),
                    })
                    .await?;
            }
            let start = Usage::now()?;
            server.speak()?;
            count.done.notified().await;
            Ok(Usage::now()?.each_since(start, deliveries))
        })
    }
}

struct Count {
    left: AtomicU64,
    done: Notify,
}

struct Subscriber(Arc<Count>);

impl Subscriber {
    fn heard(&self, texts: u64) {
        if self.0.left.fetch_sub(texts, Ordering::Relaxed) == texts {
            self.0.done.notify_one();
        }
    }
}

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<Received> for Subscriber {
    type Result = ();

    fn handle(&mut self, _: Received, _: &mut Context<Self>) {
        self.heard(1);
    }
}

impl Handler<ReceivedBatch> for Subscriber {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        self.heard(batch.len() as u64);
    }
}
