//! What a worker does when something is due: a message of the open loop, or a session to be churned.

use std::{io, time::Instant};

use actix::prelude::*;

use super::{
    pacer::Wake,
    seat::{Seat, Stage},
    worker::Worker,
};
use crate::plan::Phase;

/// Messages sent before answers are looked at again.
const BURST: usize = 512;

impl Worker {
    /// Sends all that is due, and closes what is to be churned.
    pub(super) fn send_due(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        for _ in 0..BURST {
            let Some((due, phase)) = self.next_due().filter(|(due, _)| *due <= now) else {
                break;
            };
            let Some(load) = &mut self.load else { return };
            let id = load.next_send;
            load.next_send += self.share.of as u64;
            match self.next_seat() {
                Some(seat) => self.send(seat, id, due, phase, ctx),
                None => self.refuse(phase, "no connection is there to send on"),
            }
        }
        self.churn_due(now);
        self.sleep();
    }

    /// When the next message is due in the open loop.
    fn next_due(&self) -> Option<(Instant, Phase)> {
        let load = self.load.as_ref().filter(|load| !load.ceased)?;
        let due = load.sends.as_ref()?.due(load.next_send)?;
        Some((load.began + due.after, due.phase))
    }

    fn churn_due(&mut self, now: Instant) {
        while let Some(due) = self.next_churn().filter(|due| *due <= now) {
            let _ = due;
            if let Some(load) = &mut self.load {
                load.next_churn += self.share.of as u64;
            }
            if let Some(seat) = self.next_seat().filter(|seat| self.is_up(*seat)) {
                if let Some(seat) = self.seats.get_mut(seat) {
                    seat.stage = Stage::Leaving;
                }
                self.leave_if_done(seat);
            }
        }
    }

    fn next_churn(&self) -> Option<Instant> {
        let load = self.load.as_ref().filter(|load| !load.ceased)?;
        Some(load.began + load.churns.due(load.next_churn)?.after)
    }

    pub(super) fn sleep(&mut self) {
        let next = [self.next_due().map(|(due, _)| due), self.next_churn()];
        if let (Some(next), Some(pacer)) = (next.into_iter().flatten().min(), &self.pacer)
            && let Err(error) = pacer.wake_at(next)
        {
            self.alarm_failed(&error);
        }
    }

    /// Messages go out with the heartbeat from here on.
    pub(super) fn alarm_failed(&mut self, error: &io::Error) {
        self.pacer = None;
        self.tally.reason(format!("no alarm keeps the pace, and messages are sent late: {error}"));
    }

    /// The connections take turns, but for those that are away on purpose.
    fn next_seat(&mut self) -> Option<usize> {
        let seats = self.seats.len();
        let turns = (0..seats).map(|turn| (self.cursor + turn) % seats);
        let found = turns
            .into_iter()
            .find(|seat| self.seats.get(*seat).is_some_and(Seat::takes_messages))?;
        self.cursor = found + 1;
        Some(found)
    }

    pub(super) fn is_up(&self, seat: usize) -> bool {
        self.seats.get(seat).is_some_and(|seat| seat.stage == Stage::Up && seat.address.is_some())
    }
}

impl Handler<Wake> for Worker {
    type Result = ();

    fn handle(&mut self, Wake(gone_off): Wake, ctx: &mut Context<Self>) {
        if let Err(error) = gone_off {
            self.alarm_failed(&error);
        }
        self.send_due(ctx);
    }
}
