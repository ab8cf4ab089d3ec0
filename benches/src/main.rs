//! Measures wsvisor beside other WebSocket clients: processor time for each message of a flood,
//! and memory for each idle connection. `README.md` says how, and how to read it.
//!
//! Each measurement is this program run again, in a process of its own, which runs it once more as
//! its server:
//!
//! ```text
//! wsvisor-bench flood                  the rounds, the table, the verdict
//!   └ wsvisor-bench measure-flood …    one client; prints one sample
//!       └ wsvisor-bench serve-flood …  its server; prints its URL
//! ```

mod cli;
mod client;
mod flood;
mod idle;
mod peers;
mod process;
mod report;
mod server;
mod subject;

use std::{alloc::System, process::ExitCode};

use anyhow::Result;
use mockalloc::Mockalloc;

use cli::Command;

/// Counts while it is asked to, and only hands on otherwise: floods are measured without counting.
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
        Command::Run { flood, idle } => {
            let mut reports = Vec::new();
            if let Some(plan) = flood {
                reports.push(flood::run(plan)?);
            }
            if let Some(plan) = idle {
                reports.push(idle::run(plan)?);
            }
            report::print(&reports)?;
        }
        Command::MeasureFlood { client, messages } => {
            process::print_sample(&flood::measure(client, messages)?)?;
        }
        Command::ServeFlood { messages } => flood::serve(messages)?,
        Command::MeasureIdle { client, connections } => {
            process::print_sample(&idle::measure(client, connections)?)?;
        }
        Command::ServeIdle => idle::serve()?,
    }
    Ok(())
}
