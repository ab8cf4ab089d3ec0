//! Supervised connections through a server that drops its clients.
//!
//! ```text
//! cargo run --example quickstart                        # an embedded server, ten seconds
//! cargo run --example quickstart -- wss://example.com/  # a server of yours, until Ctrl-C
//! ```

use std::{process::ExitCode, time::Duration};

use actix::prelude::*;
use wsvisor::{
    AccessPolicy, Backoff, CanonicalUrl, ConnectionSpec, Lifecycle, Received, SendJson, SendString,
    Shutdown, StartConnection, Supervisor,
};

mod flapping_server;
mod log;

use log::{Blocked, Log, Sent, Summarise};

#[actix::main]
async fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1) {
        Some(url) => watch(url).await,
        None => demonstrate().await,
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// Three connections to a server that drops its clients every second or so: one that speaks JSON,
/// one that speaks text, and one to a URL that the access policy does not allow.
async fn demonstrate() -> Outcome {
    let server = flapping_server::start()?;
    let url = format!("ws://{server}/echo");
    println!("an echo server on {server} drops its clients every second or so\n");

    let log = Log::start_default();
    let supervisor = Supervisor::builder()
        .policy(AccessPolicy::from_rules([format!("allow ws://{server}/echo")])?)
        .subscribe(log.clone().recipient::<Lifecycle>())
        .subscribe(log.clone().recipient::<Received>())
        .start()?;
    let backoff = Backoff::between(Duration::from_millis(200), Duration::from_secs(1))?;

    let json = ConnectionSpec::json("json", &url).backoff(backoff.clone());
    let json = supervisor.send(StartConnection(json)).await??;
    let text = ConnectionSpec::string("text", &url).backoff(backoff);
    let text = supervisor.send(StartConnection(text)).await??;

    let blocked = ConnectionSpec::string("blocked", "wss://example.com/");
    if let Err(error) = supervisor.send(StartConnection(blocked)).await? {
        log.send(Blocked(error)).await?;
    }

    // A send while there is no session is refused, at once and by its answer: nothing is queued
    // without anyone knowing. The addresses stay the same over all reconnects.
    let mut clock = tokio::time::interval(Duration::from_millis(500));
    for tick in 0..18 {
        clock.tick().await;
        let hello = SendJson::new(&serde_json::json!({"tick": tick}))?;
        let sent = [json.send(hello).await?, text.send(SendString::new("hello")).await?];
        log.send(Sent(sent)).await?;
    }
    supervisor.send(Shutdown::gracefully()).await?;

    let summary = log.send(Summarise).await?;
    println!("\n{summary}");
    Ok(if summary.is_as_promised() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One connection to a server of yours.
async fn watch(url: String) -> Outcome {
    let target = CanonicalUrl::parse(&url)?;
    let rule = format!("allow {}", target.origin());
    // Who types a URL means the address behind it, a private one too.
    let policy = AccessPolicy::from_rules([rule])?.with_grant_resolved(["0.0.0.0/0", "::/0"])?;

    let log = Log::start_default();
    let supervisor = Supervisor::builder()
        .policy(policy)
        .subscribe(log.clone().recipient::<Lifecycle>())
        .subscribe(log.clone().recipient::<Received>())
        .start()?;
    let spec = ConnectionSpec::string("yours", url);
    supervisor.send(StartConnection(spec)).await??;
    println!("supervising {target}; Ctrl-C ends\n");
    tokio::signal::ctrl_c().await?;
    supervisor.send(Shutdown::gracefully()).await?;
    println!("\n{}", log.send(Summarise).await?);
    Ok(ExitCode::SUCCESS)
}
