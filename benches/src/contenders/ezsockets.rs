use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use ezsockets::{
    Bytes, Client, ClientConfig, ClientExt, CloseFrame, Error, MessageSignal, MessageStatus,
    Utf8Bytes, WSError, client::ClientCloseMode,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Peer, Show};

pub(crate) struct EzSockets;

pub(crate) struct Socket {
    client: Client<Listener>,
    told: UnboundedReceiver<Told>,
    reader: Reader,
    /// Of the latest message. It can be asked, but not awaited.
    latest: Option<MessageSignal>,
}

/// Who is shown the messages at once, where somebody is.
type Reader = Arc<Mutex<Option<Box<dyn Show>>>>;

enum Told {
    Connected,
    Text(Utf8Bytes),
    Binary(Bytes),
    Ended,
}

struct Listener {
    tell: UnboundedSender<Told>,
    reader: Reader,
}

impl Peer for EzSockets {
    type Socket = Socket;

    async fn connect(url: &str) -> Result<Socket> {
        let (tell, mut told) = unbounded_channel();
        let reader = Reader::default();
        let listener = Listener { tell, reader: Arc::clone(&reader) };
        let (client, running) = ezsockets::connect(|_| listener, ClientConfig::new(url)).await;
        tokio::spawn(running);
        match told.recv().await {
            Some(Told::Connected) => Ok(Socket { client, told, reader, latest: None }),
            _ => Err(anyhow!("not connected")),
        }
    }

    async fn next(socket: &mut Socket, show: &mut impl Show) -> Result<bool> {
        match socket.told.recv().await.context("the client is gone")? {
            Told::Text(text) => show.text(&text),
            Told::Binary(bytes) => show.bytes(&bytes),
            Told::Connected | Told::Ended => return Ok(false),
        }
        Ok(true)
    }

    async fn read(mut socket: Socket, show: impl Show) -> Result<()> {
        *lock(&socket.reader) = Some(Box::new(show));
        socket.told.recv().await.context("the client is gone")?;
        Ok(())
    }

    async fn feed(socket: &mut Socket, text: &str) -> Result<()> {
        socket.latest = Some(socket.client.text(text)?);
        Ok(())
    }

    async fn flush(socket: &mut Socket) -> Result<()> {
        if let Some(latest) = socket.latest.take() {
            while latest.status() == MessageStatus::Sending {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

impl Listener {
    fn show(&self, show: impl FnOnce(&mut dyn Show), otherwise: impl FnOnce() -> Told) {
        match &mut *lock(&self.reader) {
            Some(reader) => show(&mut **reader),
            None => self.tell(otherwise()),
        }
    }

    fn tell(&self, told: Told) {
        // Nobody listens any more once the measurement is over.
        let _ = self.tell.send(told);
    }
}

#[async_trait]
impl ClientExt for Listener {
    type Call = ();

    async fn on_text(&mut self, text: Utf8Bytes) -> Result<(), Error> {
        self.show(|reader| reader.text(&text), || Told::Text(text.clone()));
        Ok(())
    }

    async fn on_binary(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.show(|reader| reader.bytes(&bytes), || Told::Binary(bytes.clone()));
        Ok(())
    }

    async fn on_call(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }

    async fn on_connect(&mut self) -> Result<(), Error> {
        self.tell(Told::Connected);
        Ok(())
    }

    async fn on_connect_fail(&mut self, _: WSError) -> Result<ClientCloseMode, Error> {
        Ok(ClientCloseMode::Close)
    }

    async fn on_close(&mut self, _: Option<CloseFrame>) -> Result<ClientCloseMode, Error> {
        self.tell(Told::Ended);
        Ok(ClientCloseMode::Close)
    }

    async fn on_disconnect(&mut self) -> Result<ClientCloseMode, Error> {
        self.tell(Told::Ended);
        Ok(ClientCloseMode::Close)
    }
}

fn lock(reader: &Reader) -> MutexGuard<'_, Option<Box<dyn Show>>> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}
