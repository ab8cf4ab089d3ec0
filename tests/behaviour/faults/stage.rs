//! Where a fault is played: one connection meets it, and another on the same supervisor must not
//! notice.

use std::time::Duration;

use actix::Addr;
use tokio::time::Instant;
use wsvisor::{
    Backoff, Connection, ConnectionSpec, ExitClass, ExitReason, LifecycleEvent, SendString,
    Settings, StartConnection, TerminateConnection,
    testing::{
        Faults, Played, Recorder, Relay, Script, Server, connected, gave_up, lifecycle, text,
        virtual_time,
    },
};

use super::ground::{Ground, Neighbour, Over, Watchdog, cpu_time, echo};
use crate::support::{ms, soon};

/// What a server does to a connection, and what comes of it.
pub(crate) struct Fault {
    first: First,
    settings: Settings,
    asking: fn(ConnectionSpec) -> ConnectionSpec,
    relay: Option<Faults>,
    over_tcp: bool,
    heard: &'static [&'static str],
    says: &'static [&'static str],
}

/// What the first attempt meets.
enum First {
    Server(Script),
    /// A server that does so, as far as the client lets it.
    Careless(Script),
    /// A server that sends back whatever comes.
    Well,
    /// Nobody listens.
    Refused,
    /// Packets are lost.
    Swallowed,
}

/// What the server is about.
enum Setting {
    Played(Played),
    Echoes,
    /// It listens later.
    Absent(Server),
}

/// What a server does with the attempt after the fault.
fn well() -> Script {
    Script::new().accept().echo(1).answer_close()
}

/// What follows the end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// Another attempt, and it succeeds.
    Retries,
    /// Another attempt, but not before this.
    NotBefore(Duration),
    /// Another attempt, between these two.
    Within(Duration, Duration),
    /// No other attempt.
    GivesUp,
}

/// How an attempt or a session ended.
struct Ended {
    reason: ExitReason,
    class: ExitClass,
    /// Of a session: its close code.
    code: Option<u16>,
    took: Duration,
}

impl Fault {
    /// What the server does with its first connection. It is well with the second.
    pub(crate) fn of(server: Script) -> Self {
        Self::of_first(First::Server(server))
    }

    /// The same, where the client may hang up in the middle.
    pub(crate) fn of_careless(server: Script) -> Self {
        Self::of_first(First::Careless(server))
    }

    /// Nobody listens, until the first attempt has failed.
    pub(crate) fn of_no_server() -> Self {
        Self::of_first(First::Refused)
    }

    /// Dials are not answered, until the first attempt has failed.
    pub(crate) fn of_lost_packets() -> Self {
        Self::of_first(First::Swallowed)
    }

    fn of_first(first: First) -> Self {
        Self {
            first,
            settings: Settings::default(),
            asking: |spec| spec,
            relay: None,
            over_tcp: false,
            heard: &[],
            says: &[],
        }
    }

    /// A server that is well, behind a network that is not.
    pub(crate) fn of_network(faults: Faults) -> Self {
        Self::of_first(First::Well).through(faults)
    }

    /// Between the server and the connection lies this network.
    pub(crate) fn through(mut self, faults: Faults) -> Self {
        self.relay = Some(faults);
        self
    }

    pub(crate) fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    pub(crate) fn asking(mut self, asking: fn(ConnectionSpec) -> ConnectionSpec) -> Self {
        self.asking = asking;
        self
    }

    /// These texts are delivered before the end, and no others.
    pub(crate) const fn after_hearing(mut self, heard: &'static [&'static str]) -> Self {
        self.heard = heard;
        self
    }

    /// These texts are sent as soon as the session is up. Each send has an answer.
    pub(crate) const fn after_saying(mut self, says: &'static [&'static str]) -> Self {
        self.says = says;
        self
    }

    /// The same is played over real sockets too.
    pub(crate) const fn also_over_tcp(mut self) -> Self {
        self.over_tcp = true;
        self
    }

    /// The attempt fails, for this reason and within this time.
    pub(crate) fn fails(self, within: Duration, next: Next, reason: impl Fn(&ExitReason) -> bool) {
        self.play(&|ended| {
            assert_eq!(ended.code, None, "there was a session: {}", ended.reason);
            assert!(reason(&ended.reason), "another reason: {:?}", ended.reason);
            assert!(ended.took <= within, "it took {:?}: {}", ended.took, ended.reason);
            next
        });
    }

    /// The session ends with this close code, for this reason and within this time.
    pub(crate) fn breaks(
        self,
        within: Duration,
        code: u16,
        next: Next,
        reason: impl Fn(&ExitReason) -> bool,
    ) {
        self.play(&|ended| {
            assert_eq!(ended.code, Some(code), "{}", ended.reason);
            assert!(reason(&ended.reason), "another reason: {:?}", ended.reason);
            assert!(ended.took <= within, "it took {:?}: {}", ended.took, ended.reason);
            next
        });
    }

    fn play(self, judge: &dyn Fn(&Ended) -> Next) {
        let _watchdog = Watchdog::start();
        let before = cpu_time();
        virtual_time(1, self.run(Over::Memory, judge));
        let spent = cpu_time().saturating_sub(before);
        assert!(spent < Duration::from_secs(5), "it cost {spent:?} of CPU time: something spins");
        if self.over_tcp {
            let leniently = |ended: &Ended| {
                // The machine may be busy.
                let took = ended.took.saturating_sub(Duration::from_secs(10));
                judge(&Ended { reason: ended.reason.clone(), took, ..*ended })
            };
            actix_rt::System::new().block_on(self.run(Over::Tcp, &leniently));
        }
    }

    async fn run(&self, over: Over, judge: &dyn Fn(&Ended) -> Next) {
        let ground = Ground::new(over);
        let neighbour = Neighbour::start(&ground).await;
        let server = ground.listen("victim").await;
        let front = match &self.relay {
            None => None,
            Some(faults) => {
                let faults = [faults.clone(), Faults::new()];
                Some(ground.listen("relay").await.relay_to(&server, faults))
            }
        };
        let url =
            front.as_ref().map_or_else(|| server.url(), |relay: &Relay| relay.url().to_owned());
        let mut setting = self.set(server, &url, &ground);
        let mut events = Recorder::start();
        let backoff = Backoff::between(ms(1), ms(20)).unwrap();
        let spec = (self.asking)(ConnectionSpec::string("victim", &url))
            .settings(self.settings.clone())
            .backoff(backoff)
            .subscribe(events.lifecycle())
            .subscribe(events.messages());
        let began = Instant::now();
        let victim = ground.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let (mut fates, mut heard) = (Vec::new(), Vec::new());
        let ended = loop {
            let told = events.next().await;
            heard.extend(told.message().and_then(|message| message.as_text()).map(str::to_owned));
            match told.lifecycle() {
                Some(LifecycleEvent::Connected { .. }) => {
                    fates.extend(
                        self.says
                            .iter()
                            .map(|said| actix_rt::spawn(victim.send(SendString::new(*said)))),
                    );
                }
                Some(LifecycleEvent::ConnectionError { reason, class }) => {
                    let (reason, took) = (reason.clone(), began.elapsed());
                    break Ended { reason, class: *class, code: None, took };
                }
                Some(LifecycleEvent::Disconnected { reason, class, code, .. }) => {
                    let (reason, took) = (reason.clone(), began.elapsed());
                    break Ended { reason, class: *class, code: Some(code.get()), took };
                }
                _ => {}
            }
        };
        if let Setting::Absent(mut server) = setting {
            server.start().await.unwrap();
            setting = Setting::Played(server.play([well()]));
        }
        let next = judge(&ended);
        assert_eq!(heard, self.heard, "what was delivered before the end");
        // Every message that was accepted has a fate.
        for fate in fates {
            let _ = soon("the fate of a message", fate).await.unwrap().unwrap();
        }
        neighbour.end_well().await;
        self.next(next, &ended, &victim, &mut events).await;
        drop(victim);
        if !matches!(next, Next::GivesUp) {
            let terminate = TerminateConnection("victim".into());
            ground.supervisor.send(terminate).await.unwrap().unwrap();
            if let Setting::Played(played) = setting {
                played.done().await;
            }
        }
        if let (Next::GivesUp, Some(network)) = (next, &ground.network) {
            events.expect_none(Duration::from_hours(1)).await;
            assert_eq!((network.dials(&url), network.live(&url)), (1, 0), "nothing is left open");
        }
        let ends = events.history().iter().filter(|told| {
            told.epoch.get() == 1
                && matches!(
                    told.lifecycle(),
                    Some(
                        LifecycleEvent::ConnectionError { .. }
                            | LifecycleEvent::Disconnected { .. }
                    )
                )
        });
        assert_eq!(ends.count(), 1, "one end of one attempt");
    }

    /// Lets the server begin.
    fn set(&self, mut server: Server, url: &str, ground: &Ground) -> Setting {
        match &self.first {
            First::Server(script) => Setting::Played(server.play([script.clone(), well()])),
            First::Careless(script) => {
                let script = script.clone();
                actix_rt::spawn(async move {
                    let _ = script.perform(server.accept().await).await;
                    echo(server).await;
                });
                Setting::Echoes
            }
            First::Well => {
                actix_rt::spawn(echo(server));
                Setting::Echoes
            }
            First::Swallowed => {
                // Over real sockets there is no such thing.
                ground.network.as_ref().unwrap().swallow(url);
                Setting::Absent(server)
            }
            First::Refused => {
                server.stop();
                Setting::Absent(server)
            }
        }
    }

    async fn next(
        &self,
        next: Next,
        ended: &Ended,
        victim: &Addr<Connection>,
        events: &mut Recorder,
    ) {
        let (least, most) = match next {
            Next::GivesUp => {
                assert_eq!(ended.class, ExitClass::Fatal, "{}", ended.reason);
                events.expect(gave_up()).await;
                return;
            }
            Next::Retries => (Duration::ZERO, Duration::MAX),
            Next::NotBefore(least) => (least, Duration::MAX),
            Next::Within(least, most) => (least, most),
        };
        let waits = move |event: &LifecycleEvent| matches!(event, LifecycleEvent::BackoffScheduled { delay, .. } if (least..=most).contains(delay));
        events.expect(lifecycle("BackoffScheduled as the server asks", waits)).await;
        events.expect(connected().epoch(2)).await;
        victim.send(SendString::new("well again")).await.unwrap().unwrap();
        events.expect(text("well again")).await;
    }
}
