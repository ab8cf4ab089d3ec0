//! What a connection expects of its messages, and how that is changed while it runs.

use std::{cell::RefCell, rc::Rc};

use actix::Handler;
use rand::RngExt as _;

use super::{
    Connection, ConnectionContext,
    vigil::{SharedVigil, is_same},
};
use crate::{
    clock::now,
    entropy::with_entropy,
    lifecycle::{Side, State, Vigil},
    message::{SetHeartbeat, SetWatchdog, Tempo},
};

impl Connection {
    /// What watches over a session that begins on this side. Of two sessions, each has its own.
    pub(super) fn vigil_of(&self, side: Side) -> SharedVigil {
        let fork = |vigil: &Rc<RefCell<Vigil>>| Rc::new(RefCell::new(vigil.borrow().clone()));
        match side {
            Side::Beside if is_same(&self.vigil, &self.seat.vigil) => self.vigil.as_ref().map(fork),
            _ => self.vigil.clone(),
        }
    }

    /// The session that this watches over takes the place of the one that is up: what is remembered, and
    /// what was turned on or off, is the newer one's from here on, unless another spec came after both.
    pub(super) fn inherit(&mut self, successor: &SharedVigil) {
        if successor.is_some() && is_same(&self.vigil, &self.seat.vigil) {
            self.vigil.clone_from(successor);
        }
    }
}

impl Handler<SetWatchdog> for Connection {
    type Result = bool;

    fn handle(&mut self, SetWatchdog { name, on }: SetWatchdog, _: &mut ConnectionContext) -> bool {
        let beside = self.beside.as_ref().map(|beside| &beside.seat);
        let up =
            [Some(&self.seat), beside].into_iter().flatten().filter(|seat| seat.link.is_some());
        let vigils = up.map(|seat| &seat.vigil).chain([&self.vigil]);
        let mut is_known = false;
        for vigil in vigils {
            is_known |= change(vigil, |vigil| vigil.turn(&name, on, now()));
        }
        is_known
    }
}

impl Handler<SetHeartbeat> for Connection {
    type Result = bool;

    fn handle(&mut self, SetHeartbeat(tempo): SetHeartbeat, _: &mut ConnectionContext) -> bool {
        let newest = match (&self.beside, self.open_successor()) {
            (Some(successor), Some(_)) => &successor.seat.vigil,
            _ => &self.seat.vigil,
        };
        self.seat.link.is_some()
            && self.machine.state() == State::Connected
            && change(newest, |vigil| match tempo {
                Tempo::Every(interval) => {
                    let chance = with_entropy(|rng| rng.random());
                    vigil.set_heartbeat(Some(interval), now(), chance)
                }
                Tempo::Stopped => vigil.set_heartbeat(None, now(), 0.0),
                Tempo::Now => vigil.beat_now(now()),
            })
    }
}

fn change(vigil: &SharedVigil, change: impl FnOnce(&mut Vigil) -> bool) -> bool {
    vigil.as_ref().is_some_and(|vigil| change(&mut vigil.borrow_mut()))
}
