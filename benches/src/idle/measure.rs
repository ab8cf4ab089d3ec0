use std::{cell::Cell, rc::Rc, time::Duration};

use actix_rt::{System, SystemRunner, time::sleep};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::footprint::Footprint;
use crate::{
    client::{Client, Subscribed},
    peers::{self, Peer},
    process::{Server, raise_file_limit},
    subject::Subject,
};

/// The memory of all connections together.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// They are connected and have received nothing.
    pub(crate) fresh: Footprint,
    /// Each has received one message, and is idle again.
    pub(crate) after_message: Footprint,
}

/// Until what is under way has come to rest.
const REST: Duration = Duration::from_secs(1);

/// Opens connections one after the other, all on this thread, and lets them rest.
pub(crate) fn measure(client: Client, connections: usize) -> Result<Sample> {
    match client {
        Client::Wsvisor(subscribed) => measure_wsvisor(subscribed, connections),
        Client::FastWebsockets => measure_peer::<peers::FastWebsockets>(connections),
        Client::TokioWebsockets => measure_peer::<peers::TokioWebsockets>(connections),
        Client::TokioTungstenite => measure_peer::<peers::TokioTungstenite>(connections),
        Client::Awc => measure_peer::<peers::Awc>(connections),
    }
}

/// Each connection is a task that waits in a read.
fn measure_peer<P: Peer + 'static>(connections: usize) -> Result<Sample> {
    let house = House::open()?;
    let fresh = Footprint::of(|| {
        house.run(async {
            for _ in 0..connections {
                let socket = P::connect(house.server.url()).await?;
                let heard = Rc::clone(&house.heard);
                actix_rt::spawn(P::read(socket, move |_| heard.set(heard.get() + 1)));
            }
            Ok(())
        })
    })?;
    house.sample(fresh, connections)
}

/// Each connection is an actor and a session's task, and has one subscriber.
fn measure_wsvisor(subscribed: Subscribed, connections: usize) -> Result<Sample> {
    let house = House::open()?;
    let mut subject = None;
    let fresh = Footprint::of(|| {
        house.run(async {
            let heard = Rc::clone(&house.heard);
            let show = move |_: &[u8]| heard.set(heard.get() + 1);
            let subject = subject.insert(Subject::start(subscribed, show)?);
            for number in 0..connections {
                subject.connect(format!("idle-{number}"), house.server.url()).await?;
            }
            Ok(())
        })
    })?;
    let told = if subscribed == Subscribed::Lifecycle { 0 } else { connections };
    house.sample(fresh, told)
}

/// Where connections are idle.
struct House {
    server: Server,
    system: SystemRunner,
    heard: Rc<Cell<usize>>,
}

impl House {
    fn open() -> Result<Self> {
        raise_file_limit()?;
        let server = Server::start(&["serve-idle"])?;
        Ok(Self { server, system: System::new(), heard: Rc::default() })
    }

    /// Runs `work`, and then what it left to run.
    fn run(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        self.system.block_on(async {
            work.await?;
            sleep(REST).await;
            Ok(())
        })
    }

    /// Lets the server speak, which `told` readers must hear.
    fn sample(mut self, fresh: Footprint, told: usize) -> Result<Sample> {
        self.server.speak()?;
        let change = Footprint::of(|| self.run(async { Ok(()) }))?;
        let heard = self.heard.get();
        ensure!(heard == told, "{heard} messages were heard of {told}");
        Ok(Sample { fresh, after_message: fresh + change })
    }
}
