//! A rotation: the successor beside the session that is up, and the session before it, which drains.

use std::rc::Rc;

use actix::Handler;

use super::{Beside, Connection, ConnectionContext, Seat};
use crate::{
    lifecycle::{Epoch, ExitReason, Input, RotateError, Side, Verdict},
    message::{Rotate, Rotating},
    protocol::CloseFrame,
    supervision::Heed,
};

impl Connection {
    fn rotate(&mut self, ctx: &mut ConnectionContext) -> Result<Rotating, RotateError> {
        let rotation = self.settings.rotation.ok_or(RotateError::NotEnabled)?;
        self.machine.can_rotate()?;
        if !self.is_ready() {
            return Err(RotateError::NotReady);
        }
        // The machine refuses no Rotate.
        let _ = self.step(Input::Rotate { ready_within: rotation.ready_within }, ctx);
        let epoch = self.machine.successor().ok_or(RotateError::InProgress)?;
        Ok(Rotating { epoch })
    }

    /// The session of this epoch is as old as it may become.
    pub(super) fn outgrown(&mut self, epoch: Epoch, verdict: Verdict, ctx: &mut ConnectionContext) {
        if epoch != self.machine.epoch() {
            return;
        }
        match self.settings.rotation {
            Some(rotation) if self.is_ready() => {
                let _ = self.step(Input::Rotate { ready_within: rotation.ready_within }, ctx);
            }
            _ => {
                if let Some(link) = &self.seat.link {
                    link.request_end(ExitReason::Judged(verdict));
                }
            }
        }
    }

    /// Which of two sessions has this epoch.
    pub(super) fn side_of(&self, epoch: Epoch) -> Side {
        if epoch == self.machine.epoch() { Side::Up } else { Side::Beside }
    }

    /// What there is of the attempt or session of this epoch. Nothing where it was dropped.
    pub(super) fn seat_of(&mut self, epoch: Epoch) -> Option<&mut Seat> {
        match self.side_of(epoch) {
            Side::Up => Some(&mut self.seat),
            Side::Beside => {
                self.beside.as_mut().filter(|it| it.epoch == epoch).map(|it| &mut it.seat)
            }
        }
    }

    /// The successor whose session is open.
    pub(in crate::actor) fn open_successor(&self) -> Option<Epoch> {
        let successor = self.machine.successor()?;
        let beside = self.beside.as_ref().filter(|beside| beside.epoch == successor)?;
        beside.seat.link.as_ref().map(|_| successor)
    }

    pub(super) fn dial_beside(&mut self, epoch: Epoch) {
        let Some(route) = &self.route else { return };
        let route = Rc::new(route.of_successor(self.policy.clone()));
        self.outbox.set_aside(epoch);
        let attempt = Some(self.attempt(Rc::clone(&route), Heed::Host));
        let seat = Seat { attempt, ..Seat::default() };
        self.beside = Some(Box::new(Beside { epoch, seat, route }));
    }

    /// From here on, all that is sent goes out in the successor's session.
    pub(super) fn hand_over(&mut self, old: Epoch) {
        let Some(mut beside) = self.beside.take() else { return };
        self.swap(&mut beside);
        self.outbox.hand_over(Some(old));
        if let Some(link) = &self.seat.link {
            link.change_sides(Side::Up);
            link.open_gate();
        }
        if let Some(link) = &beside.seat.link {
            link.change_sides(Side::Beside);
            link.request_close(CloseFrame::normal());
        }
        beside.epoch = old;
        self.beside = Some(beside);
    }

    /// The successor goes on as the next attempt, whose turn it is.
    pub(super) fn take_over(&mut self) {
        let Some(mut beside) = self.beside.take() else { return };
        self.swap(&mut beside);
        self.outbox.hand_over(None);
        if let Some(link) = &self.seat.link {
            link.change_sides(Side::Up);
        }
    }

    fn swap(&mut self, beside: &mut Beside) {
        self.inherit(&beside.seat.vigil);
        std::mem::swap(&mut self.seat, &mut beside.seat);
        if let Some(route) = &mut self.route {
            std::mem::swap(route, &mut beside.route);
        }
        self.requests.hand_over();
    }

    pub(super) fn end_beside(&self, reason: ExitReason) {
        if let Some(link) = self.beside.as_ref().and_then(|beside| beside.seat.link.as_ref()) {
            link.request_end(reason);
        }
    }

    /// Nothing more is to come of what is beside.
    pub(super) fn drop_beside(&mut self, reason: &ExitReason) {
        let Some(beside) = &mut self.beside else { return };
        beside.seat.abort();
        match &beside.seat.link {
            Some(link) => link.settle(reason),
            None => self.outbox.end_session(Side::Beside, false, reason),
        }
        self.requests.end_session(Side::Beside, reason);
        self.forget_beside();
    }

    /// What the successor's attempt learnt is of use to the next.
    pub(super) fn forget_beside(&mut self) {
        if let (Some(beside), Some(route)) = (self.beside.take(), &self.route) {
            route.learn_from(&beside.route);
        }
    }
}

impl Handler<Rotate> for Connection {
    type Result = Result<Rotating, RotateError>;

    fn handle(&mut self, _: Rotate, ctx: &mut ConnectionContext) -> Self::Result {
        self.rotate(ctx)
    }
}
