//! A bot that knows what became of each message, against a gateway that behaves badly.
//!
//! It logs in and subscribes anew in every session, keeps a heartbeat, asks questions, sends orders
//! and quotes within the gateway's limit, and holds what it was told of each message against what the
//! gateway read. It runs in virtual time, and ends with an error where the two do not agree.
//!
//! ```sh
//! cargo run --example bot
//! ```

mod bot;
mod diary;
mod gateway;
mod ledger;
mod settings;

use std::time::Duration;

use wsvisor::testing::{Network, virtual_time};
use wsvisor::{AccessPolicy, Backoff, ConnectionSpec, Shutdown, StartConnection, Supervisor};

use crate::{bot::Bot, diary::Diary, gateway::Gateway};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    virtual_time(7, run())
}

async fn run() -> Result<(), Failure> {
    let network = Network::new();
    let gateway = Gateway::open(&network);
    let supervisor = Supervisor::builder()
        .policy(AccessPolicy::from_rules(["allow ws://gateway.test"])?)
        .dialler(network)
        .start()?;
    let spec = ConnectionSpec::json("bot", gateway::URL)
        .settings(settings::settings()?)
        .backoff(Backoff::between(Duration::from_millis(200), Duration::from_secs(2))?)
        .subscribe(Diary::open());
    let bot = Bot::over(supervisor.send(StartConnection(spec)).await??);

    bot.quote_before_it_is_ready().await?;
    bot.ask().await?;
    bot.trade_through_trouble().await?;
    bot.burst().await?;
    let last = bot.order("the last");
    supervisor.send(Shutdown::within(Duration::from_secs(5))).await?;
    last.await?;

    let report = bot.ledger.borrow().reconcile(&gateway.read());
    println!("\n{report}");
    report.verdict()
}
