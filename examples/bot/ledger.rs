//! What the bot was told of its messages, held against what the gateway read.

#![allow(clippy::indexing_slicing, reason = "what a JSON value lacks is null")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;
use wsvisor::{Delivery, SendError};

use crate::Failure;

/// The answer to each send, by the message's number.
#[derive(Default)]
pub(crate) struct Ledger(BTreeMap<u64, Answer>);

type Answer = Result<Delivery, SendError>;

/// Whether it all fits together.
pub(crate) struct Report {
    /// By outcome: messages, and how many of them the gateway read.
    totals: BTreeMap<&'static str, (usize, usize)>,
    sessions: usize,
    wrong: Vec<String>,
}

impl Ledger {
    pub(crate) fn note(&mut self, number: u64, what: &str, answer: Answer) {
        match &answer {
            Ok(delivery) => println!("    {what} (number {number}): {delivery:?}"),
            Err(error) => println!("    {what} (number {number}): {error}"),
        }
        self.0.insert(number, answer);
    }

    pub(crate) fn reconcile(&self, read: &[(u32, Value)]) -> Report {
        let mut report = Report { totals: BTreeMap::new(), sessions: 0, wrong: Vec::new() };
        report.look_at_sessions(read);
        for (number, answer) in &self.0 {
            let times = read.iter().filter(|(_, message)| message["number"] == *number).count();
            let (outcome, may_be_read) = match answer {
                Ok(Delivery::Confirmed) => ("confirmed", 1..=1),
                Ok(_) => ("written", 0..=1),
                Err(SendError::WrittenUnknown(_)) => ("written, receipt unknown", 0..=1),
                Err(SendError::NotWritten(_)) => ("not written", 0..=0),
                Err(_) => ("refused", 0..=0),
            };
            let (messages, seen) = report.totals.entry(outcome).or_default();
            *messages += 1;
            *seen += times;
            if !may_be_read.contains(&times) {
                report.wrong.push(format!("number {number}: {outcome}, and read {times} times"));
            }
        }
        let mut numbers = read.iter().filter_map(|(_, message)| message["number"].as_u64());
        if numbers.any(|number| !self.0.contains_key(&number)) {
            report.wrong.push("the gateway read what nobody sent".to_owned());
        }
        report
    }
}

impl Report {
    /// Each session begins with the login and the subscription.
    fn look_at_sessions(&mut self, read: &[(u32, Value)]) {
        let sessions: BTreeSet<_> = read.iter().map(|(session, _)| *session).collect();
        self.sessions = sessions.len();
        for session in sessions {
            let of_it = read.iter().filter(|(of, _)| *of == session);
            let first: Vec<_> = of_it.take(2).filter_map(|(_, it)| it["op"].as_str()).collect();
            if first != ["login", "subscribe"] {
                self.wrong.push(format!("session {session} began with {first:?}"));
            }
        }
    }

    pub(crate) fn verdict(self) -> Result<(), Failure> {
        let outcomes =
            ["confirmed", "written", "written, receipt unknown", "not written", "refused"];
        if !self.wrong.is_empty() {
            Err(self.wrong.join("\n").into())
        } else if self.sessions < 3 || outcomes.iter().any(|it| !self.totals.contains_key(it)) {
            Err("the gateway did not behave badly enough to show anything".into())
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} sessions, each begun by login and subscription", self.sessions)?;
        writeln!(f, "{:<26}{:>10}{:>6}", "outcome", "messages", "read")?;
        for (outcome, (messages, read)) in &self.totals {
            writeln!(f, "{outcome:<26}{messages:>10}{read:>6}")?;
        }
        if self.wrong.is_empty() { f.write_str("all of it agrees") } else { Ok(()) }
    }
}
