//! Make-before-break rotation: a session is replaced while it is up.

mod changes;
mod failures;
mod handing_over;
mod interruptions;
mod messages;

use std::time::Duration;

use actix::Addr;
use wsvisor::{
    Connect, Connection, ConnectionSpec, GetStatus, Liveness, Payload, Rotate, RotateError,
    Rotating, Rotation, Settings, StartConnection, Supervisor,
    testing::{ClientFrame, Peer, Recorder, Server, connected},
};

use crate::support::{alone, listen, network, recorded, settings, supervisor};

const TOOK_OVER: &str = "1 Disconnected 1000 unclean: the next session took over";

fn rotating() -> Settings {
    let liveness = Liveness::default().without_pings();
    settings().rotation(Rotation::make_before_break()).liveness(liveness)
}

/// A connection whose first session is up, with the server's end of it.
struct Stage {
    connection: Addr<Connection>,
    events: Recorder,
    server: Server,
    old: Peer,
    /// Absent for a connection that is used alone.
    supervisor: Option<Addr<Supervisor>>,
}

impl Stage {
    async fn alone(settings: Settings) -> Self {
        let server = listen();
        let (connection, mut events) = alone(Connection::string("a").settings(settings));
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let old = server.open().await;
        events.expect(connected().epoch(1)).await;
        Self { connection, events, server, old, supervisor: None }
    }

    async fn supervised(
        settings: Settings,
        terms: impl FnOnce(ConnectionSpec) -> ConnectionSpec,
    ) -> Self {
        Self::below(supervisor(), settings, terms).await
    }

    async fn below(
        supervisor: Addr<Supervisor>,
        settings: Settings,
        terms: impl FnOnce(ConnectionSpec) -> ConnectionSpec,
    ) -> Self {
        let server = listen();
        let spec = ConnectionSpec::string("a", server.url()).settings(settings);
        let (spec, mut events) = recorded(spec);
        let connection = supervisor.send(StartConnection(terms(spec))).await.unwrap().unwrap();
        let old = server.open().await;
        events.expect(connected().epoch(1)).await;
        Self { connection, events, server, old, supervisor: Some(supervisor) }
    }

    async fn rotate(&self) -> Result<u64, RotateError> {
        let answer = self.connection.send(Rotate).await.unwrap();
        answer.map(|Rotating { epoch }| epoch.get())
    }

    /// Sockets that the client holds.
    fn sockets(&self) -> usize {
        network().live(&self.server.url())
    }

    async fn epoch(&self) -> u64 {
        self.connection.send(GetStatus).await.unwrap().epoch.get()
    }

    async fn successor(&self) -> Option<u64> {
        let successor = self.connection.send(GetStatus).await.unwrap().successor;
        successor.map(wsvisor::Epoch::get)
    }
}

/// The peer closes as it is asked to, and the client sees the end.
async fn agree_to_close(mut peer: Peer, code: u16) {
    assert_eq!(peer.read_close().await, code.to_be_bytes());
    peer.close(code).await;
}

/// Says of a message whether it is `hello`, and has a bug that `boom` finds.
fn is_hello_or_panics(message: Payload<'_>) -> bool {
    match message.as_text() {
        Some("boom") => panic!("a bug in the user's code"),
        text => text == Some("hello"),
    }
}

/// Lets everything happen that does not need time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn read_texts<const N: usize>(peer: &mut Peer, texts: [&str; N]) {
    for text in texts {
        assert_eq!(peer.read().await, ClientFrame::text(text));
    }
}
