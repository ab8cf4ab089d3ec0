//! Measures wsvisor beside other WebSocket clients. `README.md` says how, and how to read it.
//!
//! Each measurement is this program run again, in a process of its own, which runs it once more as
//! its server:
//!
//! ```text
//! wsvisor-bench inbound                the rounds, the tables, the verdict
//!   └ wsvisor-bench task {"Inbound":…}   one client; prints one sample
//!       └ wsvisor-bench task {"Serve":…}   its server; prints its URL
//! ```

mod cli;
mod connect;
mod contenders;
mod costs;
mod echo;
mod effort;
mod fanout;
mod footprint;
mod idle;
mod inbound;
mod instructions;
mod limits;
mod message;
mod outbound;
mod process;
mod recovery;
mod report;
mod rounds;
mod runtime;
mod scale;
mod servers;
mod task;
mod usage;

use std::{alloc::System, process::ExitCode};

use anyhow::Result;
use mockalloc::Mockalloc;

use cli::{Benchmark, Command};

/// Counts while it is asked to, and only hands on otherwise: time is measured without counting.
#[global_allocator]
static ALLOCATOR: Mockalloc<System> = Mockalloc(System);

fn main() -> ExitCode {
    match cli::parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsvisor-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Help => println!("{}", cli::USAGE),
        Command::Run(benchmarks, effort) => {
            let mut reports = Vec::new();
            for benchmark in benchmarks {
                reports.extend(match benchmark {
                    Benchmark::Inbound => inbound::run(effort)?,
                    Benchmark::Outbound => outbound::run(effort)?,
                    Benchmark::Echo => echo::run(effort)?,
                    Benchmark::Connect => connect::run(effort)?,
                    Benchmark::FanOut => fanout::run(effort)?,
                    Benchmark::Idle => idle::run(effort)?,
                });
            }
            report::print(&reports)?;
        }
        Command::Recovery(fleets) => report::print(&[recovery::run(&fleets)?])?,
        Command::Scale(scale) => report::print(&scale::run(scale)?)?,
        Command::Instructions { update } => instructions::run(update)?,
        Command::Task(task) => task.run()?,
    }
    Ok(())
}
