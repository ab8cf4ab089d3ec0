//! The servers' processes.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

#[cfg(unix)]
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::{authority::Certificate, client::soon};

/// Which server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// `peers/peer.py`.
    Python,
    /// `peers/peer.cjs`.
    Node,
    /// `peers/graphql.cjs`.
    GraphQl,
}

/// A server on a loopback port that it chose itself.
pub(crate) struct Server {
    program: Program,
    certificate: Option<Certificate>,
    port: u16,
    process: Process,
}

/// One life of a server. It is killed when it is dropped, and ends by itself when its input ends.
struct Process {
    child: Child,
    lines: UnboundedReceiver<String>,
    history: Vec<String>,
}

impl Server {
    /// A server of `ws`.
    pub(crate) async fn start(program: Program) -> Self {
        Self::start_with(program, None).await
    }

    /// A server of `wss`, with a certificate for `localhost`.
    pub(crate) async fn start_secure(program: Program, certificate: Certificate) -> Self {
        Self::start_with(program, Some(certificate)).await
    }

    async fn start_with(program: Program, certificate: Option<Certificate>) -> Self {
        let mut process = Process::spawn(program, 0, certificate.as_ref());
        let port = process.port().await;
        Self { program, certificate, port, process }
    }

    /// The URL of a path, which chooses what the server does.
    pub(crate) fn url(&self, path: &str) -> String {
        let port = self.port;
        match self.certificate {
            None => format!("ws://127.0.0.1:{port}{path}"),
            Some(_) => format!("wss://localhost:{port}{path}"),
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The rest of the next line that begins with `what`.
    pub(crate) async fn says(&mut self, what: &str) -> String {
        loop {
            let line = self.process.line(what).await;
            if let Some(rest) = line.strip_prefix(what) {
                return rest.trim_start().to_owned();
            }
        }
    }

    /// Ends the server with SIGKILL: it says good-bye to nobody.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Lets the server do nothing more, as if its machine hung.
    #[cfg(unix)]
    pub(crate) fn freeze(&self) {
        let id = i32::try_from(self.process.child.id()).expect("it is a process id");
        kill(Pid::from_raw(id), Signal::SIGSTOP).expect("the server runs");
    }

    /// Ends the server with SIGKILL. All that it printed and that was not read.
    pub(crate) async fn kill_and_read(&mut self) -> Vec<String> {
        self.kill();
        let mut lines = Vec::new();
        while let Some(line) = soon("the last line", self.process.lines.recv()).await {
            lines.push(line);
        }
        lines
    }

    /// Tells the server to close its connections and exit, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        drop(self.process.child.stdin.take());
        while soon("the server's end", self.process.lines.recv()).await.is_some() {}
        let status = self.process.child.wait().expect("the server was started");
        assert!(status.success(), "the server ended with {status}");
    }

    /// Starts the server again, on the same port.
    pub(crate) async fn restart(&mut self) {
        self.process = Process::spawn(self.program, self.port, self.certificate.as_ref());
        assert_eq!(self.process.port().await, self.port);
    }
}

impl Process {
    fn spawn(program: Program, port: u16, certificate: Option<&Certificate>) -> Self {
        let mut child = program
            .command()
            .arg(port.to_string())
            .args(certificate.into_iter().flat_map(Certificate::files))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let (tell, lines) = mpsc::unbounded_channel();
        forward(child.stdout.take().expect("it is piped"), "", tell.clone());
        forward(child.stderr.take().expect("it is piped"), "stderr: ", tell);
        Self { child, lines, history: Vec::new() }
    }

    /// The first line.
    async fn port(&mut self) -> u16 {
        let line = self.line("its port").await;
        line.parse().unwrap_or_else(|_| panic!("the server said no port: {:#?}", self.history))
    }

    async fn line(&mut self, wanted: &str) -> &str {
        let history = &self.history;
        let next = soon(format_args!("{wanted:?} after {history:#?}"), self.lines.recv()).await;
        let line =
            next.unwrap_or_else(|| panic!("the server ended before {wanted:?}: {history:#?}"));
        self.history.push(line);
        self.history.last().expect("it was pushed")
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            while let Ok(line) = self.lines.try_recv() {
                self.history.push(line);
            }
            eprintln!("the server said {:#?}", self.history);
        }
    }
}

impl Program {
    fn command(self) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = root.join(".peers");
        let scripts = root.join("tests/real_peers/peers");
        match self {
            Self::Python => {
                let mut command = Command::new(must_exist(installed.join("python/bin/python")));
                command.arg(scripts.join("peer.py"));
                command
            }
            Self::Node | Self::GraphQl => {
                let modules = must_exist(installed.join("node/node_modules/ws"));
                let script = if matches!(self, Self::Node) { "peer.cjs" } else { "graphql.cjs" };
                let mut command = Command::new(must_exist(installed.join("node/bin/node")));
                command.env("NODE_PATH", modules.with_file_name("")).arg(scripts.join(script));
                command
            }
        }
    }
}

fn must_exist(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not installed: run .ci/install-peers", path.display());
    path
}

/// Passes on what a process prints, line by line, until it closes the pipe.
fn forward(pipe: impl Read + Send + 'static, prefix: &'static str, to: UnboundedSender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The test may have ended.
            let _ = to.send(format!("{prefix}{line}"));
        }
    });
}
