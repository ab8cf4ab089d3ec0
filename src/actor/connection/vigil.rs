use std::{cell::RefCell, rc::Rc};

use crate::{clock::now, lifecycle::Vigil, spec::Settings};

/// What watches over a session, and over the next one if no other spec comes between. Absent where nothing
/// is expected of messages.
pub(in crate::actor) type SharedVigil = Option<Rc<RefCell<Vigil>>>;

pub(super) fn vigil(settings: &Settings) -> SharedVigil {
    Vigil::over(&settings.liveness, now()).map(|vigil| Rc::new(RefCell::new(vigil)))
}

pub(super) fn is_same(one: &SharedVigil, other: &SharedVigil) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Rc::ptr_eq(one, other),
        _ => false,
    }
}
