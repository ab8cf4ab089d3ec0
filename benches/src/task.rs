//! What this program does when it is started again by itself: one measurement, or its server.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    connect, echo, fanout, idle, inbound, instructions, outbound, process, recovery, scale, servers,
};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Inbound(inbound::Plan),
    Outbound(outbound::Plan),
    Echo(echo::Plan),
    Idle(idle::Plan),
    Connect(connect::Plan),
    FanOut(fanout::Plan),
    Recovery(recovery::Plan),
    Scale(scale::Plan),
    /// A hot path and how often it is taken, for callgrind to count.
    Instructions(instructions::Path, u32),
    Serve(servers::Service),
}

impl Task {
    pub(crate) fn run(self) -> Result<()> {
        if cfg!(debug_assertions) && !matches!(self, Self::Serve(_)) {
            bail!("a debug build says nothing: run it with `cargo run --release -p wsvisor-bench`");
        }
        match self {
            Self::Inbound(plan) => process::print_sample(&plan.measure()?),
            Self::Outbound(plan) => process::print_sample(&plan.measure()?),
            Self::Echo(plan) => process::print_sample(&plan.measure()?),
            Self::Idle(plan) => process::print_sample(&plan.measure()?),
            Self::Connect(plan) => process::print_sample(&plan.measure()?),
            Self::FanOut(plan) => process::print_sample(&plan.measure()?),
            Self::Recovery(plan) => process::print_sample(&plan.measure()?),
            Self::Scale(plan) => process::print_sample(&plan.measure()?),
            Self::Instructions(path, times) => path.take(times),
            Self::Serve(service) => servers::serve(service),
        }
    }
}
