//! What this program does when it is started again by itself: one measurement, or its server.

use anyhow::{Context as _, Result, bail};

use crate::{
    connect, echo, fanout, idle, inbound, instructions, outbound,
    process::{self, Measurement, SERVE},
    recovery, scale, servers,
};

/// The name of a measurement, or that it is a server, and what of it.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) plan: String,
}

impl Task {
    pub(crate) fn run(&self) -> Result<()> {
        let Self { name, plan } = self;
        if name == SERVE {
            return servers::serve(serde_json::from_str(plan).context("the server")?);
        }
        if cfg!(debug_assertions) {
            bail!("a debug build says nothing: run it with `cargo run --release -p wsvisor-bench`");
        }
        let measure = match name.as_str() {
            inbound::Plan::NAME => process::measure::<inbound::Plan>,
            outbound::Plan::NAME => process::measure::<outbound::Plan>,
            echo::Plan::NAME => process::measure::<echo::Plan>,
            idle::Plan::NAME => process::measure::<idle::Plan>,
            connect::Plan::NAME => process::measure::<connect::Plan>,
            fanout::Plan::NAME => process::measure::<fanout::Plan>,
            recovery::Plan::NAME => process::measure::<recovery::Plan>,
            scale::InMemory::NAME => process::measure::<scale::InMemory>,
            scale::OverSockets::NAME => process::measure::<scale::OverSockets>,
            instructions::Taken::NAME => process::measure::<instructions::Taken>,
            other => bail!("there is no measurement {other:?}"),
        };
        measure(plan)
    }
}
