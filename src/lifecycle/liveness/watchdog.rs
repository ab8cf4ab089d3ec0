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
/// # use std::time::Duration;
/// # use wsvisor::testing::{connected, lifecycle};
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().pause(Duration::from_secs(60)).expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// let trades = Watchdog::new("trades", Duration::from_secs(30))
///     .fed_by(Filter::field("channel", "trades"))
///     .remedy(Remedy::Report);
/// // Turned on when the market opens.
/// let auction = Watchdog::new("auction", Duration::from_secs(5))
///     .fed_by(Filter::field("channel", "auction"))
///     .starts_off();
/// let liveness = Liveness::default().watch(trades).watch(auction);
/// # let mut recorder = Recorder::start();
/// # let settings = Settings::default().liveness(liveness);
/// # let spec = ConnectionSpec::json("bot", server.url()).settings(settings).subscribe(recorder.lifecycle());
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// # recorder.expect(connected()).await;
/// # let began = tokio::time::Instant::now();
/// assert!(bot.send(SetWatchdog::on("auction")).await?);
/// # recorder.expect(lifecycle("the auction", |it| it.to_string().contains("auction"))).await;
/// # assert_eq!(began.elapsed().as_secs(), 5);
/// # recorder.expect(lifecycle("the trades", |it| it.to_string().contains("trades"))).await;
/// # assert_eq!(began.elapsed().as_secs(), 30);
/// # drop(bot);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
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
