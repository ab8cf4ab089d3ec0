use std::{collections::BTreeMap, fmt, time::Instant};

use actix::prelude::*;
use wsvisor::{Delivery, Epoch, Lifecycle, LifecycleEvent, Received, SendError, StartError};

/// Prints each event as one line, and counts them.
pub(crate) struct Log {
    started: Instant,
    summary: Summary,
}

/// What happened, by connection.
#[derive(Clone, Default)]
pub(crate) struct Summary {
    connections: BTreeMap<String, Tally>,
    blocked: u64,
    written: u64,
    refused: u64,
}

#[derive(Clone, Default)]
struct Tally {
    connected: u64,
    disconnected: u64,
    received: u64,
    last_epoch: Epoch,
}

/// A connection could not be started.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Blocked(pub(crate) StartError);

/// What became of two messages.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Sent(pub(crate) [Result<Delivery, SendError>; 2]);

#[derive(Message)]
#[rtype(result = "Summary")]
pub(crate) struct Summarise;

impl Log {
    fn line(&self, connection: &str, epoch: impl fmt::Display, what: impl fmt::Display) {
        let seconds = self.started.elapsed().as_secs_f64();
        println!("{seconds:6.2} s  {connection:<8} epoch {epoch:<3} {what}");
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { started: Instant::now(), summary: Summary::default() }
    }
}

impl Actor for Log {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Log {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        let connection = told.connection().as_str();
        self.line(connection, told.epoch, &told.event);
        let tally = self.summary.connections.entry(connection.to_owned()).or_default();
        tally.last_epoch = told.epoch;
        match told.event {
            LifecycleEvent::Connected { .. } => tally.connected += 1,
            LifecycleEvent::Disconnected { .. } => tally.disconnected += 1,
            _ => {}
        }
    }
}

impl Handler<Received> for Log {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        let connection = message.connection().as_str();
        let text = message.text().map_or_else(
            || format!("{} bytes", message.payload().as_bytes().len()),
            |text| text.chars().take(80).collect(),
        );
        self.line(connection, message.epoch, format_args!("Received {text}"));
        self.summary.connections.entry(connection.to_owned()).or_default().received += 1;
    }
}

impl Handler<Blocked> for Log {
    type Result = ();

    fn handle(&mut self, Blocked(error): Blocked, _: &mut Context<Self>) {
        self.line("blocked", "-", format_args!("UrlBlocked: {error}"));
        self.summary.blocked += 1;
    }
}

impl Handler<Sent> for Log {
    type Result = ();

    fn handle(&mut self, Sent(fates): Sent, _: &mut Context<Self>) {
        for fate in fates {
            match fate {
                Ok(_) => self.summary.written += 1,
                Err(_) => self.summary.refused += 1,
            }
        }
    }
}

impl Handler<Summarise> for Log {
    type Result = MessageResult<Summarise>;

    fn handle(&mut self, _: Summarise, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.summary.clone())
    }
}

impl Summary {
    /// Both connections came back more than once, each time as a session of its own, and the
    /// blocked one was not dialled.
    pub(crate) fn is_as_promised(&self) -> bool {
        let came_back = |tally: &Tally| {
            tally.connected >= 3
                && tally.last_epoch.get() >= tally.connected
                && tally.disconnected == tally.connected
                && tally.received > 0
        };
        self.connections.len() == 2
            && self.connections.values().all(came_back)
            && self.blocked == 1
            && self.written > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (connection, tally) in &self.connections {
            writeln!(
                f,
                "{connection}: connected {} times, disconnected {} times, {} messages received",
                tally.connected, tally.disconnected, tally.received
            )?;
        }
        write!(
            f,
            "{} messages written, {} refused while there was no session, {} connections blocked",
            self.written, self.refused, self.blocked
        )
    }
}
