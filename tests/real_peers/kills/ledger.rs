//! What senders were told, held against what servers read. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use wsvisor::{Delivery, Refusal, SendError, Unconfirmed, Unwritten};

/// Each send of each connection, in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By connection: the fate of each message, once it is known.
    told: BTreeMap<String, Vec<Option<Fate>>>,
    /// By connection: the messages that servers read, and how often.
    read: BTreeMap<String, BTreeMap<usize, usize>>,
    /// By connection and kind: the message that was read last, over all the servers' lives.
    last: BTreeMap<(String, char), usize>,
    /// What servers read that the contract forbids.
    wrong: Vec<String>,
}

/// What became of a message, as its sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Confirmed,
    Written,
    UnknownAsTheSessionEnded,
    UnknownAtItsDeadline,
    NotWrittenAsTheSessionEnded,
    NotWrittenAtItsDeadline,
    NotWrittenAsANewerCame,
    Refused,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) connection: String,
    pub(crate) number: usize,
}

impl Ledger {
    /// The next message of a connection.
    pub(crate) fn open(&mut self, connection: &str) -> Entry {
        let told = self.told.entry(connection.to_owned()).or_default();
        told.push(None);
        Entry { connection: connection.to_owned(), number: told.len() - 1 }
    }

    pub(crate) fn settle(&mut self, Entry { connection, number }: &Entry, fate: Fate) {
        let told = &mut self.told.get_mut(connection).expect("it was opened")[*number];
        assert_eq!(*told, None, "{connection}: message {number} has two fates");
        *told = Some(fate);
    }

    /// One life of a server is over. These are the lines that it printed, `got CONNECTION MESSAGE`. A
    /// message is a letter, its number and a full stop: `m`, or `r` where it waits for readiness, so that
    /// those that do not may pass it; or the greeting `h` with its session's epoch. The last line may have
    /// been cut short by the kill.
    pub(crate) fn read(&mut self, lines: &[String]) {
        let mut greeted = BTreeSet::new();
        let mut lines: Vec<_> = lines.iter().filter(|line| line.starts_with("got")).collect();
        if lines.last().is_some_and(|last| !last.ends_with('.')) {
            lines.pop();
        }
        for line in lines {
            let words = line.strip_prefix("got ").and_then(|line| line.strip_suffix('.'));
            let parts = words.and_then(|words| words.split_once(' '));
            let parts = parts.and_then(|(connection, message)| {
                let mut message = message.chars();
                Some((connection, message.next()?, message.as_str().parse().ok()?))
            });
            let Some((connection, kind, number)) = parts else {
                self.wrong.push(format!("{line:?} is no message"));
                continue;
            };
            let last = self.last.insert((connection.to_owned(), kind), number);
            if let Some(last) = last.filter(|last| *last >= number) {
                self.wrong.push(format!("{connection}: {kind}{number} was read after {last}"));
            }
            if kind == 'h' {
                greeted.insert(connection);
                continue;
            }
            if !greeted.contains(connection) {
                self.wrong.push(format!("{connection}: {kind}{number} came before a greeting"));
            }
            *self.read.entry(connection.to_owned()).or_default().entry(number).or_default() += 1;
        }
    }

    /// Messages that have no fate yet.
    pub(crate) fn open_entries(&self) -> usize {
        self.told.values().flatten().filter(|fate| fate.is_none()).count()
    }

    /// Everything that contradicts what is promised for a message.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        for (connection, told) in &self.told {
            for (number, fate) in told.iter().enumerate() {
                let times = self.times_read(connection, number);
                let Some(fate) = fate else {
                    wrong.push(format!("{connection}: message {number} has no fate"));
                    continue;
                };
                if !fate.may_be_read(times) {
                    wrong.push(format!(
                        "{connection}: message {number} was read {times} times, and is {fate:?}"
                    ));
                }
            }
        }
        wrong
    }

    /// By fate: messages, and how many of them were read.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = BTreeMap::new();
        for (connection, told) in &self.told {
            for (number, fate) in told.iter().enumerate() {
                let Some(fate) = fate else { continue };
                let (messages, seen) = totals.entry(*fate).or_insert((0, 0));
                *messages += 1;
                *seen += usize::from(self.times_read(connection, number) > 0);
            }
        }
        Totals(totals)
    }

    fn times_read(&self, connection: &str, number: usize) -> usize {
        self.read.get(connection).and_then(|read| read.get(&number)).copied().unwrap_or(0)
    }
}

impl Fate {
    pub(crate) const ALL: [Self; 8] = [
        Self::Confirmed,
        Self::Written,
        Self::UnknownAsTheSessionEnded,
        Self::UnknownAtItsDeadline,
        Self::NotWrittenAsTheSessionEnded,
        Self::NotWrittenAtItsDeadline,
        Self::NotWrittenAsANewerCame,
        Self::Refused,
    ];

    pub(crate) fn of(answer: &Result<Delivery, SendError>) -> Self {
        match answer {
            Ok(Delivery::Confirmed) => Self::Confirmed,
            Ok(Delivery::Written) => Self::Written,
            Err(SendError::WrittenUnknown(Unconfirmed::SessionEnded(_))) => {
                Self::UnknownAsTheSessionEnded
            }
            Err(SendError::WrittenUnknown(Unconfirmed::Expired)) => Self::UnknownAtItsDeadline,
            Err(SendError::NotWritten(Unwritten::SessionEnded(_))) => {
                Self::NotWrittenAsTheSessionEnded
            }
            Err(SendError::NotWritten(Unwritten::Expired)) => Self::NotWrittenAtItsDeadline,
            Err(SendError::NotWritten(Unwritten::Replaced)) => Self::NotWrittenAsANewerCame,
            Err(SendError::Refused(
                Refusal::NotConnected | Refusal::OtherSession { .. } | Refusal::OutboxFull { .. },
            )) => Self::Refused,
            other => panic!("nothing was done that leads to {other:?}"),
        }
    }

    const fn may_be_read(self, times: usize) -> bool {
        match self {
            Self::Confirmed => times == 1,
            Self::Written | Self::UnknownAsTheSessionEnded | Self::UnknownAtItsDeadline => {
                times <= 1
            }
            Self::NotWrittenAsTheSessionEnded
            | Self::NotWrittenAtItsDeadline
            | Self::NotWrittenAsANewerCame
            | Self::Refused => times == 0,
        }
    }
}

/// How many messages had which fate, and how many of those were read.
pub(crate) struct Totals(BTreeMap<Fate, (usize, usize)>);

impl Totals {
    /// Fates that no message had.
    pub(crate) fn missing(&self) -> Vec<Fate> {
        Fate::ALL.into_iter().filter(|fate| !self.0.contains_key(fate)).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28} {:>8} {:>8} {:>8}", "", "messages", "read", "not read")?;
        for (fate, (messages, read)) in &self.0 {
            let (name, unread) = (format!("{fate:?}"), messages - read);
            writeln!(f, "{name:<28} {messages:>8} {read:>8} {unread:>8}")?;
        }
        Ok(())
    }
}

mod tests {
    use super::*;

    fn ledger(fates: &[Fate], read: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        for fate in fates {
            let entry = ledger.open("c");
            ledger.settle(&entry, *fate);
        }
        ledger.read(&read.iter().map(|what| format!("got c {what}.")).collect::<Vec<_>>());
        ledger
    }

    #[test]
    fn each_fate_allows_what_is_promised_and_no_more() {
        for (fate, allowed) in [
            (Fate::Confirmed, [false, true, false]),
            (Fate::Written, [true, true, false]),
            (Fate::UnknownAsTheSessionEnded, [true, true, false]),
            (Fate::NotWrittenAtItsDeadline, [true, false, false]),
            (Fate::Refused, [true, false, false]),
        ] {
            for (times, allowed) in allowed.into_iter().enumerate() {
                let read = [&["h1"][..], &["m0"; 2][..times]].concat();
                let contradictions = ledger(&[fate], &read).contradictions();
                assert_eq!(contradictions.is_empty(), allowed, "{fate:?} {times}");
            }
        }
    }

    #[test]
    fn order_greetings_and_open_entries_are_looked_at() {
        let two = [Fate::Confirmed; 2];
        assert_eq!(ledger(&two, &["h1", "m0", "h2", "m1"]).contradictions(), [""; 0]);
        assert_eq!(ledger(&two, &["h1", "m1", "r0"]).contradictions(), [""; 0]);
        assert_eq!(ledger(&two, &["h1", "m1", "m0"]).contradictions().len(), 1);
        assert_eq!(ledger(&two, &["h1", "m0", "m", "m1"]).contradictions().len(), 1);
        let mut cut_short = ledger(&[Fate::Written; 12], &["h1", "m0"]);
        cut_short.read(&["got c h2.".to_owned(), "got c m11.".to_owned(), "got c m1".to_owned()]);
        assert_eq!(cut_short.contradictions(), [""; 0]);
        assert_eq!(ledger(&two, &["h2", "m0", "h2", "m1"]).contradictions().len(), 1);
        assert_eq!(ledger(&two[..1], &["m0", "h1"]).contradictions().len(), 1);
        let mut open = Ledger::default();
        open.open("c");
        assert_eq!((open.open_entries(), open.contradictions().len()), (1, 1));
    }
}
