//! Servers that are killed at random under load: what each sender was told is held against what the
//! servers had read when they died.

mod ledger;
mod load;

use std::{
    cell::{Cell, RefCell},
    env,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::time::sleep;

use self::{
    ledger::Ledger,
    load::{Load, supervisor},
};
use crate::{
    client::soon,
    server::{Program, Server},
};

const KILLS_OF_EACH: usize = 50;
const CONNECTIONS_TO_EACH: usize = 4;

/// Half of them hit Python's `websockets`, half Node's `ws`. `KILLS_SEED` gives the same kills again,
/// as far as the machine lets it.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn a_hundred_kills_leave_no_fate_in_doubt() {
    let seed = env::var("KILLS_SEED").map_or_else(|_| rand::random(), |it| it.parse().unwrap());
    println!("KILLS_SEED={seed}");
    let began = Instant::now();
    let ledger = Rc::new(RefCell::new(Ledger::default()));
    let is_over = Rc::new(Cell::new(false));
    let supervisor = supervisor();
    let mut servers = [Server::start(Program::Python).await, Server::start(Program::Node).await];
    let mut loads = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        for connection in 0..CONNECTIONS_TO_EACH {
            let name = format!("c{number}{connection}");
            let url = server.url(&format!("/log?name={name}"));
            loads.push(Load::start(&supervisor, name, url, &ledger, &is_over).await);
        }
    }
    let senders = loads.iter().zip(seed..).map(|(load, seed)| load.run(seed));
    let kills = async {
        let [python, node] = &mut servers;
        join(torment(python, seed, &ledger), torment(node, !seed, &ledger)).await;
        is_over.set(true);
    };
    join(join_all(senders), kills).await;
    let is_settled = async {
        while ledger.borrow().open_entries() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the fate of each message", is_settled).await;
    join_all(loads.iter().map(Load::finish)).await;
    for server in &mut servers {
        let lines = server.kill_and_read().await;
        ledger.borrow_mut().read(&lines);
    }

    let ledger = ledger.borrow();
    let totals = ledger.totals();
    println!("{} kills in {:.1?}\n{totals}", 2 * KILLS_OF_EACH, began.elapsed());
    let contradictions = ledger.contradictions();
    assert!(contradictions.is_empty(), "seed {seed}: {contradictions:#?}");
    // Else it shows nothing.
    assert_eq!(totals.missing(), []);
}

/// Kills the server at any moment, and starts it again a while later. Sometimes it has stopped reading
/// before, so that messages are on their way in every place where they can be.
async fn torment(server: &mut Server, seed: u64, ledger: &RefCell<Ledger>) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut pause = |most| Duration::from_millis(rng.random_range(0..most));
    for kill in 0..KILLS_OF_EACH {
        sleep(pause(250)).await;
        if kill % 3 == 0 {
            server.freeze();
            sleep(pause(150)).await;
        }
        let lines = server.kill_and_read().await;
        ledger.borrow_mut().read(&lines);
        sleep(pause(100)).await;
        server.restart().await;
    }
}
