use std::{sync::Arc, time::Duration};

use actix::Message;

/// Turns a [`Watchdog`](crate::Watchdog) of a connection on, or off where quiet is allowed. It stays so
/// over its sessions, until it is given another spec ([`UpdateSpec`](crate::UpdateSpec)) or loses its
/// arbiter. Answers whether the session that is up, or the next one, has one of this name.
///
/// ```
/// use wsvisor::SetWatchdog;
///
/// let market_closes = SetWatchdog::off("trades");
/// let market_opens = SetWatchdog::on("trades");
/// ```
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct SetWatchdog {
    pub(crate) name: Arc<str>,
    pub(crate) on: bool,
}

impl SetWatchdog {
    /// It is to be fed from now on.
    pub fn on(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), on: true }
    }

    /// It is to be quiet.
    pub fn off(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), on: false }
    }
}

/// Sets the interval of a connection's [`Heartbeat`](crate::Heartbeat) for the session that is up, as its
/// server tells it, or asks for a beat now. Answers whether there is a session and it has a heartbeat.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::SetHeartbeat;
///
/// let hello = SetHeartbeat::every(Duration::from_millis(41_250));
/// let server_wants_one = SetHeartbeat::now();
/// ```
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct SetHeartbeat(pub(crate) Tempo);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Tempo {
    Every(Duration),
    Now,
    Stopped,
}

impl SetHeartbeat {
    /// A beat at each interval, of 10 ms at least.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self(Tempo::Every(interval))
    }

    /// A beat at once, and then at its interval.
    #[must_use]
    pub const fn now() -> Self {
        Self(Tempo::Now)
    }

    /// No more beats in this session.
    #[must_use]
    pub const fn stop() -> Self {
        Self(Tempo::Stopped)
    }
}
