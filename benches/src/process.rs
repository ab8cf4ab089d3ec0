//! This program in other processes: measurements and their servers.

use std::{
    env, fmt,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::{Serialize, de::DeserializeOwned};

use crate::servers::Service;

/// A measurement that this program makes in a process of its own.
pub(crate) trait Measurement: fmt::Debug + Serialize + DeserializeOwned {
    /// What the other process knows it by.
    const NAME: &'static str;
    type Sample: Serialize + DeserializeOwned;

    fn measure(self) -> Result<Self::Sample>;
}

/// Measures in a process of its own, and returns the sample that it prints.
pub(crate) fn sample<M: Measurement>(plan: &M) -> Result<M::Sample> {
    let output = start(M::NAME, plan)?.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{plan:?} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("the sample of {plan:?}"))
}

/// Measures in this process, and hands the sample to the one that asked for it.
pub(crate) fn measure<M: Measurement>(plan: &str) -> Result<()> {
    let plan: M = serde_json::from_str(plan).context("the plan")?;
    println!("{}", serde_json::to_string(&plan.measure()?)?);
    Ok(())
}

/// What the process of a server is started with.
pub(crate) const SERVE: &str = "serve";

/// A server in a process of its own, which ends with this value.
pub(crate) struct Server {
    child: Child,
    stdin: ChildStdin,
    /// What it prints after its URL.
    output: Option<BufReader<ChildStdout>>,
    url: String,
}

impl Server {
    /// Starts it, and waits until it says its URL.
    pub(crate) fn start(service: Service) -> Result<Self> {
        let mut command = start(SERVE, &service)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().context("the server has no stdin")?;
        let stdout = child.stdout.take().context("the server has no stdout")?;
        let mut url = String::new();
        let mut output = BufReader::new(stdout);
        output.read_line(&mut url)?;
        ensure!(!url.is_empty(), "the server {service:?} did not start");
        Ok(Self { child, stdin, output: Some(output), url: url.trim_end().to_owned() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it prints from now on, once.
    pub(crate) const fn take_output(&mut self) -> Option<BufReader<ChildStdout>> {
        self.output.take()
    }

    /// Tells it to send what it is to send.
    pub(crate) fn speak(&mut self) -> Result<()> {
        self.stdin.write_all(b"speak\n").context("the server is gone")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The arguments that start this program as another's measurement or server.
pub(crate) fn arguments(name: &str, plan: &impl Serialize) -> Result<[String; 3]> {
    Ok(["task".to_owned(), name.to_owned(), serde_json::to_string(plan)?])
}

pub(crate) fn this_program() -> Result<PathBuf> {
    env::current_exe().context("cannot find this program's file")
}

fn start(name: &str, plan: &impl Serialize) -> Result<Command> {
    let mut command = Command::new(this_program()?);
    command.args(arguments(name, plan)?);
    Ok(command)
}
