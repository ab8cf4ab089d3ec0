//! A bad network between a client and a server, by a script.

mod crossing;
mod faults;
mod passage;

use actix_rt::task::JoinHandle;
use tokio::task::JoinSet;

use self::crossing::Crossing;
pub use self::faults::{End, Fault, Faults, Point};
use super::{
    Server,
    server::{Route, Stream},
};

/// A relay in front of a server, in memory or over TCP, which does to each stream what its
/// [`Faults`] say. [`Server::relay_to`] starts one; dropping it cuts all streams through it.
///
/// ```
/// use std::time::Duration;
/// use wsvisor::testing::{Faults, Network, Script, virtual_time};
///
/// virtual_time(1, async {
///     let network = Network::new();
///     let server = network.listen("ws://hidden.test");
///     let relay = network.listen("ws://bots.test").relay_to(&server, [Faults::blackhole()]);
///     let server = server.play([Script::new()]);
///     // … what connects to relay.url() is accepted, and never hears of the server.
/// });
/// ```
#[derive(Debug)]
pub struct Relay {
    url: String,
    task: JoinHandle<()>,
}

impl Relay {
    pub(super) fn start(
        front: Server,
        behind: Route,
        faults: impl Iterator<Item = Faults> + 'static,
    ) -> Self {
        Self { url: front.url(), task: actix_rt::spawn(run(front, behind, faults)) }
    }

    /// Where to connect to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes one stream after the other. After the last it refuses, and carries what is open to its end.
async fn run(mut front: Server, behind: Route, faults: impl Iterator<Item = Faults>) {
    let mut crossings = JoinSet::new();
    for faults in faults {
        if let Some(time) = faults.refuse_for {
            front.stop();
            tokio::time::sleep(time).await;
            front.start().await.unwrap_or_else(|error| panic!("cannot listen again: {error}"));
        }
        let client = front.accept_patiently().await.into_stream();
        crossings.spawn_local(cross(client, behind.clone(), faults));
        while crossings.try_join_next().is_some() {}
    }
    front.stop();
    while crossings.join_next().await.is_some() {}
}

async fn cross(client: Stream, behind: Route, faults: Faults) {
    match behind.open().await {
        Ok(server) => Crossing::new(client, server, faults).await,
        // The server refuses: so does the relay, as well as it can.
        Err(_) => {
            let _ = client.reset();
        }
    }
}
