//! Loads a WebSocket server and tells how it bears it: a closed or an open loop over supervised
//! connections, with latency that counts from when a message was due.
//!
//! ```text
//! cargo run --release --example load                                  # a server of its own
//! cargo run --release --example load -- ws://127.0.0.1:9000/echo -c 1000 --rate 20000 -d 30s
//! cargo run --release --example load -- --help
//! ```
//!
//! | room | what it holds |
//! | --- | --- |
//! | `cli` | the command line |
//! | `plan` | what is to be done; pure |
//! | `run` | the run: threads, connections, clocks |
//! | `tally` | what happened, counted |
//! | `findings` | what to think of it: warnings, thresholds; pure |
//! | `report` | as text, JSON and a page |

mod cli;
mod findings;
mod plan;
mod report;
mod run;
mod tally;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser as _;

use cli::{Cli, InvalidPlan};
use findings::Findings;
use run::{Conductor, EmbeddedServer, NoServer, RunError};

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Plan(#[from] InvalidPlan),
    #[error(transparent)]
    Server(#[from] NoServer),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the embedded server has failed: {0}")]
    Serve(#[source] io::Error),
    #[error("cannot write the report to {}: {source}", file.display())]
    Report { file: PathBuf, source: io::Error },
}

impl Failure {
    fn code(&self) -> u8 {
        if matches!(self, Self::Plan(_)) { 2 } else { 1 }
    }
}

/// A threshold does not hold.
const FALLEN_SHORT: u8 = 3;

#[actix::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("load: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

async fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    raise_file_limit();
    if cli.serve {
        run::serve().await.map_err(Failure::Serve)?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = if cli.has_no_url() { Some(EmbeddedServer::start()?) } else { None };
    let plan = cli.plan(server.as_ref().map(EmbeddedServer::url))?;
    if server.is_some() && !cli.quiet {
        eprintln!("no URL is given: an echo server in a process of its own is loaded");
    }
    let findings = Conductor::new(plan, cli.quiet).run(interrupt()).await?;
    drop(server);
    report(cli, &findings)?;
    let holds = findings.verdicts().iter().all(|verdict| verdict.holds);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(FALLEN_SHORT) })
}

/// Writes what was asked for, and the text unless JSON takes its place.
fn report(cli: &Cli, findings: &Findings) -> Result<(), Failure> {
    let takes_stdout = cli.json.as_deref().is_some_and(|file| file == Path::new("-"));
    if takes_stdout {
        println!("{:#}", report::json(findings));
    } else {
        println!("{}", report::text(findings));
    }
    let json = cli.json.as_ref().filter(|_| !takes_stdout);
    if let Some(file) = json {
        write(file, &format!("{:#}\n", report::json(findings)))?;
    }
    if let Some(file) = &cli.html {
        write(file, &report::html(findings))?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(|source| Failure::Report { file: file.to_owned(), source })
}

/// Ends at the first Ctrl-C. A second one ends the program.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    actix::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

/// Each connection is an open file, and the usual limit is that of a shell.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            // Where it cannot be raised, connections that find no file say so.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
    }
}
