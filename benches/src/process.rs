//! This program in other processes: measurements and their servers.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Serialize, de::DeserializeOwned};

use crate::{servers::Service, task::Task};

/// Does `task` in a process of its own, and returns the sample that it prints.
pub(crate) fn sample<T: DeserializeOwned>(task: Task) -> Result<T> {
    let output = start(task)?.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{task:?} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("the sample of {task:?}"))
}

/// Hands a measurement's sample to the process that asked for it.
pub(crate) fn print_sample(sample: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(sample)?);
    Ok(())
}

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
        let mut command = start(Task::Serve(service))?;
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

/// Allows this process as many open files as the system lets it.
pub(crate) fn raise_file_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")
}

pub(crate) fn this_program() -> Result<PathBuf> {
    env::current_exe().context("cannot find this program's file")
}

fn start(task: Task) -> Result<Command> {
    let mut command = Command::new(this_program()?);
    command.args(["task", &serde_json::to_string(&task)?]);
    Ok(command)
}
