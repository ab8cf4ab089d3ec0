//! The command line.

use std::{fs, io, path::PathBuf};

use clap::Parser;

use crate::plan::{
    Answers, InvalidMessages, InvalidTarget, Messages, Pace, Plan, Rate, Target, Threshold,
    Timetable,
};

/// Loads WebSocket servers, and tells how they bear it.
///
/// Phases: connect, idle, warm-up, message, churn, drain. Without a URL, an echo server in a process
/// of its own is loaded.
#[derive(Parser)]
#[command(
    name = "load",
    version,
    after_help = "\
A template's places: {{id}}, {{connection}}, {{sequence}}, {{time}}, {{random:1..6}}, {{pad:100}}.

Thresholds: p50 p99 p99.9 … mean max (response time), service.p99 …, connect.p99 … against a time;
errors, late, connected, disconnects against a count or a share; rate against messages a second.

Exit codes: 0 done and all thresholds hold, 1 could not run, 2 wrong usage, 3 a threshold does not
hold. Ctrl-C ends the run early, with the report; a second one ends it without."
)]
pub(crate) struct Cli {
    /// Servers to load, ws:// or wss://; connections take them in turn
    #[arg(value_name = "URL")]
    urls: Vec<String>,

    /// Connections
    #[arg(short, long, value_name = "N", default_value_t = 100, help_heading = "Connections")]
    connections: usize,

    /// Connections opened a second, or `max`
    #[arg(long, value_name = "RATE", default_value = "500", help_heading = "Connections")]
    connect_rate: String,

    /// How long connections may take after the last one was due
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Connections")]
    connect_patience: humantime::Duration,

    /// Header of the opening handshake, `Name: value`; may be repeated
    #[arg(short = 'H', long, value_name = "HEADER", help_heading = "Connections")]
    header: Vec<String>,

    /// File with one header a line, so that no secret stands on the command line
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    headers: Option<PathBuf>,

    /// Environment variable that holds a bearer token
    #[arg(long, value_name = "VARIABLE", help_heading = "Connections")]
    bearer_env: Option<String>,

    /// Subprotocol to offer; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Connections")]
    subprotocol: Vec<String>,

    /// PEM file of the certificate authorities that wss trusts, instead of the public ones
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    ca: Option<PathBuf>,

    /// Threads that carry connections; default: one for each processor but one
    #[arg(long, value_name = "N", help_heading = "Connections")]
    workers: Option<usize>,

    /// Open loop: messages a second over all connections, or a ramp such as 100..5000
    ///
    /// Without it, each connection sends when its last message was answered (closed loop).
    #[arg(short, long, value_name = "RATE", help_heading = "Messages")]
    rate: Option<Rate>,

    /// Closed loop: messages of a connection that may be without an answer
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        conflicts_with = "rate",
        help_heading = "Messages"
    )]
    in_flight: usize,

    /// Closed loop: pause between an answer and the next message
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        conflicts_with = "rate",
        help_heading = "Messages"
    )]
    think: humantime::Duration,

    /// Size of a message in bytes
    #[arg(short, long, value_name = "BYTES", default_value_t = 64, help_heading = "Messages")]
    size: usize,

    /// Text of a message, with places such as {{id}}
    #[arg(short, long, value_name = "TEXT", conflicts_with = "size", help_heading = "Messages")]
    template: Option<String>,

    /// File with one JSON value a line, with places if wanted, sent in turn
    #[arg(
        short, long, value_name = "FILE", conflicts_with_all = ["size", "template"],
        help_heading = "Messages"
    )]
    messages: Option<PathBuf>,

    /// Sends binary messages
    #[arg(long, help_heading = "Messages")]
    binary: bool,

    /// What answers a message: `next` (the next message that comes), a JSON pointer such as /id
    /// (where the answer has our {{id}}), or `none`
    #[arg(long, value_name = "HOW", default_value = "next", help_heading = "Messages")]
    answers: String,

    /// After this, an answer does not count
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Messages")]
    timeout: humantime::Duration,

    /// Length of the idle phase
    #[arg(long, value_name = "TIME", default_value = "0s", help_heading = "Phases")]
    idle: humantime::Duration,

    /// Length of the warm-up, which is not measured
    #[arg(short, long, value_name = "TIME", default_value = "1s", help_heading = "Phases")]
    warm_up: humantime::Duration,

    /// Length of the message phase
    #[arg(short, long, value_name = "TIME", default_value = "10s", help_heading = "Phases")]
    duration: humantime::Duration,

    /// Length of the churn phase
    #[arg(long, value_name = "TIME", default_value = "0s", help_heading = "Phases")]
    churn: humantime::Duration,

    /// Connections that are closed and opened again each second of the churn phase
    #[arg(long, value_name = "RATE", default_value_t = 10.0, help_heading = "Phases")]
    churn_rate: f64,

    /// How long answers are waited for at the end
    #[arg(long, value_name = "TIME", default_value = "5s", help_heading = "Phases")]
    drain: humantime::Duration,

    /// What must hold, such as 'p99<20ms' 'errors<0.1%'; else the exit code is 3
    #[arg(long, value_name = "THRESHOLD", num_args = 1.., help_heading = "Results")]
    threshold: Vec<Threshold>,

    /// Writes the report as JSON; `-` prints it instead of the text
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) json: Option<PathBuf>,

    /// Writes the report as one HTML page with pictures
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) html: Option<PathBuf>,

    /// Shows no progress
    #[arg(short, long, help_heading = "Results")]
    pub(crate) quiet: bool,

    /// For the program itself, which runs its server as a process of its own.
    #[arg(long, hide = true)]
    pub(crate) serve: bool,
}

/// Why the command line is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidPlan {
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    #[error(transparent)]
    Messages(#[from] InvalidMessages),
    #[error("cannot read {}: {source}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("the environment variable {0} is not set; --bearer-env names one that holds a token")]
    NoToken(String),
    #[error("--{0} is zero; give at least {1}")]
    Zero(&'static str, &'static str),
    #[error("--{option} {value:?} is not {expected}")]
    Unreadable { option: &'static str, value: String, expected: &'static str },
    #[error(
        "--answers {0} needs the message's id: give --template or --messages with {{{{id}}}} in each"
    )]
    NoId(String),
}

impl Cli {
    /// Whether the embedded server is to be loaded.
    pub(crate) const fn has_no_url(&self) -> bool {
        self.urls.is_empty()
    }

    /// The plan for the given URLs, or for that of the embedded server.
    pub(crate) fn plan(&self, embedded: Option<String>) -> Result<Plan, InvalidPlan> {
        let urls: Vec<String> = embedded.map_or_else(|| self.urls.clone(), |url| vec![url]);
        let messages = self.messages()?;
        let answers = self.answers(&messages)?;
        for (option, value) in [("connections", self.connections), ("in-flight", self.in_flight)] {
            if value == 0 {
                return Err(InvalidPlan::Zero(option, "1"));
            }
        }
        let timetable = Timetable {
            warm_up: self.warm_up.into(),
            message: self.duration.into(),
            churn: self.churn.into(),
        };
        if timetable.message.is_zero() {
            return Err(InvalidPlan::Zero("duration", "1s"));
        }
        if !(self.churn_rate.is_finite() && self.churn_rate > 0.0) {
            return Err(InvalidPlan::Zero("churn-rate", "0.1"));
        }
        Ok(Plan {
            target: self.target(&urls)?,
            connections: self.connections,
            connect_rate: self.connect_rate()?,
            connect_patience: self.connect_patience.into(),
            idle: self.idle.into(),
            timetable,
            churn_rate: self.churn_rate,
            drain: self.drain.into(),
            pace: match self.rate {
                Some(rate) => Pace::Rate(rate),
                None => Pace::Answers { in_flight: self.in_flight, think: self.think.into() },
            },
            messages,
            answers,
            timeout: self.timeout.into(),
            workers: self.workers()?,
            thresholds: self.threshold.clone(),
        })
    }

    fn target(&self, urls: &[String]) -> Result<Target, InvalidPlan> {
        let mut headers = self.header.clone();
        if let Some(file) = &self.headers {
            let text = String::from_utf8_lossy(&read(file)?).into_owned();
            headers.extend(text.lines().filter(|it| !it.trim().is_empty()).map(str::to_owned));
        }
        if let Some(variable) = &self.bearer_env {
            let token =
                std::env::var(variable).map_err(|_| InvalidPlan::NoToken(variable.clone()))?;
            headers.push(format!("Authorization: Bearer {}", token.trim()));
        }
        let target = Target::new(urls)?.headers(&headers)?.subprotocols(&self.subprotocol);
        match &self.ca {
            Some(file) => Ok(target.private_ca(&read(file)?)?),
            None => Ok(target),
        }
    }

    fn messages(&self) -> Result<Messages, InvalidPlan> {
        let messages = match (&self.messages, &self.template) {
            (Some(file), _) => {
                let text = read(file)?;
                Messages::from_json_lines(&String::from_utf8_lossy(&text))?
            }
            (None, Some(template)) => Messages::from_template(template)?,
            (None, None) => Messages::of_size(self.size)?,
        };
        Ok(messages.binary(self.binary))
    }

    fn answers(&self, messages: &Messages) -> Result<Answers, InvalidPlan> {
        match self.answers.as_str() {
            "next" => Ok(Answers::Next),
            "none" => Ok(Answers::None),
            pointer if pointer.starts_with('/') && messages.have_ids() => {
                Ok(Answers::ById(pointer.to_owned()))
            }
            pointer if pointer.starts_with('/') => Err(InvalidPlan::NoId(pointer.to_owned())),
            other => Err(InvalidPlan::Unreadable {
                option: "answers",
                value: other.to_owned(),
                expected: "`next`, `none` or a JSON pointer such as /id",
            }),
        }
    }

    fn connect_rate(&self) -> Result<Option<f64>, InvalidPlan> {
        match (self.connect_rate.as_str(), self.connect_rate.trim_end_matches("/s").parse()) {
            ("max", _) => Ok(None),
            (_, Ok(rate)) if (0.001..=1_000_000.0).contains(&rate) => Ok(Some(rate)),
            (other, _) => Err(InvalidPlan::Unreadable {
                option: "connect-rate",
                value: other.to_owned(),
                expected: "connections a second, from 0.001 to 1000000, or `max`",
            }),
        }
    }

    fn workers(&self) -> Result<usize, InvalidPlan> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        match self.workers {
            Some(0) => Err(InvalidPlan::Zero("workers", "1")),
            Some(workers) => Ok(workers.min(self.connections)),
            None => Ok(processors.saturating_sub(1).clamp(1, self.connections.max(1))),
        }
    }
}

fn read(file: &PathBuf) -> Result<Vec<u8>, InvalidPlan> {
    fs::read(file).map_err(|source| InvalidPlan::File { file: file.clone(), source })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn plan(arguments: &[&str]) -> Result<Plan, String> {
        let all = ["load", "ws://127.0.0.1:9/echo"].iter().chain(arguments);
        let cli = Cli::try_parse_from(all).map_err(|error| error.to_string())?;
        cli.plan(None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_is_enough() {
        let plan = plan(&[]).unwrap();
        assert_eq!((plan.connections, plan.connect_rate), (100, Some(500.0)));
        assert_eq!(plan.pace, Pace::Answers { in_flight: 1, think: Duration::ZERO });
        assert_eq!(plan.target.shown(), ["ws://127.0.0.1:9/echo"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let table: [(&[&str], &str); 12] = [
            (&["--connections", "0"], "--connections is zero; give at least 1"),
            (&["--rate", "0"], "the rate is zero"),
            (&["--rate", "5", "--think", "1s"], "cannot be used with"),
            (&["--size", "5", "--template", "a"], "cannot be used with"),
            (&["--answers", "/id"], "needs the message's id"),
            (&["--answers", "all"], "`next`, `none` or a JSON pointer"),
            (&["--connect-rate", "0"], "connections a second"),
            (&["--bearer-env", "WSVISOR_NOT_SET"], "WSVISOR_NOT_SET is not set"),
            (&["--messages", "/does/not/exist"], "cannot read /does/not/exist"),
            (&["--threshold", "p99<20"], "a time such as 20ms"),
            (&["http://example.com"], "URL 2 cannot be dialled"),
            (&["--duration", "0s"], "--duration is zero"),
        ];
        for (arguments, expected) in table {
            let error = plan(arguments).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_wrong_header_is_not_shown() {
        let error = plan(&["-H", "canary-without-colon"]).map(|_| ()).unwrap_err();
        assert!(error.contains("'Name: value'") && !error.contains("canary"), "{error}");
    }
}
