//! Supervisors below a supervisor, and what happens when things fail.
//!
//! ```sh
//! cargo run --example supervision_tree
//! ```
//!
//! A bot back end has a session and two data streams that depend on it, and a group of feeds. The
//! servers run in memory and in virtual time, so that a minute of trouble takes no time.

use std::time::Duration;

use actix::prelude::*;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use wsvisor::testing::{Bug, Network, Script, Server, virtual_time};
use wsvisor::{
    AccessPolicy, CascadeOn, ConnectionSpec, CountConnections, ExplainConnection, Lifecycle,
    Shutdown, StartConnection, StartSupervisor, Strategy, Supervisor, SupervisorSpec,
    WhichSupervisors,
};

/// Prints what happens, and when.
struct Log(Instant);

impl Actor for Log {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Log {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        let (at, id) = (self.0.elapsed().as_secs_f64(), told.connection().as_str());
        println!("{at:7.2} s  {id:9} epoch {}  {}", told.epoch, told.event);
    }
}

/// A server that accepts every client and stays silent until the client closes.
struct Host {
    url: String,
    network: Network,
    acceptor: actix_rt::task::JoinHandle<()>,
}

impl Host {
    fn start(network: &Network, url: &str) -> Self {
        let server = network.listen(url);
        let acceptor = actix_rt::spawn(Self::accept(server));
        Self { url: url.to_owned(), network: network.clone(), acceptor }
    }

    async fn accept(server: Server) {
        let mut sessions = JoinSet::new();
        loop {
            let peer = server.accept().await;
            let session = Script::new().accept().answer_close();
            sessions.spawn_local(async move { drop(session.perform(peer).await) });
        }
    }

    /// It goes away, with all its streams.
    fn kill(self) {
        self.network.refuse(&self.url);
        self.acceptor.abort();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    virtual_time(7, run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let network = Network::new();
    let session = Host::start(&network, "ws://session.test");
    let _data = Host::start(&network, "ws://data.test");
    let _feeds = Host::start(&network, "ws://feeds.test");

    // The tree: what the top says holds for all below it.
    let log = Log(Instant::now()).start();
    let top = Supervisor::builder()
        .policy(AccessPolicy::from_rules(["allow ws://*.test"])?)
        .dialler(network.clone())
        .subscribe(log.recipient::<Lifecycle>())
        .start()?;
    let bot =
        Supervisor::builder().strategy(Strategy::RestForOne).cascade_on(CascadeOn::SessionLost);
    let bot = top.send(StartSupervisor(SupervisorSpec::new("bot", bot))).await??;
    let feeds =
        top.send(StartSupervisor(SupervisorSpec::new("feeds", Supervisor::builder()))).await??;

    title("everything starts");
    for (id, url) in [
        ("session", "ws://session.test"),
        ("trades", "ws://data.test"),
        ("orders", "ws://data.test"),
    ] {
        bot.send(StartConnection(ConnectionSpec::string(id, url))).await??;
    }
    for id in ["feed-1", "feed-2"] {
        let spec = ConnectionSpec::string(id, "ws://feeds.test");
        feeds.send(StartConnection(spec)).await??;
    }
    sleep(Duration::from_mins(1)).await;

    title("the session's server goes away: what was started after it is stopped, last to first");
    session.kill();
    sleep(Duration::from_secs(1)).await;

    title("why is it down?");
    println!("{}", bot.send(ExplainConnection("session".into())).await??);

    title("the server is back: the group starts again, first to last");
    let _session = Host::start(&network, "ws://session.test");
    sleep(Duration::from_secs(90)).await;

    title("the feeds' supervisor has a bug: its sessions do not notice");
    // The panic's message and backtrace are expected here.
    std::panic::set_hook(Box::new(|panic| println!("           {panic}")));
    let _ = feeds.send(Bug).await;
    drop(std::panic::take_hook());
    for info in top.send(WhichSupervisors).await? {
        let counts = info.address.send(CountConnections).await?;
        println!(
            "{:7} started again {} times, {} connected",
            info.id, info.restarts, counts.connected
        );
    }

    title("shutdown");
    top.send(Shutdown::within(Duration::from_secs(5))).await?;
    Ok(())
}

fn title(text: &str) {
    println!("\n-- {text}");
}
