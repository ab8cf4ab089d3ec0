/// Who is started again together when one connection fails: OTP's restart strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The one that failed.
    #[default]
    OneForOne,
    /// All of them: connections that share one logical session.
    OneForAll,
    /// The one that failed and those that were started after it: connections that depend on earlier
    /// ones, such as data sockets on a session's socket.
    RestForOne,
    /// The one that failed, in a fleet that comes and goes. Its children are stopped all at once
    /// (OTP: `simple_one_for_one`; Elixir: `DynamicSupervisor`).
    Dynamic(Dynamic),
}

/// How a supervisor keeps a fleet that comes and goes.
///
/// ```
/// use wsvisor::{Dynamic, Strategy, Supervisor};
///
/// let fleet = Dynamic::default().max_children(10_000);
/// let builder = Supervisor::builder().strategy(Strategy::Dynamic(fleet));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dynamic {
    max_children: usize,
    retain: bool,
}

impl Default for Dynamic {
    /// As many as come, kept over the supervisor's own end.
    fn default() -> Self {
        Self { max_children: usize::MAX, retain: true }
    }
}

impl Dynamic {
    /// At most so many children, whatever state they are in: one that backs off counts.
    #[must_use]
    pub const fn max_children(self, max_children: usize) -> Self {
        Self { max_children, ..self }
    }

    /// Whether its children outlive its own failure and are started again with it. With `false` they
    /// end with it, as in OTP.
    #[must_use]
    pub const fn retain(self, retain: bool) -> Self {
        Self { retain, ..self }
    }

    pub(crate) const fn most(self) -> usize {
        self.max_children
    }

    pub(crate) const fn retains(self) -> bool {
        self.retain
    }
}

/// Which end of a connection is a failure of its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CascadeOn {
    /// A crash. A connection whose session is lost comes back by itself, and the others go on.
    #[default]
    Exit,
    /// Every end that is followed by another attempt: the others depend on this very session.
    SessionLost,
}

/// What a failure leads to, in order: who is stopped, one after the other, and who is started then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Regrouping<T> {
    pub(crate) stop: Vec<T>,
    pub(crate) start: Vec<T>,
}

impl Strategy {
    /// What the failure of one of `children`, who stand in the order of their starts, leads to. They
    /// are stopped last to first and started first to last, and the one that failed stopped by
    /// itself.
    pub(crate) fn regroup<T: Clone + PartialEq>(self, children: &[T], failed: &T) -> Regrouping<T> {
        let from = match self {
            Self::OneForOne | Self::Dynamic(_) => {
                return Regrouping { stop: vec![], start: vec![failed.clone()] };
            }
            Self::OneForAll => 0,
            Self::RestForOne => {
                children.iter().position(|child| child == failed).unwrap_or(children.len())
            }
        };
        let start = children.get(from..).unwrap_or_default().to_vec();
        let stop = start.iter().rev().filter(|child| *child != failed).cloned().collect();
        Regrouping { stop, start }
    }
}

impl<T: Clone + PartialEq> Regrouping<T> {
    /// The same with those that another failure before has already stopped.
    pub(crate) fn and(&self, stopped: &[T], order: &[T], failed: &T) -> Self {
        let is_in = |child: &&T| self.start.contains(*child) || stopped.contains(*child);
        let start: Vec<_> = order.iter().filter(is_in).cloned().collect();
        let stop = start.iter().rev().filter(|child| *child != failed).cloned().collect();
        Self { stop, start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_are_one() {
        let order = ['a', 'b', 'd', 'e'];
        // `c` had failed, so that `d` and `e` are held, and was deleted; then `e`, or `b`, fails.
        let held = ['c', 'd', 'e'];
        let after =
            |failed| Strategy::RestForOne.regroup(&order, &failed).and(&held, &order, &failed);
        assert_eq!(after('e'), Regrouping { stop: vec!['d'], start: vec!['d', 'e'] });
        assert_eq!(after('b'), Regrouping { stop: vec!['e', 'd'], start: vec!['b', 'd', 'e'] });
    }

    /// OTP's rules: `supervisor:restart/2` and the order of `terminate_children`.
    #[test]
    fn who_is_stopped_and_started_in_which_order() {
        use Strategy::{OneForAll, OneForOne, RestForOne};
        #[rustfmt::skip]
        let table: &[(Strategy, char, &str, &str)] = &[
            (OneForOne,  'b', "",    "b"),
            (Strategy::Dynamic(Dynamic::default()), 'b', "", "b"),
            (OneForAll,  'a', "dcb", "abcd"),
            (OneForAll,  'b', "dca", "abcd"),
            (OneForAll,  'd', "cba", "abcd"),
            (RestForOne, 'a', "dcb", "abcd"),
            (RestForOne, 'b', "dc",  "bcd"),
            (RestForOne, 'd', "",    "d"),
        ];
        for (strategy, failed, stop, start) in table {
            let regrouping = strategy.regroup(&['a', 'b', 'c', 'd'], failed);
            let expected =
                Regrouping { stop: stop.chars().collect(), start: start.chars().collect() };
            assert_eq!(regrouping, expected, "{strategy:?}, {failed} failed");
        }
    }
}
