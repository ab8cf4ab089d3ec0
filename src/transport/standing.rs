use std::{
    cell::{Cell, Ref, RefCell},
    net::IpAddr,
};

use crate::{
    policy::{AccessPolicy, Allowed, PolicyDenied},
    supervision::Ticket,
};

/// How the attempt or the session that is up stands with the access policy. It is shared with the
/// task of the attempt, so that a policy that changes holds for the very next address.
pub(crate) struct Standing {
    policy: RefCell<AccessPolicy>,
    /// The endpoint of the latest attempt.
    dialled: RefCell<Option<Allowed>>,
    /// The address that it is connected to, where the dialler told.
    address: Cell<Option<IpAddr>>,
    /// Of the attempt that is under way, while the gate has not let it through.
    pub(super) ticket: Cell<Option<Ticket>>,
}

impl Standing {
    pub(crate) fn under(policy: AccessPolicy) -> Self {
        Self {
            policy: RefCell::new(policy),
            dialled: RefCell::default(),
            address: Cell::default(),
            ticket: Cell::default(),
        }
    }

    /// From now on this policy holds.
    pub(crate) fn set_policy(&self, policy: AccessPolicy) {
        self.policy.replace(policy);
    }

    pub(super) fn policy(&self) -> Ref<'_, AccessPolicy> {
        self.policy.borrow()
    }

    /// Judges what is dialled or connected to, if anything is known of that.
    pub(crate) fn judge(&self) -> Option<Result<(), PolicyDenied>> {
        let dialled = self.dialled()?;
        let judged = self.policy().check_connection_again(&dialled, self.address.get());
        Some(judged.map(|allowed| self.dials(&allowed)))
    }

    /// A new attempt begins.
    pub(super) fn begin(&self) {
        self.dialled.replace(None);
        self.address.set(None);
        self.ticket.set(None);
    }

    /// It was sent to another URL.
    pub(super) fn goes_on_to(&self, allowed: &Allowed) {
        self.address.set(None);
        self.dials(allowed);
    }

    pub(super) fn dials(&self, allowed: &Allowed) {
        self.dialled.replace(Some(allowed.clone()));
    }

    pub(super) fn dialled(&self) -> Option<Allowed> {
        self.dialled.borrow().clone()
    }

    /// There is a stream to this address.
    pub(super) fn reached(&self, address: IpAddr) {
        self.address.set(Some(address));
    }
}
