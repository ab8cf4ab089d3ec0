use std::{sync::Arc, time::Duration};

use super::Remedy;
use crate::lifecycle::Filter;

/// A watch over the data of a session, which pongs and other messages do not feed: what was subscribed
/// to at the server has to come.
///
/// It runs while it is on, from the session's beginning or from when it was turned on
/// ([`SetWatchdog`](crate::SetWatchdog)): turn it off where quiet is allowed.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::{Filter, Liveness, Remedy, Watchdog};
///
/// let trades = Watchdog::new("trades", Duration::from_secs(30))
///     .fed_by(Filter::field("channel", "trades"))
///     .remedy(Remedy::Close);
/// // Turned on when the market opens.
/// let auction = Watchdog::new("auction", Duration::from_secs(5))
///     .fed_by(Filter::field("channel", "auction"))
///     .starts_off();
/// let liveness = Liveness::default().watch(trades).watch(auction);
/// ```
#[derive(Clone, Debug)]
pub struct Watchdog {
    pub(super) name: Arc<str>,
    pub(super) limit: Duration,
    pub(super) food: Filter,
    pub(super) remedy: Remedy,
    pub(super) starts_on: bool,
}

impl Watchdog {
    /// A watchdog of this name, for any message within `limit`. Its remedy is to report.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, limit: Duration) -> Self {
        let (name, food) = (name.into(), Filter::any());
        Self { name, limit, food, remedy: Remedy::Report, starts_on: true }
    }

    /// Sets which messages feed it.
    #[must_use]
    pub fn fed_by(mut self, food: Filter) -> Self {
        self.food = food;
        self
    }

    /// Sets what follows when it is not fed.
    #[must_use]
    pub const fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }

    /// Is off until it is turned on.
    #[must_use]
    pub const fn starts_off(mut self) -> Self {
        self.starts_on = false;
        self
    }
}
