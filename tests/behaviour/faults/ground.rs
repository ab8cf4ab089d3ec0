//! What a fault is played on: a network, a supervisor, and a neighbour that must not notice.

use std::{cell::Cell, rc::Rc, sync::mpsc, thread, time::Duration};

use actix::Addr;
use tokio::time::{Instant, sleep};
use wsvisor::{
    AccessPolicy, ConnectionSpec, SendString, StartConnection, Supervisor,
    testing::{Network, Recorder, Script, Server, connected, text},
};

use crate::support::{ms, soon};

/// What a fault is played over.
#[derive(Clone, Copy)]
pub(super) enum Over {
    /// In virtual time.
    Memory,
    /// Real sockets, in real time.
    Tcp,
}

/// The network of both connections, and their supervisor.
pub(super) struct Ground {
    /// Absent over TCP.
    pub(super) network: Option<Network>,
    pub(super) supervisor: Addr<Supervisor>,
}

impl Ground {
    pub(super) fn new(over: Over) -> Self {
        let policy = AccessPolicy::from_rules(["allow ws://*.test", "allow ws://127.0.0.1:*"]);
        let supervisor = Supervisor::builder().policy(policy.unwrap());
        match over {
            Over::Memory => {
                let network = Network::new();
                let supervisor = supervisor.dialler(network.clone()).start().unwrap();
                Self { network: Some(network), supervisor }
            }
            Over::Tcp => Self { network: None, supervisor: supervisor.start().unwrap() },
        }
    }

    pub(super) async fn listen(&self, name: &str) -> Server {
        match &self.network {
            Some(network) => network.listen(&format!("ws://{name}.test")),
            None => Server::on_loopback().await.unwrap(),
        }
    }
}

/// Sends all messages of all connections back.
pub(super) async fn echo(server: Server) {
    loop {
        let peer = server.accept().await;
        actix_rt::spawn(async move {
            // However it ends, the next connection is served.
            let _ = Script::new().accept().echo(usize::MAX).perform(peer).await;
        });
    }
}

/// A connection that talks with a healthy server all the time.
pub(super) struct Neighbour {
    events: Recorder,
    talk: actix_rt::task::JoinHandle<Recorder>,
    stop: Rc<Cell<bool>>,
}

impl Neighbour {
    pub(super) async fn start(ground: &Ground) -> Self {
        let server = ground.listen("neighbour").await;
        let url = server.url();
        actix_rt::spawn(echo(server));
        // Over real sockets the machine may be busy.
        let patience = if ground.network.is_some() { ms(10) } else { Duration::MAX };
        Self::with_server(&ground.supervisor, &url, patience).await
    }

    /// Its server, which sends all messages back, runs already; no answer takes longer than this.
    pub(super) async fn with_server(
        supervisor: &Addr<Supervisor>,
        url: &str,
        patience: Duration,
    ) -> Self {
        let (mut events, mut messages) = (Recorder::start(), Recorder::start());
        let spec = ConnectionSpec::string("neighbour", url)
            .subscribe(events.lifecycle())
            .subscribe(messages.messages());
        let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events.expect(connected()).await;
        let stop = Rc::new(Cell::new(false));
        let stopped = Rc::clone(&stop);
        let talk = actix_rt::spawn(async move {
            for number in 0_u32.. {
                let said = Instant::now();
                connection.send(SendString::new(number.to_string())).await.unwrap().unwrap();
                messages.expect(text(number.to_string())).await;
                let took = said.elapsed();
                assert!(took < patience, "the neighbour waited for {took:?}");
                if stopped.get() {
                    break;
                }
                sleep(ms(100)).await;
            }
            messages
        });
        Self { events, talk, stop }
    }

    /// All its messages came back, in order and in time, and its session is the first one still.
    pub(super) async fn end_well(mut self) {
        self.stop.set(true);
        let mut messages = soon("the neighbour's last message", self.talk).await.unwrap();
        assert!(!messages.history().is_empty());
        assert_eq!(self.events.history().len(), 1, "{:?}", self.events.history());
    }
}

/// Ends the tests when one of them spins: virtual time stands still then, and no time-out comes.
pub(super) struct Watchdog(
    #[expect(dead_code, reason = "its end is what counts")] mpsc::Sender<()>,
);

impl Watchdog {
    pub(super) fn start() -> Self {
        let (alive, ended) = mpsc::channel();
        let name = thread::current().name().unwrap_or("a test").to_owned();
        thread::spawn(move || {
            let waited = ended.recv_timeout(Duration::from_mins(2));
            if waited == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{name} did not end within two minutes");
                std::process::abort();
            }
        });
        Self(alive)
    }
}

/// What this thread has run so far, from the kernel; zero where it does not tell.
pub(super) fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}
