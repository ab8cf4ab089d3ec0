use std::collections::BTreeMap;

use actix::{Addr, Arbiter, ArbiterHandle};

use super::{Supervisor, subordinate::Subordinate};
use crate::{
    actor::{connection::Connection, superior::Report},
    error::ChildError,
    lifecycle::{ConnectionId, Epoch, RestartPolicy, State, Supervision},
    message::{Connect, ConnectionInfo, Counts, SupervisorInfo, WhichConnections},
    spec::Kind,
    supervision::{Operation, Refused, Standing},
};

/// What a supervisor keeps, by id: connections and supervisors; and how many are in which state.
#[derive(Default)]
pub(super) struct Children {
    by_id: BTreeMap<ConnectionId, Child>,
    counts: Counts,
    next_serial: u64,
    /// The threads that the connections run on; none, and they run on the supervisor's.
    arbiters: Vec<Arbiter>,
}

pub(super) struct Child {
    pub(super) post: Post,
    pub(super) restart: RestartPolicy,
    significant: bool,
    /// Rises with each start, so that it also tells the order of starts.
    pub(super) serial: u64,
    state: State,
    epoch: Epoch,
}

/// What kind of child it is.
pub(super) enum Post {
    Connection {
        address: Addr<Connection>,
        /// What to dial when it is restarted. On its own, for the nodes of a map are half empty.
        connect: Box<Connect>,
        kind: Kind,
    },
    Supervisor {
        address: Addr<Supervisor>,
    },
}

impl Child {
    pub(super) fn subordinate(&self) -> Subordinate {
        match &self.post {
            Post::Connection { address, .. } => Subordinate::Connection(address.clone()),
            Post::Supervisor { address } => Subordinate::Supervisor(address.clone()),
        }
    }

    /// Its address, where it is a connection.
    pub(super) fn connection(&self) -> Option<&Addr<Connection>> {
        match &self.post {
            Post::Connection { address, .. } => Some(address),
            Post::Supervisor { .. } => None,
        }
    }

    /// Its address, where it is a supervisor.
    pub(super) fn supervisor(&self) -> Option<&Addr<Supervisor>> {
        match &self.post {
            Post::Supervisor { address } => Some(address),
            Post::Connection { .. } => None,
        }
    }
}

impl Children {
    pub(super) fn on_arbiters(count: usize) -> Self {
        let arbiters = (0..count).map(|_| Arbiter::new()).collect();
        Self { arbiters, ..Self::default() }
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
        if let Some(Child { post: Post::Connection { address: known, .. }, .. }) =
            self.by_id.get_mut(id)
        {
            *known = address;
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All, in no order that means anything.
    pub(super) fn all(&self) -> impl Iterator<Item = Subordinate> {
        self.by_id.values().map(Child::subordinate)
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
        post: Post,
        supervision: &Supervision,
        serial: u64,
    ) {
        let (restart, significant) = (supervision.restart, supervision.significant);
        let (state, epoch) = (State::Connecting, Epoch::NONE);
        let child = Child { post, restart, significant, serial, state, epoch };
        self.counts.add(&child);
        self.by_id.insert(id, child);
    }

    /// Counts are part of what a panic may have left half done.
    pub(super) fn count_again(&mut self) {
        self.counts = Counts::default();
        for child in self.by_id.values() {
            self.counts.add(child);
        }
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

    /// The child of a kind on which an operation may go on, and its serial number.
    pub(super) fn on<T>(
        &self,
        operation: Operation,
        id: &ConnectionId,
        kind: impl Fn(&Child) -> Option<T>,
    ) -> Result<(T, u64), ChildError> {
        let child = self.by_id.get(id).and_then(|child| Some((kind(child)?, child)));
        let standing = child.as_ref().map(|(_, child)| Standing::of(child.state));
        match (operation.on(standing), child) {
            (Ok(()), Some((found, child))) => Ok((found, child.serial)),
            (Err(Refused::Running), _) => Err(ChildError::Running(id.clone())),
            (Err(Refused::Restarting), _) => Err(ChildError::Restarting(id.clone())),
            _ => Err(ChildError::NotFound(id.clone())),
        }
    }

    /// Forgets this start of an id, if it is the latest.
    pub(super) fn forget(&mut self, id: &ConnectionId, serial: u64) {
        if self.by_id.get(id).is_some_and(|child| child.serial == serial)
            && let Some(child) = self.by_id.remove(id)
        {
            self.counts.remove(&child);
        }
    }

    /// Forgets all. What is left of them, and the threads that they run on.
    pub(super) fn take_all(&mut self) -> (Vec<Subordinate>, Vec<Arbiter>) {
        let left = self.in_stop_order();
        self.by_id.clear();
        self.counts = Counts::default();
        (left, std::mem::take(&mut self.arbiters))
    }

    /// Forgets all, which have ended.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.counts = Counts::default();
    }

    /// All ids, in the order of their starts.
    pub(super) fn ids_in_start_order(&self) -> Vec<ConnectionId> {
        self.sorted(|_| true).map(|(id, _)| id.clone()).collect()
    }

    /// First to last.
    pub(super) fn in_start_order(&self) -> Vec<Subordinate> {
        self.sorted(|_| true).map(|(_, child)| child.subordinate()).collect()
    }

    /// Last to first.
    pub(super) fn in_stop_order(&self) -> Vec<Subordinate> {
        let mut children = self.in_start_order();
        children.reverse();
        children
    }

    fn sorted(
        &self,
        which: impl Fn(&Child) -> bool,
    ) -> impl Iterator<Item = (&ConnectionId, &Child)> {
        let mut children: Vec<_> = self.by_id.iter().filter(|(_, child)| which(child)).collect();
        children.sort_unstable_by_key(|(_, child)| child.serial);
        children.into_iter()
    }

    /// How many significant children have not ended.
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
        self.counts.remove(child);
        child.state = report.state;
        child.epoch = report.epoch;
        self.counts.add(child);
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
        let wanted = self.sorted(|child| is_after(child) && is_wanted(child));
        let info = |(id, child): (&ConnectionId, &Child)| {
            let (state, epoch) = (child.state, child.epoch);
            let address = child.connection()?.clone();
            Some(ConnectionInfo { id: id.clone(), state, epoch, address })
        };
        wanted.filter_map(info).take(which.limit).collect()
    }

    /// The supervisors, in the order of their starts.
    pub(super) fn supervisors(&self) -> Vec<SupervisorInfo> {
        let info = |(id, child): (&ConnectionId, &Child)| {
            Some(SupervisorInfo {
                id: id.clone(),
                address: child.supervisor()?.clone(),
                state: child.state.into(),
                restarts: child.epoch.get().saturating_sub(1),
            })
        };
        self.sorted(|_| true).filter_map(info).collect()
    }
}

impl Counts {
    fn add(&mut self, child: &Child) {
        if child.supervisor().is_some() {
            self.supervisors += 1;
        } else {
            self.specs += 1;
            *self.of(child.state) += 1;
        }
    }

    fn remove(&mut self, child: &Child) {
        if child.supervisor().is_some() {
            self.supervisors -= 1;
        } else {
            self.specs -= 1;
            *self.of(child.state) -= 1;
        }
    }

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
