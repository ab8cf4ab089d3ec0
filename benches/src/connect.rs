//! Processor time on the client, and time on the clock, for each connection that is opened.

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

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

/// So many connections, some of them at once, all of which stay.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    who: Contender,
    connections: usize,
}

const WSVISOR: Contender = Contender::Wsvisor(Wiring::Batches);
/// Dials that are under way at once.
const AT_ONCE: usize = 32;

pub(crate) fn run(effort: Effort) -> Result<Vec<Report>> {
    let connections = usize::try_from(effort.of(5_000))?;
    let title = format!("Connect: {connections} connections, {AT_ONCE} at once, us for each");
    let wirings = [Wiring::Batches, Wiring::BatchesAlone];
    let taken = alternate(&title, effort.rounds(), Contender::beside_peers(&wirings), |who| {
        process::sample(&Plan { who, connections })
    })?;
    let mut table =
        Table::new(title, &["client", "cpu", "least", "most", "clock", "a second", "clock x awc"]);
    let awc = median_of(&taken, Contender::Awc, |cost| cost.elapsed);
    let mut lines = Vec::new();
    for row in &taken {
        let (cpu, clock) = (row.spread(|cost| cost.cpu()), row.median(|cost| cost.elapsed));
        let rate = 1e9 / clock;
        table.figures(
            row.who.name(),
            &[cpu.median / 1e3, cpu.least / 1e3, cpu.most / 1e3, clock / 1e3, rate],
            clock / awc,
        );
        lines.push(json!({
            "benchmark": "connect", "client": row.who.name(), "connections": connections,
            "cpu_ns": {"median": cpu.median, "least": cpu.least, "most": cpu.most},
            "per_second": rate, "rounds": row.samples,
        }));
    }
    let ours = median_of(&taken, WSVISOR, |cost| cost.elapsed);
    let targets = vec![Target::new("connect: time of wsvisor / awc", ours / awc, 1.0)];
    Ok(vec![Report { table, lines, targets }])
}

impl Measurement for Plan {
    const NAME: &'static str = "connect";
    type Sample = Cost;

    fn measure(self) -> Result<Cost> {
        raise_file_limit()?;
        let server = Server::start(Service::Keep(Shape::Text(64)))?;
        let url = server.url().to_owned();
        in_task(async move {
            with_peer!(
                self.who,
                P => self.with_peer::<P>(&url).await,
                wiring => self.with_wsvisor(wiring, &url).await
            )
        })
        .with_context(|| self.who.to_string())
    }
}

impl Plan {
    async fn with_peer<P: Peer>(self, url: &str) -> Result<Cost> {
        let start = Usage::now()?;
        let sockets: Vec<_> = stream::iter(0..self.connections)
            .map(|_| P::connect(url))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let cost = Usage::now()?.each_since(start, self.connections as u64);
        drop(sockets);
        Ok(cost)
    }

    async fn with_wsvisor(self, wiring: Wiring, url: &str) -> Result<Cost> {
        let mut subject = Subject::start(wiring, Deaf)?;
        let start = Usage::now()?;
        let mut started = 0;
        for connected in 0..self.connections {
            while started < self.connections.min(connected + AT_ONCE) {
                subject.start_connection(format!("connect-{started}"), url).await?;
                started += 1;
            }
            subject.connected().await?;
        }
        Ok(Usage::now()?.each_since(start, self.connections as u64))
    }
}
