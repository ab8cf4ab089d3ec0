use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use actix::{Addr, Arbiter, ArbiterHandle, WeakAddr};
use futures_util::future::join_all;

use super::{
    Supervisor,
    subordinate::{Stop, Subordinate},
};
use crate::{
    actor::{
        bond::STARTED,
        connection::Connection,
        superior::{Dismiss, Report},
    },
    error::ChildError,
    lifecycle::{ConnectionId, Epoch, RestartPolicy, State, Supervision},
    message::{Connect, ConnectionInfo, Counts, SupervisorInfo, WhichConnections},
    spec::Kind,
    supervision::{Operation, Refused, Standing},
};

/// What a supervisor keeps: connections and supervisors, in the order of their starts; and how many
/// are in which state.
#[derive(Default)]
pub(super) struct Children {
    /// On their own, for the nodes of a map are half empty.
    by_serial: BTreeMap<u64, Box<Child>>,
    serials: HashMap<ConnectionId, u64>,
    counts: Counts,
    next_serial: u64,
    /// The threads that the connections run on; none, and they run on the supervisor's.
    arbiters: Vec<Arbiter>,
}

pub(super) struct Child {
    id: ConnectionId,
    pub(super) post: Post,
    pub(super) restart: RestartPolicy,
    significant: bool,
    state: State,
    epoch: Epoch,
}

/// What kind of child it is.
pub(super) enum Post {
    Connection {
        /// An address that kept it alive would be three pieces of memory, for each of many. It lives because it has
        /// a supervisor.
        address: WeakAddr<Connection>,
        /// What to dial when it is restarted.
        connect: Connect,
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
    pub(super) fn connection(&self) -> Option<&WeakAddr<Connection>> {
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
        let mut children = Self::default();
        children.arbiters = arbiters;
        children
    }

    /// The thread of a start, in turn, of those that run.
    pub(super) fn arbiter(&self, serial: u64) -> Option<ArbiterHandle> {
        let turn = usize::try_from(serial.checked_rem(self.arbiters.len() as u64)?).ok()?;
        let from_turn = self.arbiters.iter().cycle().skip(turn).take(self.arbiters.len());
        from_turn.map(Arbiter::handle).find(|arbiter| arbiter.spawn_fn(|| {}))
    }

    pub(super) fn knows(&self, id: &ConnectionId, serial: u64) -> bool {
        self.serials.get(id) == Some(&serial)
    }

    /// The connection has another actor.
    pub(super) fn move_to(&mut self, id: &ConnectionId, address: WeakAddr<Connection>) {
        if let Some(Child { post: Post::Connection { address: known, .. }, .. }) = self.get_mut(id)
        {
            *known = address;
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn len(&self) -> usize {
        self.by_serial.len()
    }

    /// All, first to last.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = Subordinate> {
        self.by_serial.values().map(|child| child.subordinate())
    }

    /// A number that no child before had, and greater than theirs.
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
        let (state, epoch) = STARTED;
        let child = Child { id: id.clone(), post, restart, significant, state, epoch };
        self.counts.add(&child);
        self.by_serial.insert(serial, Box::new(child));
        self.serials.insert(id, serial);
    }

    /// What follows from the children is part of what a panic may have left half done.
    pub(super) fn count_again(&mut self) {
        self.counts = Counts::default();
        self.serials.clear();
        for (serial, child) in &self.by_serial {
            self.counts.add(child);
            self.serials.insert(child.id.clone(), *serial);
        }
    }

    pub(super) fn get(&self, id: &ConnectionId) -> Option<&Child> {
        self.by_serial.get(self.serials.get(id)?).map(|child| &**child)
    }

    pub(super) fn get_mut(&mut self, id: &ConnectionId) -> Option<&mut Child> {
        self.by_serial.get_mut(self.serials.get(id)?).map(|child| &mut **child)
    }

    /// How OTP sees this id.
    pub(super) fn standing(&self, id: &ConnectionId) -> Option<Standing> {
        self.get(id).map(|child| Standing::of(child.state))
    }

    /// The child of a kind on which an operation may go on, and its serial number.
    pub(super) fn on<T>(
        &self,
        operation: Operation,
        id: &ConnectionId,
        kind: impl Fn(&Child) -> Option<T>,
    ) -> Result<(T, u64), ChildError> {
        let known = self.serials.get(id).and_then(|serial| {
            let child = self.by_serial.get(serial)?;
            Some((Standing::of(child.state), (kind(child)?, *serial)))
        });
        let (standing, found) = known.unzip();
        match (operation.on(standing), found) {
            (Ok(()), Some(found)) => Ok(found),
            (Err(Refused::Running), _) => Err(ChildError::Running(id.clone())),
            (Err(Refused::Restarting), _) => Err(ChildError::Restarting(id.clone())),
            _ => Err(ChildError::NotFound(id.clone())),
        }
    }

    /// Forgets this start of an id, if it is the latest.
    pub(super) fn forget(&mut self, id: &ConnectionId, serial: u64) {
        if self.knows(id, serial)
            && let Some(child) = self.by_serial.remove(&serial)
        {
            self.serials.remove(id);
            self.counts.remove(&child);
        }
    }

    /// Ends with them: stops all that are left at the same time, and then the threads that they run on.
    pub(super) async fn stop(self) {
        join_all(self.all().rev().map(|child| async move { child.stop(Stop::Retire).await })).await;
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }

    /// Forgets all, which have ended.
    pub(super) fn clear(&mut self) {
        self.by_serial.clear();
        self.serials.clear();
        self.counts = Counts::default();
    }

    /// All ids, first to last.
    pub(super) fn ids(&self) -> impl Iterator<Item = &ConnectionId> {
        self.by_serial.values().map(|child| &child.id)
    }

    /// How many significant children have not ended.
    pub(super) fn significant_left(&self) -> usize {
        let is_left =
            |child: &Child| child.significant && Standing::of(child.state) != Standing::Stopped;
        self.by_serial.values().filter(|child| is_left(child)).count()
    }

    /// Notes where a child is.
    pub(super) fn note(&mut self, report: &Report) {
        let Some(child) = self.by_serial.get_mut(&report.serial) else { return };
        self.counts.remove(child);
        child.state = report.state;
        child.epoch = report.epoch;
        self.counts.add(child);
        let ended = Standing::of(child.state) == Standing::Stopped;
        if ended && child.restart == RestartPolicy::Temporary {
            self.forget(&report.id, report.serial);
        }
    }

    /// A page of those that are asked for, first to last. It costs what it passes over, not what is
    /// before it.
    pub(super) fn page(&self, which: &WhichConnections) -> Vec<ConnectionInfo> {
        let after = match &which.after {
            None => Bound::Unbounded,
            Some(id) => match self.serials.get(id) {
                Some(serial) => Bound::Excluded(*serial),
                // The page begins after one that is gone: nothing is known to come after it.
                None => return vec![],
            },
        };
        let following = self.by_serial.range((after, Bound::Unbounded)).map(|(_, child)| &**child);
        let is_wanted = |child: &&Child| which.state.is_none_or(|state| child.state == state);
        let info = |child: &Child| {
            let (id, address) = (child.id.clone(), child.connection()?.clone());
            Some(ConnectionInfo { id, state: child.state, epoch: child.epoch, address })
        };
        following.filter(is_wanted).filter_map(info).take(which.limit).collect()
    }

    /// The supervisors, first to last.
    pub(super) fn supervisors(&self) -> Vec<SupervisorInfo> {
        let info = |child: &Child| {
            Some(SupervisorInfo {
                id: child.id.clone(),
                address: child.supervisor()?.clone(),
                state: child.state.into(),
                restarts: child.epoch.get().saturating_sub(1),
            })
        };
        self.by_serial.values().filter_map(|child| info(child)).collect()
    }
}

/// A supervisor that is lost, as when its thread stops, keeps nobody alive.
impl Drop for Children {
    fn drop(&mut self) {
        for child in self.by_serial.values() {
            if let Some(connection) = child.connection().and_then(WeakAddr::upgrade) {
                connection.do_send(Dismiss);
            }
        }
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
