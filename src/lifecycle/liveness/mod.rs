//! Whether a session is alive: several watches, each with a verdict of its own and what is to
//! follow from it.

mod age;
mod heartbeat;
mod pulse;
mod verdict;
mod vigil;
mod watchdog;

use std::time::{Duration, Instant};

pub use self::{
    age::MaxAge,
    heartbeat::{Beat, Heartbeat},
    verdict::Verdict,
    watchdog::Watchdog,
};
pub(crate) use self::{pulse::Pulse, vigil::Vigil};

/// How it is noticed that a session is dead although its socket is not closed.
///
/// | watch | fed by | verdict | default |
/// | --- | --- | --- | --- |
/// | ping | whatever the peer sends | [`Verdict::PingUnanswered`] | every 20 s, answered within 20 s, one miss; the connection is cut |
/// | silence | whatever the peer sends | [`Verdict::Silent`] | off |
/// | stalled sends | the socket taking bytes | [`Verdict::SendStalled`] | 40 s; the connection is cut |
/// | clock jump | – | [`Verdict::ClockJumped`] | 5 s; a ping |
/// | [`MaxAge`] | – | [`Verdict::TooOld`] | none; the session is closed, or replaced ([`Rotation`](crate::Rotation)) |
/// | [`Watchdog`] | messages of its own | [`Verdict::DataStale`] | none; to be reported |
/// | [`Heartbeat`] | the answer of the application | [`Verdict::HeartbeatUnanswered`] | none; the session is closed |
///
/// So a half-open connection is noticed within twice the interval of the pings. Pings go out at their
/// times also while a subscriber holds the socket back; what only the unread socket can tell is not
/// judged meanwhile. A judgement that comes late, because the thread was blocked or the machine slept,
/// asks once more first.
///
/// A session that is judged dead by its transport (ping, stalled sends) is cut: nobody would hear a
/// close frame. One that is ended for another reason is closed with
/// [`CloseCode::JUDGED`](crate::CloseCode::JUDGED), 4000, never with 1000 or 1001, with which
/// servers throw away what a session could be resumed from.
///
/// ```
/// # use std::time::Duration;
/// # use wsvisor::testing::{connected, disconnected};
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().vanish()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// let liveness = Liveness::default()
///     .ping_every(Duration::from_secs(15))
///     .pong_within(Duration::from_secs(10))
///     .misses(2)
///     .silence(Duration::from_secs(60), Remedy::Report);
/// let settings = Settings::default().liveness(liveness);
/// # let mut recorder = Recorder::start();
/// # let spec = ConnectionSpec::json("bot", server.url()).settings(settings).subscribe(recorder.lifecycle());
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// # recorder.expect(connected()).await;
/// # let began = tokio::time::Instant::now();
/// # recorder.expect(disconnected().code(1006)).await;
/// // A server that loses its power is noticed after two pings.
/// # assert_eq!(began.elapsed().as_secs(), 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Liveness {
    pub(crate) ping: Option<Duration>,
    pub(crate) pong_within: Duration,
    pub(crate) misses: u32,
    pub(crate) silence: Option<(Duration, Remedy)>,
    pub(crate) send_stall: Option<Duration>,
    pub(crate) clock_jump: Option<(Duration, Remedy)>,
    pub(crate) max_age: Option<MaxAge>,
    pub(crate) watchdogs: Vec<Watchdog>,
    pub(crate) heartbeat: Option<Box<Heartbeat>>,
}

/// What is to be done about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Send a ping with this number.
    Ping(u32),
    /// Send a ping, whatever its number.
    Probe,
    /// Send this text before all that waits.
    Send(String),
    /// Tell the subscribers.
    Report(Verdict),
    /// End the session.
    Close(Verdict),
}

/// A judgement that comes later than this after its time was kept from coming: by a blocked thread,
/// or by a machine that slept.
const LATE: Duration = Duration::from_secs(1);

/// So long a wait never ends.
const FAR: Duration = Duration::from_hours(24 * 365);

/// `wait` after `time`, in a year at most.
fn after(time: Instant, wait: Duration) -> Instant {
    time + wait.min(FAR)
}

/// What follows from a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// The session ends with [`ExitReason::Judged`](crate::ExitReason::Judged).
    Close,
    /// Lifecycle subscribers are told with
    /// [`LifecycleEvent::Suspected`](crate::LifecycleEvent::Suspected), once until it changes.
    Report,
    /// A ping is sent; unless anything is heard in time, the session ends.
    Ping,
}

impl Default for Liveness {
    /// As the table above says.
    fn default() -> Self {
        Self {
            ping: Some(Duration::from_secs(20)),
            pong_within: Duration::from_secs(20),
            misses: 1,
            silence: None,
            send_stall: Some(Duration::from_secs(40)),
            clock_jump: Some((Duration::from_secs(5), Remedy::Ping)),
            max_age: None,
            watchdogs: Vec::new(),
            heartbeat: None,
        }
    }
}

impl Liveness {
    /// Watches nothing: a half-open connection is never noticed.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            ping: None,
            pong_within: Duration::from_secs(20),
            misses: 1,
            silence: None,
            send_stall: None,
            clock_jump: None,
            max_age: None,
            watchdogs: Vec::new(),
            heartbeat: None,
        }
    }

    /// Sends a ping at each interval, whether or not anything is heard.
    #[must_use]
    pub const fn ping_every(mut self, interval: Duration) -> Self {
        self.ping = Some(interval);
        self
    }

    /// Sends no pings by itself, for a server that cannot bear them.
    #[must_use]
    pub const fn without_pings(mut self) -> Self {
        self.ping = None;
        self
    }

    /// Sets how long the peer has to send anything after a ping.
    #[must_use]
    pub const fn pong_within(mut self, deadline: Duration) -> Self {
        self.pong_within = deadline;
        self
    }

    /// Sets how many pings in a row have to go unanswered, 1 at least.
    #[must_use]
    pub const fn misses(mut self, misses: u32) -> Self {
        self.misses = misses;
        self
    }

    /// Watches for a peer that sends nothing at all for so long, pongs included.
    #[must_use]
    pub const fn silence(mut self, limit: Duration, remedy: Remedy) -> Self {
        self.silence = Some((limit, remedy));
        self
    }

    /// Cuts a connection whose socket takes no bytes for so long, although there are some to write.
    #[must_use]
    pub const fn send_stall(mut self, limit: Duration) -> Self {
        self.send_stall = Some(limit);
        self
    }

    /// Bears a peer that does not read.
    #[must_use]
    pub const fn without_send_stall(mut self) -> Self {
        self.send_stall = None;
        self
    }

    /// Watches for a calendar that runs ahead of the clock by so much: the machine slept, and the
    /// peer may have given up. Whatever the remedy, a ping is sent before anything else is judged. It
    /// is noticed at the session's next wait, within the interval of the pings.
    #[must_use]
    pub const fn clock_jump(mut self, least: Duration, remedy: Remedy) -> Self {
        self.clock_jump = Some((least, remedy));
        self
    }

    /// Does not look at the calendar.
    #[must_use]
    pub const fn without_clock_jump(mut self) -> Self {
        self.clock_jump = None;
        self
    }

    /// Sets how old a session may become.
    #[must_use]
    pub const fn max_age(mut self, max_age: MaxAge) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Watches over data of the sessions, which pongs do not feed.
    #[must_use]
    pub fn watch(mut self, watchdog: Watchdog) -> Self {
        self.watchdogs.push(watchdog);
        self
    }

    /// Sends a message of the application's at each interval.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = Some(Box::new(heartbeat));
        self
    }

    /// Whether there is anything to watch.
    pub(crate) const fn is_off(&self) -> bool {
        self.ping.is_none()
            && self.silence.is_none()
            && self.send_stall.is_none()
            && self.max_age.is_none()
            && self.watchdogs.is_empty()
            && self.heartbeat.is_none()
    }

    /// Which of the limits is zero.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        let limits = [
            (self.ping, "liveness.ping_every"),
            (Some(self.pong_within), "liveness.pong_within"),
            (self.silence.map(|(limit, _)| limit), "liveness.silence"),
            (self.send_stall, "liveness.send_stall"),
            (self.clock_jump.map(|(least, _)| least), "liveness.clock_jump"),
            (self.max_age.map(|max_age| max_age.age), "liveness.max_age"),
            (
                self.heartbeat.as_ref().and_then(|heartbeat| heartbeat.every),
                "liveness.heartbeat.every",
            ),
            (
                self.heartbeat.as_ref().and_then(|heartbeat| heartbeat.within),
                "liveness.heartbeat.within",
            ),
            (self.watchdogs.iter().map(|watchdog| watchdog.limit).min(), "liveness.watch"),
        ];
        let is_zero = |limit: &Option<Duration>| limit.is_some_and(|limit| limit.is_zero());
        limits.into_iter().find(|(limit, _)| is_zero(limit)).map(|(_, name)| name)
    }

    /// Which of the counts is zero.
    pub(crate) fn no_misses(&self) -> Option<&'static str> {
        if self.misses == 0 {
            Some("liveness.misses")
        } else if self.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.misses == 0) {
            Some("liveness.heartbeat.misses")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_of_months_is_kept_and_an_endless_one_is_a_year() {
        let now = Instant::now();
        let days = |days: u64| Duration::from_hours(24 * days);
        assert_eq!(after(now, days(90)), now + days(90));
        assert_eq!(after(now, Duration::MAX), now + days(365));
    }

    const S: Duration = Duration::from_secs(1);

    fn watchdog(limit: Duration) -> Watchdog {
        Watchdog::new("trades", limit)
    }

    #[test]
    fn it_is_off_while_it_watches_nothing() {
        assert!(Liveness::off().is_off());
        assert!(Liveness::default().without_pings().without_send_stall().is_off());
        for one in [
            Liveness::off().ping_every(S),
            Liveness::off().silence(S, Remedy::Close),
            Liveness::off().send_stall(S),
            Liveness::off().max_age(MaxAge::of(S)),
            Liveness::off().watch(watchdog(S)),
            Liveness::off().heartbeat(Heartbeat::every(S)),
        ] {
            assert!(!one.is_off(), "{one:?}");
        }
        assert!(!Liveness::default().is_off());
    }

    #[test]
    fn a_limit_of_zero_is_named() {
        const NONE: Duration = Duration::ZERO;
        let beats = || Heartbeat::every(S);
        for (plan, limit) in [
            (Liveness::default(), None),
            (Liveness::off(), None),
            (Liveness::default().watch(watchdog(S)).heartbeat(beats().within(S)), None),
            (Liveness::off().ping_every(NONE), Some("liveness.ping_every")),
            (Liveness::default().pong_within(NONE), Some("liveness.pong_within")),
            (Liveness::default().silence(NONE, Remedy::Ping), Some("liveness.silence")),
            (Liveness::default().send_stall(NONE), Some("liveness.send_stall")),
            (Liveness::default().clock_jump(NONE, Remedy::Ping), Some("liveness.clock_jump")),
            (Liveness::default().max_age(MaxAge::of(NONE)), Some("liveness.max_age")),
            (
                Liveness::default().heartbeat(Heartbeat::every(NONE)),
                Some("liveness.heartbeat.every"),
            ),
            (
                Liveness::default().heartbeat(beats().within(NONE)),
                Some("liveness.heartbeat.within"),
            ),
            (Liveness::off().watch(watchdog(S)).watch(watchdog(NONE)), Some("liveness.watch")),
        ] {
            assert_eq!(plan.zero(), limit, "{plan:?}");
        }
    }

    #[test]
    fn a_count_of_zero_is_named() {
        let beats = |misses| Heartbeat::every(S).misses(misses);
        for (plan, count) in [
            (Liveness::default(), None),
            (Liveness::default().misses(2).heartbeat(beats(1)), None),
            (Liveness::default().misses(0), Some("liveness.misses")),
            (Liveness::default().heartbeat(beats(0)), Some("liveness.heartbeat.misses")),
        ] {
            assert_eq!(plan.no_misses(), count, "{plan:?}");
        }
    }
}
