use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::{Faults, Network, Peer, Pipe, Played, Relay, Script, patience::soon};

/// A server that does what a test says: in memory ([`Network::listen`]) or on a loopback socket
/// ([`Server::on_loopback`]).
///
/// It accepts when it is told to. Until then, dials wait in its backlog as they do with TCP.
#[derive(Debug)]
pub struct Server(Place);

#[derive(Debug)]
enum Place {
    Memory(Listener),
    Loopback { address: SocketAddr, listener: Option<TcpListener> },
}

/// A place in a network where a server listens; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) network: Network,
    pub(super) origin: String,
    /// Which of the servers that listened there, one after the other.
    pub(super) generation: u64,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.network.stop(&self.origin, self.generation);
    }
}

impl Server {
    pub(super) const fn in_memory(listener: Listener) -> Self {
        Self(Place::Memory(listener))
    }

    /// A server on a free port of 127.0.0.1, over real sockets.
    ///
    /// # Errors
    /// When the system has no socket or port left.
    pub async fn on_loopback() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self(Place::Loopback { address, listener: Some(listener) }))
    }

    /// Where to connect to: a `ws` URL without a path, or what was given to
    /// [`Network::listen`].
    #[must_use]
    pub fn url(&self) -> String {
        match &self.0 {
            Place::Memory(listener) => listener.origin.clone(),
            Place::Loopback { address, .. } => format!("ws://{address}"),
        }
    }

    /// The loopback address; none in memory.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Place::Memory(_) => None,
            Place::Loopback { address, .. } => Some(*address),
        }
    }

    /// Stops listening: dials are refused until [`start`](Self::start). What was accepted stays.
    pub fn stop(&mut self) {
        match &mut self.0 {
            Place::Memory(listener) => {
                listener.network.stop(&listener.origin, listener.generation);
            }
            Place::Loopback { listener, .. } => drop(listener.take()),
        }
    }

    /// Listens again where it did before.
    ///
    /// # Errors
    /// When the port was taken by someone else meanwhile.
    pub async fn start(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Place::Memory(listener) => {
                listener.network.start(&listener.origin, listener.generation);
            }
            Place::Loopback { address, listener } => {
                *listener = Some(TcpListener::bind(*address).await?);
            }
        }
        Ok(())
    }

    /// The next connection, before its opening handshake.
    ///
    /// # Panics
    /// When none comes in time, or the server was stopped.
    pub async fn accept(&self) -> Peer {
        soon("a connection", self.accept_patiently()).await
    }

    /// The next connection, however long it takes.
    pub(super) async fn accept_patiently(&self) -> Peer {
        let stream = self.next_stream().await;
        Peer::over(stream.unwrap_or_else(|error| panic!("cannot accept: {error}")))
    }

    /// The next connection, its opening handshake done.
    ///
    /// # Panics
    /// When none comes in time, or it is not a WebSocket client's.
    pub async fn open(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.shake_hands().await;
        peer
    }

    /// Accepts a connection for each script in turn, and plays it. The scripts of several
    /// connections run beside each other.
    ///
    /// It needs a running [`actix_rt`] arbiter or tokio `LocalSet`.
    #[must_use = "await `Played::done` to learn whether the client did as the scripts expect"]
    pub fn play(self, scripts: impl IntoIterator<Item = Script>) -> Played {
        Played::start(self, scripts.into_iter().collect())
    }

    /// Accepts connections and carries each to the server `behind`, with these faults: the first
    /// of them befall the first connection. After the last, dials are refused.
    ///
    /// Either server may be in memory or on a loopback socket. It needs a running [`actix_rt`]
    /// arbiter or tokio `LocalSet`.
    #[must_use = "dropping the relay cuts what goes through it"]
    pub fn relay_to<F>(self, behind: &Self, faults: F) -> Relay
    where
        F: IntoIterator<Item = Faults>,
        F::IntoIter: 'static,
    {
        let route = match &behind.0 {
            Place::Memory(Listener { network, origin, .. }) => {
                Route::Memory { network: network.clone(), origin: origin.clone() }
            }
            Place::Loopback { address, .. } => Route::Loopback(*address),
        };
        Relay::start(self, route, faults.into_iter())
    }

    async fn next_stream(&self) -> io::Result<Stream> {
        match &self.0 {
            Place::Memory(Listener { network, origin, generation }) => {
                let accept = poll_fn(|cx| network.poll_accept(origin, *generation, cx));
                Ok(Stream::Memory(accept.await))
            }
            Place::Loopback { listener: Some(listener), .. } => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Place::Loopback { listener: None, .. } => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// The way to a server.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Memory { network: Network, origin: String },
    Loopback(SocketAddr),
}

impl Route {
    /// A client's end of a new stream.
    pub(super) async fn open(&self) -> io::Result<Stream> {
        match self {
            Self::Memory { network, origin } => {
                network.connect(origin.clone()).await.map(Stream::Memory)
            }
            Self::Loopback(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

/// The server's end of a stream, in memory or over TCP.
#[derive(Debug)]
pub enum Stream {
    /// Of a [`Network`].
    Memory(Pipe),
    /// Of a loopback socket.
    Tcp(TcpStream),
}

impl Stream {
    /// Drops the stream so that the client sees a reset.
    ///
    /// # Errors
    /// When the system refuses the socket option that does it.
    pub fn reset(self) -> io::Result<()> {
        match self {
            Self::Memory(pipe) => pipe.reset(),
            Self::Tcp(stream) => stream.set_zero_linger()?,
        }
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Memory(pipe) => Pin::new(pipe).poll_read(cx, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Memory(pipe) => Pin::new(pipe).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Memory(pipe) => Pin::new(pipe).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Memory(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
