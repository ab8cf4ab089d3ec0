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
    fn change(&self, change: impl FnOnce(&mut Vigil) -> bool) -> bool {
        let changed = self.vigil.as_ref().is_some_and(|vigil| change(&mut vigil.borrow_mut()));
        if let Some(link) = &self.link {
            link.nudge();
        }
        changed
    }
}

impl Handler<SetWatchdog> for Connection {
    type Result = bool;

    fn handle(&mut self, SetWatchdog { name, on }: SetWatchdog, _: &mut Context<Self>) -> bool {
        self.change(|vigil| vigil.turn(&name, on, now()))
    }
}

impl Handler<SetHeartbeat> for Connection {
    type Result = bool;

    fn handle(&mut self, SetHeartbeat(tempo): SetHeartbeat, _: &mut Context<Self>) -> bool {
        self.link.is_some()
            && self.machine.state() == crate::lifecycle::State::Connected
            && self.change(|vigil| match tempo {
                Tempo::Every(interval) => {
                    let chance = with_entropy(|rng| rng.random());
                    vigil.set_heartbeat(Some(interval), now(), chance)
                }
                Tempo::Stopped => vigil.set_heartbeat(None, now(), 0.0),
                Tempo::Now => vigil.beat_now(now()),
            })
    }
}
