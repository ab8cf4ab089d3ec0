//! Clients that come back by themselves, each with the defaults that it ships.

use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use anyhow::Result;
use async_trait::async_trait;
use ezsockets::{ClientConfig, ClientExt, CloseFrame, MessageSignal, MessageStatus, WSError};
use tokio::time::sleep;
use wsvisor::{
    AccessPolicy, Connection, ConnectionSpec, Lifecycle, LifecycleEvent, SendError, SendString,
    StartConnection, Supervisor,
};

use super::{accounts::Told, journal::Journal};

/// Many connections to one server.
pub(crate) trait Fleet: Sized {
    /// Starts them. They need not be connected when it returns.
    async fn start(connections: usize, url: &str, journal: Journal) -> Result<Self>;

    /// Sends a message of this number, and tells the journal what is told of it.
    fn send(&mut self, connection: usize, message: u32);

    /// Tells the journal what was told meanwhile, where that has to be asked for.
    fn ask(&mut self) {}
}

/// Supervised connections, with one subscriber of their lives.
pub(crate) struct Wsvisor {
    connections: Vec<Addr<Connection>>,
    journal: Journal,
    _supervisor: Addr<Supervisor>,
}

struct Subscriber(Journal);

impl Fleet for Wsvisor {
    async fn start(connections: usize, url: &str, journal: Journal) -> Result<Self> {
        let policy = AccessPolicy::from_rules(["allow ws://127.0.0.1:*"])?;
        let subscriber = Subscriber(journal.clone()).start();
        let supervisor = Supervisor::builder()
            .policy(policy)
            .subscribe(subscriber.recipient::<Lifecycle>())
            .start()?;
        let mut fleet = Self { connections: Vec::new(), journal, _supervisor: supervisor.clone() };
        for number in 0..connections {
            let spec = ConnectionSpec::string(format!("client-{number}"), url);
            fleet.connections.push(supervisor.send(StartConnection(spec)).await??);
        }
        Ok(fleet)
    }

    fn send(&mut self, connection: usize, message: u32) {
        let Some(address) = self.connections.get(connection) else { return };
        let sent = address.send(SendString::new(message.to_string()));
        let journal = self.journal.clone();
        actix_rt::spawn(async move {
            journal.tell(
                message,
                match sent.await {
                    Ok(Ok(_)) => Told::Sent,
                    Ok(Err(SendError::Refused(_))) | Err(_) => Told::Refused,
                    Ok(Err(SendError::NotWritten(_))) => Told::NotSent,
                    Ok(Err(_)) => Told::Unknown,
                },
            );
        });
    }
}

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Subscriber {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        match told.event {
            LifecycleEvent::Connected { .. } => self.0.is_up(),
            LifecycleEvent::Disconnected { .. } => self.0.is_down(),
            LifecycleEvent::ConnectionError { .. } => self.0.has_failed(),
            _ => {}
        }
    }
}

/// ezsockets' clients, each a task of its own, as its documentation shows it.
pub(crate) struct EzSockets {
    clients: Vec<ezsockets::Client<Callbacks>>,
    journal: Journal,
    signals: Vec<(u32, MessageSignal)>,
}

pub(crate) struct Callbacks(Journal);

/// It has no gate of its own: for the first time it is led in as fast as wsvisor lets itself in.
const STARTED_AT_ONCE: usize = 5;
const BETWEEN_STARTS: Duration = Duration::from_millis(10);

impl Fleet for EzSockets {
    async fn start(connections: usize, url: &str, journal: Journal) -> Result<Self> {
        let mut fleet = Self { clients: Vec::new(), journal, signals: Vec::new() };
        for number in 0..connections {
            let callbacks = Callbacks(fleet.journal.clone());
            let (client, ended) = ezsockets::connect(|_| callbacks, ClientConfig::new(url)).await;
            actix_rt::spawn(ended);
            fleet.clients.push(client);
            if number % STARTED_AT_ONCE == 0 {
                sleep(BETWEEN_STARTS).await;
            }
        }
        Ok(fleet)
    }

    fn send(&mut self, connection: usize, message: u32) {
        let Some(client) = self.clients.get(connection) else { return };
        match client.text(message.to_string()) {
            Ok(signal) => self.signals.push((message, signal)),
            Err(_) => self.journal.tell(message, Told::Refused),
        }
    }

    fn ask(&mut self) {
        for (message, signal) in self.signals.drain(..) {
            self.journal.tell(
                message,
                match signal.status() {
                    MessageStatus::Sent => Told::Sent,
                    MessageStatus::Failed => Told::NotSent,
                    MessageStatus::Sending => Told::Nothing,
                },
            );
        }
    }
}

#[async_trait]
impl ClientExt for Callbacks {
    type Call = ();

    async fn on_text(&mut self, _: ezsockets::Utf8Bytes) -> Result<(), ezsockets::Error> {
        Ok(())
    }

    async fn on_binary(&mut self, _: ezsockets::Bytes) -> Result<(), ezsockets::Error> {
        Ok(())
    }

    async fn on_call(&mut self, (): ()) -> Result<(), ezsockets::Error> {
        Ok(())
    }

    async fn on_connect(&mut self) -> Result<(), ezsockets::Error> {
        self.0.is_up();
        Ok(())
    }

    async fn on_connect_fail(
        &mut self,
        _: WSError,
    ) -> Result<ezsockets::client::ClientCloseMode, ezsockets::Error> {
        self.0.has_failed();
        Ok(ezsockets::client::ClientCloseMode::Reconnect)
    }

    async fn on_close(
        &mut self,
        _: Option<CloseFrame>,
    ) -> Result<ezsockets::client::ClientCloseMode, ezsockets::Error> {
        self.0.is_down();
        Ok(ezsockets::client::ClientCloseMode::Reconnect)
    }

    async fn on_disconnect(
        &mut self,
    ) -> Result<ezsockets::client::ClientCloseMode, ezsockets::Error> {
        self.0.is_down();
        Ok(ezsockets::client::ClientCloseMode::Reconnect)
    }
}
