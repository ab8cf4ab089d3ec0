//! What a connection expects of its messages, and how that is changed while it runs.

use std::{cell::RefCell, rc::Rc};

use actix::{Context, Handler};
use rand::RngExt as _;

use super::{clock::now, connection::Connection};
use crate::{
    lifecycle::Vigil,
    message::{SetHeartbeat, SetWatchdog, Tempo},
    spec::Settings,
    transport::with_entropy,
};

/// What watches over the sessions of a connection. Absent where nothing is expected of messages.
pub(super) type SharedVigil = Option<Rc<RefCell<Vigil>>>;

pub(super) fn vigil(settings: &Settings) -> SharedVigil {
    Vigil::over(&settings.liveness, now()).map(|vigil| Rc::new(RefCell::new(vigil)))
}

impl Connection {
    /// Tells the vigil, and then the session's task, which has to wait differently.
    fn change(&self, vigil: &SharedVigil, change: impl FnOnce(&mut Vigil) -> bool) -> bool {
        let changed = vigil.as_ref().is_some_and(|vigil| change(&mut vigil.borrow_mut()));
        self.links().for_each(|link| link.nudge());
        changed
    }
}

impl Handler<SetWatchdog> for Connection {
    type Result = bool;

    fn handle(&mut self, SetWatchdog { name, on }: SetWatchdog, _: &mut Context<Self>) -> bool {
        if let Some(beside) = &self.beside {
            self.change(&beside.vigil, |vigil| vigil.turn(&name, on, now()));
        }
        self.change(&self.vigil, |vigil| vigil.turn(&name, on, now()))
    }
}

impl Handler<SetHeartbeat> for Connection {
    type Result = bool;

    fn handle(&mut self, SetHeartbeat(tempo): SetHeartbeat, _: &mut Context<Self>) -> bool {
        let newest = match (&self.beside, self.open_successor()) {
            (Some(successor), Some(_)) => &successor.vigil,
            _ => &self.vigil,
        };
        self.seat.link.is_some()
            && self.machine.state() == crate::lifecycle::State::Connected
            && self.change(newest, |vigil| match tempo {
                Tempo::Every(interval) => {
                    let chance = with_entropy(|rng| rng.random());
                    vigil.set_heartbeat(Some(interval), now(), chance)
                }
                Tempo::Stopped => vigil.set_heartbeat(None, now(), 0.0),
                Tempo::Now => vigil.beat_now(now()),
            })
    }
}
