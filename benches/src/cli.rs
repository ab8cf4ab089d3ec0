//! The command line.

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt as _};

use crate::{client::Client, flood, idle};

pub(crate) const USAGE: &str = "\
Measures wsvisor beside other WebSocket clients.

Usage: cargo run --release -p wsvisor-bench -- [flood|idle|all] [options]

  flood  processor time on the client for each 64-byte message of a flood
  idle   memory on the client for each idle connection
  all    both (default)

Options:
  --messages N     messages of one flood (default 4000000)
  --rounds N       floods of each client, in turn (default 3)
  --connections N  idle connections of each client (default 2000)";

/// What to do. All but the first two are for the program itself, which starts each measurement in
/// a process of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Help,
    Run { flood: Option<flood::Plan>, idle: Option<idle::Plan> },
    MeasureFlood { client: Client, messages: u64 },
    ServeFlood { messages: u64 },
    MeasureIdle { client: Client, connections: usize },
    ServeIdle,
}

pub(crate) fn parse() -> Result<Command> {
    let mut word = None;
    let mut client = None;
    let mut messages = 4_000_000;
    let mut rounds = 3;
    let mut connections = 2_000;

    let mut arguments = Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(value) if word.is_none() => word = Some(value.string()?),
            Arg::Long("client") => client = Some(arguments.value()?.parse()?),
            Arg::Long("messages") => messages = arguments.value()?.parse()?,
            Arg::Long("rounds") => rounds = arguments.value()?.parse()?,
            Arg::Long("connections") => connections = arguments.value()?.parse()?,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if messages < 2 || rounds == 0 || connections == 0 {
        bail!("there is nothing to measure: two messages, one round, one connection at least");
    }
    let flood = flood::Plan { messages, rounds };
    let idle = idle::Plan { connections };
    Ok(match (word.as_deref().unwrap_or("all"), client) {
        ("all", None) => Command::Run { flood: Some(flood), idle: Some(idle) },
        ("flood", None) => Command::Run { flood: Some(flood), idle: None },
        ("idle", None) => Command::Run { flood: None, idle: Some(idle) },
        ("measure-flood", Some(client)) => Command::MeasureFlood { client, messages },
        ("serve-flood", None) => Command::ServeFlood { messages },
        ("measure-idle", Some(client)) => Command::MeasureIdle { client, connections },
        ("serve-idle", None) => Command::ServeIdle,
        (other, _) => bail!("there is no benchmark {other:?}\n\n{USAGE}"),
    })
}
