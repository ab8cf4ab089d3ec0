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
    fn a_dynamic_supervisor_keeps_its_children_unless_told_otherwise() {
        let (plain, small) = (Dynamic::default(), Dynamic::default().max_children(3).retain(false));
        assert_eq!((plain.most(), plain.retains()), (usize::MAX, true));
        assert_eq!((small.most(), small.retains()), (3, false));
    }

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

    /// OTP's `supervisor`, as data: its children first to last, who runs, and what it did.
    #[derive(Default)]
    struct Otp {
        log: Vec<String>,
    }

    impl Otp {
        fn terminate(&mut self, children: &[u8]) {
            for child in children.iter().rev() {
                self.log.push(format!("stop {child}"));
            }
        }

        fn start(&mut self, children: &[u8]) {
            for child in children {
                self.log.push(format!("start {child}"));
            }
        }

        /// `restart/2`: the child that failed has ended, and is taken out of those to be terminated.
        fn restart(&mut self, strategy: Strategy, children: &[u8], failed: u8) {
            let others =
                |of: &[u8]| of.iter().copied().filter(|it| *it != failed).collect::<Vec<_>>();
            match strategy {
                Strategy::OneForOne | Strategy::Dynamic(_) => self.start(&[failed]),
                Strategy::OneForAll => {
                    self.terminate(&others(children));
                    self.start(children);
                }
                Strategy::RestForOne => {
                    // `split_child`: those from the one that failed on.
                    let after: Vec<_> =
                        children.iter().copied().skip_while(|it| *it != failed).collect();
                    self.terminate(&others(&after));
                    self.start(&after);
                }
            }
        }
    }

    proptest::proptest! {
        /// Groups of every size, and one failure after the other.
        #[test]
        fn every_failure_stops_and_starts_whom_otp_does_in_its_order(
            strategy in 0_usize..4,
            size in 1_u8..12,
            failures in proptest::collection::vec(0_u8..12, 1..20),
        ) {
            let dynamic = Strategy::Dynamic(Dynamic::default());
            let all = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne, dynamic];
            let strategy = all[strategy];
            let children: Vec<_> = (0..size).collect();
            let (mut otp, mut ours) = (Otp::default(), Otp::default());
            for failed in failures.into_iter().filter(|failed| *failed < size) {
                otp.restart(strategy, &children, failed);
                let Regrouping { stop, start } = strategy.regroup(&children, &failed);
                ours.log.extend(stop.iter().map(|child| format!("stop {child}")));
                ours.start(&start);
                proptest::prop_assert_eq!(&ours.log, &otp.log, "{:?}, {} failed", strategy, failed);
            }
        }
    }
}
