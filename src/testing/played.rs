use actix_rt::task::JoinHandle;
use tokio::{
    select,
    task::{JoinError, JoinSet},
};

use super::{Peer, Script, Server, patience::soon, script::Deviation};

/// Scripts that a server plays, one for each connection that it accepts.
///
/// After the last script it stops listening. Dropping this ends the server with all its streams.
#[derive(Debug)]
pub struct Played {
    url: String,
    stage: JoinHandle<Result<Vec<Peer>, Failed>>,
}

impl Played {
    pub(super) fn start(server: Server, scripts: Vec<Script>) -> Self {
        Self { url: server.url(), stage: actix_rt::spawn(play(server, scripts)) }
    }

    /// Where to connect to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until all scripts were played. A stream that vanished stays open until then.
    ///
    /// # Panics
    /// When a client did something else than a script expects, with the step at which it did.
    pub async fn done(mut self) {
        let played = soon("the end of the scripts", &mut self.stage).await;
        match played.unwrap_or_else(|error| resume(error)) {
            Ok(_) => {}
            Err((connection, deviation)) => panic!("connection {connection}, {deviation}"),
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.stage.abort();
    }
}

/// The number of the connection whose client did something else, and what.
type Failed = (usize, Deviation);

async fn play(mut server: Server, scripts: Vec<Script>) -> Result<Vec<Peer>, Failed> {
    let mut scripts = (1..).zip(scripts);
    let mut playing = JoinSet::new();
    let mut vanished = Vec::new();
    let mut next = scripts.next();
    loop {
        if next.is_none() {
            server.stop();
        }
        // Not by chance which of the two is first, so that a seed gives the same run again.
        select! {
            biased;
            Some(played) = playing.join_next() => {
                vanished.extend(played.unwrap_or_else(|error| resume(error))?);
            }
            peer = server.accept_patiently(), if next.is_some() => {
                if let Some((number, script)) = next.take() {
                    playing.spawn_local(play_one(number, script, peer));
                }
                next = scripts.next();
            }
            else => return Ok(vanished),
        }
    }
}

/// Gives back a peer that vanished: its stream stays open.
async fn play_one(number: usize, script: Script, peer: Peer) -> Result<Option<Peer>, Failed> {
    let peer = script.perform(peer).await.map_err(|deviation| (number, deviation))?;
    Ok(peer.filter(|_| script.ends_vanished()))
}

/// A panic of a task is a panic of the test.
fn resume(error: JoinError) -> ! {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => panic!("the server was ended: {error}"),
    }
}
