//! The command line.

use std::str::FromStr;

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt as _};

use crate::{effort::Effort, recovery::Fleets, scale::Scale, task::Task};

pub(crate) const USAGE: &str = "\
Measures wsvisor beside other WebSocket clients.

Usage: cargo run --release -p wsvisor-bench -- [benchmark ...] [options]

Benchmarks (default: all but the last three):
  inbound       processor time on the client for each message of a flood towards it
  outbound      processor time for each message that it sends
  echo          round trips: latency and processor time
  connect       processor time for each connection that is opened
  fanout        processor time for each subscriber of one connection
  idle          memory for each idle connection
  recovery      how fleets of 1,000 and 10,000 come back after their server was killed
  scale         19,000 connections over sockets, and 100,000 in memory
  instructions  instructions on the hot paths, counted by callgrind, against
                benches/instructions.json; ends with an error when one has grown
                (--update writes that file)

Options:
  --quick       a tenth of the operations, and one round
  --rounds N    how often each client is measured, in turn (default 5)
  --processes N, --connections N, --seconds N
                of `scale`: processes side by side (default 1), connections of each over
                sockets (19000), and how long they are watched (600)
  --keep FOLDER of `recovery`: writes recovery.jsonl and recovery.svg there;
                --connections N chooses one fleet
  --update      take the counted instructions as those to hold from now on";

/// What to do.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Help,
    Run(Vec<Benchmark>, Effort),
    Recovery(Fleets),
    Scale(Scale),
    Instructions {
        update: bool,
    },
    /// For the program itself, which starts each measurement in a process of its own.
    Task(Task),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Benchmark {
    Inbound,
    Outbound,
    Echo,
    Connect,
    FanOut,
    Idle,
}

impl Benchmark {
    const ALL: [Self; 6] =
        [Self::Inbound, Self::Outbound, Self::Echo, Self::Connect, Self::FanOut, Self::Idle];
}

impl FromStr for Benchmark {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "inbound" => Self::Inbound,
            "outbound" => Self::Outbound,
            "echo" => Self::Echo,
            "connect" => Self::Connect,
            "fanout" => Self::FanOut,
            "idle" => Self::Idle,
            other => bail!("there is no benchmark {other:?}\n\n{USAGE}"),
        })
    }
}

pub(crate) fn parse() -> Result<Command> {
    let (mut rounds, mut quick, mut update) = (None, false, false);
    let (mut scale, mut fleets) = (Scale::default(), Fleets::default());
    let mut names = Vec::new();
    let mut arguments = Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(name) if name == "task" && names.is_empty() => {
                let (name, plan) = (arguments.value()?.string()?, arguments.value()?.string()?);
                return Ok(Command::Task(Task { name, plan }));
            }
            Arg::Value(name) => names.push(name.string()?),
            Arg::Long("rounds") => rounds = Some(arguments.value()?.parse()?),
            Arg::Long("processes") => scale.processes = arguments.value()?.parse()?,
            Arg::Long("connections") => {
                scale.connections = arguments.value()?.parse()?;
                fleets.connections = vec![scale.connections];
            }
            Arg::Long("keep") => fleets.folder = Some(arguments.value()?.string()?),
            Arg::Long("seconds") => scale.seconds = arguments.value()?.parse()?,
            Arg::Long("quick") => quick = true,
            Arg::Long("update") => update = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if rounds == Some(0) {
        bail!("--rounds 0: there is nothing to measure; one round at least");
    }
    if names == ["instructions"] {
        return Ok(Command::Instructions { update });
    }
    if names == ["recovery"] {
        return Ok(Command::Recovery(fleets));
    }
    if names == ["scale"] {
        return Ok(Command::Scale(scale));
    }
    let alone = ["recovery", "scale", "instructions"];
    if names.iter().any(|name| alone.contains(&name.as_str())) || update {
        bail!("recovery, scale and instructions run alone, and only the last takes --update");
    }
    let benchmarks: Vec<_> = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
    let all = benchmarks.is_empty();
    let benchmarks = if all { Benchmark::ALL.to_vec() } else { benchmarks };
    Ok(Command::Run(benchmarks, Effort::new(rounds, quick)))
}
