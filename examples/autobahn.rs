//! The client that [Autobahn](https://github.com/crossbario/autobahn-testsuite) tests: it echoes
//! every message, case after case, over one `Connection` whose address outlives them all.
//!
//! ```text
//! .ci/install-peers && .peers/python/bin/python tests/autobahn/run.py
//! cargo run --example autobahn -- ws://127.0.0.1:9001 wsvisor   # against a server of yours
//! ```

use std::error::Error;

use actix::prelude::*;
use tokio::sync::oneshot;
use wsvisor::{
    AccessPolicy, Connect, Connection, Lifecycle, LifecycleEvent, Limits, OutboxLimits,
    OwnedPayload, PerMessageDeflate, ReceivedBatch, SendBinary, SendString, Settings,
};

#[actix::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(agent)) = (arguments.next(), arguments.next()) else {
        return Err("usage: autobahn SERVER_URL AGENT_NAME [no-context-takeover]".into());
    };
    // Only the servers of groups 12 and 13 agree to it.
    // The suite bounds the time of a case, and asks not how much is saved.
    let mut deflate = PerMessageDeflate::default().threshold(0).level(1);
    if arguments.next().is_some_and(|argument| argument == "no-context-takeover") {
        deflate = deflate.client_no_context_takeover();
    }
    let client = Client::start_for(&server, deflate)?;
    let visit = async |path: String, echoes| {
        client.send(Visit { url: format!("{server}{path}"), echoes }).await?
    };
    let count = visit("/getCaseCount".into(), false).await?;
    let count: u32 = count.ok_or("the server did not say how many cases there are")?.parse()?;
    for case in 1..=count {
        if let Err(error) = visit(format!("/runCase?case={case}&agent={agent}"), true).await {
            // The report tells what became of the case.
            eprintln!("case {case} of {count}: {error}");
        }
    }
    visit(format!("/updateReports?agent={agent}"), false).await?;
    println!("{count} cases were run");
    Ok(())
}

/// Connects to one URL and stays until the server ends the session.
#[derive(Message)]
#[rtype(result = "Outcome")]
struct Visit {
    url: String,
    echoes: bool,
}

/// The last text that came, if the visit does not echo.
type Outcome = Result<Option<String>, Failure>;

type Failure = Box<dyn Error + Send + Sync>;

struct Client {
    connection: Addr<Connection>,
    echoes: bool,
    text: Option<String>,
    visitor: Option<oneshot::Sender<Outcome>>,
}

impl Client {
    fn start_for(server: &str, deflate: PerMessageDeflate) -> Result<Addr<Self>, Failure> {
        let policy = AccessPolicy::from_rules([format!("allow {server}")])?;
        // The messages of group 9 have 16 MiB, and come in up to 65,536 frames.
        let limits = Limits::default().with_max_fragments(1 << 16);
        let outbox = OutboxLimits { bytes: 64 << 20, ..OutboxLimits::default() };
        let context = Context::new();
        let connection = Connection::string("autobahn")
            .policy(policy)
            .settings(Settings::default().limits(limits).outbox(outbox).deflate(deflate))
            .subscribe(context.address().recipient::<Lifecycle>())
            .subscribe(context.address().recipient::<ReceivedBatch>())
            .start()?;
        Ok(context.run(Self { connection, echoes: false, text: None, visitor: None }))
    }

    fn leave(&mut self, outcome: Outcome) {
        if let Some(visitor) = self.visitor.take() {
            let _ = visitor.send(outcome);
        }
    }
}

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<Visit> for Client {
    type Result = ResponseFuture<Outcome>;

    fn handle(&mut self, visit: Visit, _: &mut Context<Self>) -> Self::Result {
        let (visitor, outcome) = oneshot::channel();
        self.visitor = Some(visitor);
        self.echoes = visit.echoes;
        let connecting = self.connection.send(Connect::to(visit.url));
        Box::pin(async move {
            connecting.await??;
            outcome.await?
        })
    }
}

impl Handler<ReceivedBatch> for Client {
    type Result = ();

    fn handle(&mut self, batch: ReceivedBatch, _: &mut Context<Self>) {
        for message in batch.owned() {
            match message {
                OwnedPayload::Text(text) if self.echoes => {
                    self.connection.do_send(SendString::new(text));
                }
                OwnedPayload::Binary(bytes) if self.echoes => {
                    self.connection.do_send(SendBinary::new(bytes));
                }
                OwnedPayload::Text(text) => self.text = Some(text.to_string()),
                OwnedPayload::Binary(_) => {}
            }
        }
    }
}

impl Handler<Lifecycle> for Client {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        match told.event {
            LifecycleEvent::Disconnected { .. } => {
                let text = self.text.take();
                self.leave(Ok(text));
            }
            LifecycleEvent::ConnectionError { reason, .. } => {
                self.leave(Err(reason.to_string().into()));
            }
            _ => {}
        }
    }
}
