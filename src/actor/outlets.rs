//! The subscribers of one kind that a connection has.

use std::mem;

use super::{letter::Letter, outlet::Outlet};
use crate::lifecycle::SubscriptionId;

/// They are few and stay, and connections are many: no place is kept for more.
pub(super) struct Outlets<M: Letter>(Box<[Outlet<M>]>);

impl<M: Letter> Default for Outlets<M> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<M: Letter> Outlets<M> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Outlet<M>> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Outlet<M>> {
        self.0.iter_mut()
    }

    pub(super) fn add(&mut self, outlet: Outlet<M>) {
        let mut outlets = mem::take(&mut self.0).into_vec();
        outlets.reserve_exact(1);
        outlets.push(outlet);
        self.0 = outlets.into_boxed_slice();
    }

    pub(super) fn remove(&mut self, id: SubscriptionId) -> Option<Outlet<M>> {
        let place = self.0.iter().position(|outlet| outlet.id == id)?;
        let mut outlets = mem::take(&mut self.0).into_vec();
        let removed = outlets.remove(place);
        self.0 = outlets.into_boxed_slice();
        Some(removed)
    }

    /// Tells each, and lets go of those that `tell` says do not stay.
    pub(super) fn tell_each(&mut self, mut tell: impl FnMut(&mut Outlet<M>) -> bool) {
        let mut leaving = Vec::new();
        for outlet in self.iter_mut() {
            if !tell(outlet) {
                leaving.push(outlet.id);
            }
        }
        for id in leaving {
            self.remove(id);
        }
    }
}
