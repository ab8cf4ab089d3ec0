//! How a connection of the fleet is started, and with what settings.

use std::{cell::RefCell, rc::Rc, time::Duration};

use actix::prelude::*;
use serde_json::json;
use wsvisor::{
    AccessPolicy, Backoff, Connection, ConnectionSpec, Kind, Liveness, MaxAge, OutboxLimits,
    Payload, Rotation, Settings, StartConnection, Subscription, Timeouts,
};

use crate::{
    fleet::{Current, Live},
    life::Life,
    plan::{Home, Member, Rotates},
    send::answered_by,
    tap::field,
    witness::{Choosy, Witness},
};

impl Live {
    pub(crate) async fn start(&self) {
        let supervised = self.supervisor.is_some();
        let strict = self.member.subscriber_takes.is_zero();
        let Member { backoff, stable_after, manners, .. } = self.member;
        let life = Life::new(
            supervised,
            self.member.rotates.is_some(),
            strict,
            // Alone it waits for nothing but the next successor, and by the default backoff.
            if supervised { backoff.1 } else { Duration::from_mins(1) },
            stable_after,
            manners,
        );
        let life = Rc::new(RefCell::new(life));
        let witness = Witness {
            name: self.id(),
            life: Rc::clone(&life),
            fates: self.fates.clone(),
            journal: self.journal.clone(),
            takes: self.member.subscriber_takes,
        }
        .start();
        let connection = match &self.supervisor {
            Some(seat) => {
                let start = StartConnection(self.spec(&witness));
                // A bug may have come before.
                let started = seat.occupant().await.send(start).await;
                self.note(format_args!("Start: {:?}", started.as_ref().map(|_| ())));
                started.ok().and_then(Result::ok)
            }
            None if self.current.borrow().is_none() => Some(self.start_alone(&witness)),
            None => None,
        };
        if let Some(connection) = connection {
            *self.current.borrow_mut() = Some(Current { connection, life });
        }
    }

    fn spec(&self, witness: &Addr<Witness>) -> ConnectionSpec {
        let Member { kind, restart, backoff: (min, max), stable_after, .. } = self.member;
        let spec = match kind {
            Kind::Json => ConnectionSpec::json(self.id(), &self.url),
            Kind::String => ConnectionSpec::string(self.id(), &self.url),
        };
        let spec = match self.choosy() {
            Some(choosy) => spec.subscribe(choosy),
            None => spec,
        };
        spec.restart(restart)
            .backoff(Backoff::between(min, max).expect("the bounds are valid"))
            .stable_after(stable_after)
            .settings(self.settings())
            .subscribe(witness.clone().recipient::<wsvisor::Lifecycle>())
            .subscribe(witness.clone().recipient::<wsvisor::Received>())
    }

    fn start_alone(&self, witness: &Addr<Witness>) -> Addr<Connection> {
        let builder = match self.member.kind {
            Kind::Json => Connection::json(self.id()),
            Kind::String => Connection::string(self.id()),
        };
        let builder = match self.choosy() {
            Some(choosy) => builder.subscribe(choosy),
            None => builder,
        };
        builder
            .policy(policy())
            .settings(self.settings())
            .subscribe(witness.clone().recipient::<wsvisor::Lifecycle>())
            .subscribe(witness.clone().recipient::<wsvisor::Received>())
            .start()
            .expect("the settings are valid")
    }

    /// Another subscriber, which must not disturb the first.
    fn choosy(&self) -> Option<Subscription> {
        let (overflow, capacity) = self.member.choosy?;
        let (name, journal) = (format!("{} choosy", self.id()), self.journal.clone());
        let mixed = self.member.rotates.is_some() || self.member.asks;
        let choosy = Choosy { name, journal, mixed, latest: None, lagged: 0 }.start();
        let wanted = Subscription::to(choosy.recipient::<wsvisor::Received>());
        Some(wanted.capacity(capacity).overflow(overflow))
    }

    fn settings(&self) -> Settings {
        let messages = self.member.outbox_messages;
        let (interval, within) = self.member.ping;
        if self.member.subscriber_takes.is_zero() {
            // Its pings are answered by anything, and it may be stalled for as long after that.
            self.watch.bear_silence(&self.path(), 2 * (interval + within));
        }
        let mut liveness = Liveness::default().ping_every(interval).pong_within(within);
        if let Some(Rotates { max_age: Some(age), .. }) = self.member.rotates {
            liveness = liveness.max_age(MaxAge::of(age));
        }
        let bytes = self.member.outbox_bytes;
        self.fates.limit(self.number, messages);
        let settings = Settings::default()
            .liveness(liveness.send_stall(interval + within))
            .dialler(self.watch.clone())
            .timeouts(Timeouts { close: self.member.close_timeout, ..Timeouts::default() })
            .outbox(OutboxLimits { messages, bytes });
        let settings = match self.member.rotates {
            Some(Rotates { ready_within, .. }) => {
                self.watch.bear_two(&self.path(), self.number);
                let rotation = Rotation::make_before_break();
                settings.rotation(rotation.ready_within(ready_within))
            }
            None => settings,
        };
        let settings = if self.member.replies {
            settings.reply_with(|message, replies| {
                if let Some((stream, number)) = message.as_text().and_then(numbered) {
                    let _ = replies.json(&json!({"s": stream, "r": number}));
                }
            })
        } else {
            settings
        };
        if self.member.asks {
            self.watch.hear_answers(&self.path());
        }
        // By turns ours, and the default.
        let settings = if self.number.is_multiple_of(2) {
            settings
        } else {
            settings.correlator(|message: Payload<'_>| {
                Some(answered_by(message.as_text()?)?.1.to_string())
            })
        };
        self.watch.expect(&self.path(), self.member.manners);
        self.member.manners.applied_to(settings, self.number)
    }
}

/// Which message of which stream a server's is.
fn numbered(text: &str) -> Option<(u64, u64)> {
    Some((field(text, "s")?, field(text, "n")?))
}

pub(crate) fn path(home: Home, number: usize) -> String {
    match home {
        Home::Alone => format!("/alone/c{number}"),
        Home::Supervisor(supervisor) => format!("/u{supervisor}/c{number}"),
    }
}

pub(crate) fn policy() -> AccessPolicy {
    AccessPolicy::from_rules((0..4).map(|n| format!("allow ws://s{n}.test"))).expect("valid rules")
}
