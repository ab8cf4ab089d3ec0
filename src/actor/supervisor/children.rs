use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use actix::{Addr, Arbiter, ArbiterHandle};

use crate::{
    actor::{connection::Connection, superior::Report},
    error::ChildError,
    lifecycle::{ConnectionId, Epoch, ExitReason, RestartPolicy, State},
    message::{Connect, ConnectionInfo, Counts, WhichConnections},
    policy::AccessPolicy,
    spec::{ConnectionSpec, Kind},
    supervision::{Operation, Refused, Standing},
};

/// The connections that a supervisor keeps, by id, and how many are in which state.
#[derive(Default)]
pub(super) struct Children {
    by_id: BTreeMap<ConnectionId, Child>,
    counts: Counts,
    next_serial: u64,
    /// The threads that they run on; none, and they run on the supervisor's.
    pub(super) arbiters: Vec<Arbiter>,
    /// The access policy that holds for them, where it was changed: the next supervisor's too.
    pub(super) policy: Option<AccessPolicy>,
    /// Why their supervisor ended, where it gave up: the next one starts all of them again.
    pub(super) gave_up: Option<ExitReason>,
}

pub(super) struct Child {
    pub(super) address: Addr<Connection>,
    /// What to dial when it is restarted. On its own, for the nodes of a map are half empty.
    pub(super) connect: Box<Connect>,
    pub(super) restart: RestartPolicy,
    pub(super) kind: Kind,
    significant: bool,
    /// Rises with each start, so that it also tells the order of starts.
    pub(super) serial: u64,
    state: State,
    epoch: Epoch,
}

impl Children {
    pub(super) fn on_arbiters(count: usize) -> Arc<Mutex<Self>> {
        let arbiters = (0..count).map(|_| Arbiter::new()).collect();
        Arc::new(Mutex::new(Self { arbiters, ..Self::default() }))
    }

    /// The thread of a start, in turn, of those that run.
    pub(super) fn arbiter(&self, serial: u64) -> Option<ArbiterHandle> {
        let turn = usize::try_from(serial.checked_rem(self.arbiters.len() as u64)?).ok()?;
        let from_turn = self.arbiters.iter().cycle().skip(turn).take(self.arbiters.len());
        from_turn.map(Arbiter::handle).find(|arbiter| arbiter.spawn_fn(|| {}))
    }

    pub(super) fn knows(&self, id: &ConnectionId, serial: u64) -> bool {
        self.by_id.get(id).is_some_and(|child| child.serial == serial)
    }

    /// The connection has another actor.
    pub(super) fn move_to(&mut self, id: &ConnectionId, address: Addr<Connection>) {
        if let Some(child) = self.by_id.get_mut(id) {
            child.address = address;
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) const fn len(&self) -> usize {
        self.counts.specs
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &Addr<Connection>> {
        self.by_id.values().map(|child| &child.address)
    }

    /// A number that no child before had.
    pub(super) const fn take_serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        serial
    }

    pub(super) fn insert(
        &mut self,
        id: ConnectionId,
        address: Addr<Connection>,
        spec: ConnectionSpec,
        serial: u64,
    ) {
        let ConnectionSpec { connect, kind, supervision, .. } = spec;
        let (restart, significant) = (supervision.restart, supervision.significant);
        let (connect, state, epoch) = (Box::new(connect), State::Connecting, Epoch::NONE);
        self.counts.specs += 1;
        *self.counts.of(state) += 1;
        self.by_id.insert(
            id,
            Child { address, connect, restart, kind, significant, serial, state, epoch },
        );
    }

    pub(super) fn get(&self, id: &ConnectionId) -> Option<&Child> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &ConnectionId) -> Option<&mut Child> {
        self.by_id.get_mut(id)
    }

    /// How OTP sees this id.
    pub(super) fn standing(&self, id: &ConnectionId) -> Option<Standing> {
        self.by_id.get(id).map(|child| Standing::of(child.state))
    }

    /// The child on which an operation may go on.
    pub(super) fn on(&self, operation: Operation, id: &ConnectionId) -> Result<&Child, ChildError> {
        let refused = match operation.on(self.standing(id)) {
            Ok(()) => Refused::NotFound,
            Err(refused) => refused,
        };
        match (self.by_id.get(id), refused) {
            (_, Refused::Running) => Err(ChildError::Running(id.clone())),
            (_, Refused::Restarting) => Err(ChildError::Restarting(id.clone())),
            (Some(child), _) => Ok(child),
            (None, _) => Err(ChildError::NotFound(id.clone())),
        }
    }

    /// Forgets this start of an id, if it is the latest.
    pub(super) fn forget(&mut self, id: &ConnectionId, serial: u64) {
        if self.by_id.get(id).is_some_and(|child| child.serial == serial)
            && let Some(child) = self.by_id.remove(id)
        {
            self.counts.specs -= 1;
            *self.counts.of(child.state) -= 1;
        }
    }

    /// Forgets all. Where they are.
    pub(super) fn take_all(&mut self) -> Vec<Addr<Connection>> {
        self.counts = Counts::default();
        std::mem::take(&mut self.by_id).into_values().map(|child| child.address).collect()
    }

    /// All ids, in the order of their starts.
    pub(super) fn in_start_order(&self) -> Vec<ConnectionId> {
        let mut children: Vec<_> = self.by_id.iter().collect();
        children.sort_unstable_by_key(|(_, child)| child.serial);
        children.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// How many significant connections have not ended.
    pub(super) fn significant_left(&self) -> usize {
        let is_left =
            |child: &&Child| child.significant && Standing::of(child.state) != Standing::Stopped;
        self.by_id.values().filter(is_left).count()
    }

    /// Notes where a child is.
    pub(super) fn note(&mut self, report: &Report) {
        let Some(child) = self.by_id.get_mut(&report.id) else { return };
        if child.serial != report.serial {
            return;
        }
        *self.counts.of(child.state) -= 1;
        child.state = report.state;
        child.epoch = report.epoch;
        *self.counts.of(child.state) += 1;
        let ended = Standing::of(child.state) == Standing::Stopped;
        if ended && child.restart == RestartPolicy::Temporary {
            let serial = child.serial;
            self.forget(&report.id, serial);
        }
    }

    /// A page of those that are asked for, in the order of their starts.
    pub(super) fn page(&self, which: &WhichConnections) -> Vec<ConnectionInfo> {
        let after = which.after.as_ref().map(|id| self.by_id.get(id).map(|child| child.serial));
        let is_after = |child: &Child| match after {
            None => true,
            // The page begins after one that is gone: nothing is known to come after it.
            Some(None) => false,
            Some(Some(serial)) => child.serial > serial,
        };
        let is_wanted = |child: &Child| which.state.is_none_or(|state| child.state == state);
        let wanted = self.by_id.iter().filter(|(_, child)| is_after(child) && is_wanted(child));
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_unstable_by_key(|(_, child)| child.serial);
        let info = |(id, child): (&ConnectionId, &Child)| ConnectionInfo {
            id: id.clone(),
            state: child.state,
            epoch: child.epoch,
            address: child.address.clone(),
        };
        wanted.into_iter().take(which.limit).map(info).collect()
    }
}

impl Counts {
    const fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Connecting => &mut self.connecting,
            State::Connected => &mut self.connected,
            State::Closing => &mut self.closing,
            State::BackingOff => &mut self.backing_off,
            State::Idle | State::Disconnected => &mut self.disconnected,
            State::Failed => &mut self.failed,
        }
    }
}
