use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{Pipe, Server, server::Listener};
use crate::{
    policy::CanonicalUrl,
    transport::{BoxedStream, Dialler, Dialling, Target},
};

/// A network in memory: connections dial into it, and servers of the same process accept.
///
/// Give it to [`Supervisor::builder`](crate::Supervisor::builder) or
/// [`Settings`](crate::Settings) as the dialler. Nothing is resolved (but see
/// [`by_address`](Self::by_address)); a URL leads to the server that was started under its scheme, host
/// and port, and where there is none the dial is refused. A clone is the same network.
#[derive(Clone, Debug)]
pub struct Network {
    hosts: Arc<Mutex<HashMap<String, Host>>>,
    capacity: usize,
    by_address: bool,
}

#[derive(Debug, Default)]
struct Host {
    mood: Mood,
    /// How many servers have listened here: the latest is the one that does.
    generation: u64,
    /// Streams that were dialled and not accepted yet.
    backlog: VecDeque<Pipe>,
    acceptor: Option<Waker>,
    /// Each client's end of a stream holds a clone.
    live: Arc<()>,
    dials: u64,
}

/// What a host does with a dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Refuses,
    Listens,
    /// Packets are lost: the dial neither succeeds nor fails.
    Swallows,
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    /// A network whose streams hold 64 KiB in each direction, and on which nothing listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(64 * 1024)
    }

    /// A network whose streams hold so many bytes in each direction.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { hosts: Arc::default(), capacity, by_address: false }
    }

    /// The same network, as it is for those who dial by address, as over TCP: the URL's host is
    /// resolved by the connection's resolver ([`Names`](super::Names)), the access policy judges each
    /// address, and a server is found under the scheme, the address and the port, as in
    /// `ws://93.184.216.34`.
    #[must_use]
    pub fn by_address(mut self) -> Self {
        self.by_address = true;
        self
    }

    /// Starts a server at the scheme, host and port of `url`. It takes the place over from one that
    /// listens there.
    ///
    /// # Panics
    /// When `url` is not a WebSocket URL.
    #[must_use]
    pub fn listen(&self, url: &str) -> Server {
        let origin = origin(url);
        let generation = self.host(&origin, |host| {
            host.mood = Mood::Listens;
            host.generation += 1;
            host.generation
        });
        Server::in_memory(Listener { network: self.clone(), origin, generation })
    }

    /// From now on, dials to this place neither succeed nor fail, as if packets were lost, until a
    /// server listens there again.
    ///
    /// # Panics
    /// When `url` is not a WebSocket URL.
    pub fn swallow(&self, url: &str) {
        self.host(&origin(url), |host| host.become_deaf(Mood::Swallows));
    }

    /// From now on, dials to this place are refused, until a server listens there again.
    ///
    /// # Panics
    /// When `url` is not a WebSocket URL.
    pub fn refuse(&self, url: &str) {
        self.host(&origin(url), |host| host.become_deaf(Mood::Refuses));
    }

    /// How many streams to this place a client holds at this moment.
    ///
    /// # Panics
    /// When `url` is not a WebSocket URL.
    #[must_use]
    pub fn live(&self, url: &str) -> usize {
        self.host(&origin(url), |host| Arc::strong_count(&host.live) - 1)
    }

    /// How many times this place was dialled, in vain or not.
    ///
    /// # Panics
    /// When `url` is not a WebSocket URL.
    #[must_use]
    pub fn dials(&self, url: &str) -> u64 {
        self.host(&origin(url), |host| host.dials)
    }

    fn host<T>(&self, origin: &str, use_it: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.lock();
        match hosts.get_mut(origin) {
            Some(host) => use_it(host),
            None => use_it(hosts.entry(origin.to_owned()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server of this generation stops listening, if none has taken its place over.
    pub(super) fn stop(&self, origin: &str, generation: u64) {
        self.host(origin, |host| {
            if host.generation == generation {
                host.become_deaf(Mood::Refuses);
            }
        });
    }

    /// It listens again.
    pub(super) fn start(&self, origin: &str, generation: u64) {
        self.host(origin, |host| {
            if host.generation == generation {
                host.mood = Mood::Listens;
            }
        });
    }

    pub(super) fn poll_accept(
        &self,
        origin: &str,
        generation: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Pipe> {
        self.host(origin, |host| {
            if host.generation != generation {
                return Poll::Pending;
            }
            let waiting = host.backlog.pop_front();
            if waiting.is_none() {
                host.acceptor = Some(cx.waker().clone());
            }
            waiting.map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// A client's end of a new stream.
    pub(super) async fn connect(&self, origin: String) -> io::Result<Pipe> {
        match self.open(&origin) {
            Some(opened) => opened,
            None => std::future::pending().await,
        }
    }

    /// A stream to a server that has listened there; nothing is noted of places that no server knows.
    pub(super) fn open_if_known(&self, origin: &str) -> Option<io::Result<Pipe>> {
        let is_known = self.lock().contains_key(origin);
        if is_known { self.open(origin) } else { None }
    }

    fn open(&self, origin: &str) -> Option<io::Result<Pipe>> {
        let (near, far) = Pipe::pair(self.capacity);
        self.host(origin, |host| {
            host.dials += 1;
            match host.mood {
                Mood::Refuses => Some(Err(io::ErrorKind::ConnectionRefused.into())),
                Mood::Swallows => None,
                Mood::Listens => {
                    host.backlog.push_back(far);
                    if let Some(acceptor) = host.acceptor.take() {
                        acceptor.wake();
                    }
                    Some(Ok(near.counted(Arc::clone(&host.live))))
                }
            }
        })
    }
}

impl Host {
    /// Nobody accepts: what was dialled and not accepted yet is reset.
    fn become_deaf(&mut self, mood: Mood) {
        self.mood = mood;
        self.backlog.drain(..).for_each(Pipe::reset);
    }
}

fn origin(url: &str) -> String {
    let url = CanonicalUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    url.origin().to_owned()
}

impl Dialler for Network {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        if self.by_address {
            let scheme = target.url().scheme();
            let open = move |address| self.connect(origin(&format!("{scheme}://{address}")));
            return Box::pin(target.connect_with(open));
        }
        Box::pin(async move {
            let stream = self.connect(target.url().origin().to_owned()).await;
            stream.map(|pipe| Box::new(pipe) as BoxedStream).map_err(|error| target.failed(error))
        })
    }
}
