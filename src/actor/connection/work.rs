//! What runs for a connection: attempts and sessions, and what follows when something of them has ended.

use std::task::{Context, Poll};

use super::{Connection, ConnectionContext, seat::Happening};
use crate::{
    actor::inbound::Finding,
    lifecycle::{Epoch, Input},
};

impl Connection {
    /// Whether anything is to come without a command.
    pub(super) fn is_at_work(&self) -> bool {
        self.timer.is_some() || self.seat.is_taken() || self.beside.is_some()
    }

    /// Lets what runs go on, until all of it waits.
    pub(super) fn poll_work(&mut self, ctx: &mut ConnectionContext, cx: &mut Context<'_>) {
        loop {
            if let Poll::Ready((epoch, happening)) = self.poll_seats(cx) {
                self.happened(epoch, happening, ctx);
            } else if self.poll_timer(cx).is_ready() {
                self.expire();
                let _ = self.step(Input::Tick, ctx);
            } else {
                break;
            }
        }
        self.fanout.pump(cx);
    }

    fn poll_seats(&mut self, cx: &mut Context<'_>) -> Poll<(Epoch, Happening)> {
        if let Poll::Ready(happening) = self.seat.poll(&mut self.fanout, &mut self.requests, cx) {
            return Poll::Ready((self.machine.epoch(), happening));
        }
        match &mut self.beside {
            Some(beside) => {
                let polled = beside.seat.poll(&mut self.fanout, &mut self.requests, cx);
                polled.map(|happening| (beside.epoch, happening))
            }
            None => Poll::Pending,
        }
    }

    // Out of the way of the turns in which nothing of it happens, which are most.
    #[cold]
    fn happened(&mut self, epoch: Epoch, happening: Happening, ctx: &mut ConnectionContext) {
        match happening {
            Happening::Dialled(Ok(opened)) => self.opened(epoch, opened, ctx),
            Happening::Dialled(Err(reason)) => self.attempt_failed(epoch, reason, ctx),
            Happening::GreetingCame(greeting) => self.greet_with(epoch, greeting),
            Happening::Greeted => self.greeted(epoch, ctx),
            Happening::Found(findings) => self.found(epoch, findings, ctx),
            Happening::Ended(findings, reason) => {
                self.found(epoch, findings, ctx);
                self.session_ended(epoch, reason, ctx);
            }
        }
    }

    fn found(&mut self, epoch: Epoch, findings: Vec<Finding>, ctx: &mut ConnectionContext) {
        for finding in findings {
            match finding {
                Finding::Ready => self.found_ready(epoch, ctx),
                Finding::NotToldReady(verdict) => self.not_told_ready(epoch, verdict),
                Finding::Outgrown(verdict) => self.outgrown(epoch, verdict, ctx),
            }
        }
    }
}
