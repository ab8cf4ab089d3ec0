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
/// [`Settings`](crate::Settings) as the dialler. Nothing is resolved; a URL leads to the server
/// that was started under its scheme, host and port, and where there is none the dial is refused. A
/// clone is the same network.
#[derive(Clone, Debug)]
pub struct Network {
    hosts: Arc<Mutex<HashMap<String, Host>>>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Host {
    mood: Mood,
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
        Self { hosts: Arc::default(), capacity }
    }

    /// Starts a server at the scheme, host and port of `url`.
    ///
    /// # Panics
    /// When `url` is not a WebSocket URL.
    #[must_use]
    pub fn listen(&self, url: &str) -> Server {
        let url = CanonicalUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let origin = url.origin().to_owned();
        self.host(&origin, |host| host.mood = Mood::Listens);
        Server::in_memory(Listener { network: self.clone(), origin })
    }

    /// From now on, dials to this server neither succeed nor fail, as if packets were lost. It
    /// lasts until a server listens there again.
    pub fn swallow(&self, server: &Server) {
        if let Some(origin) = server.origin() {
            self.host(origin, |host| host.mood = Mood::Swallows);
        }
    }

    /// How many streams to this server a client holds at this moment.
    #[must_use]
    pub fn live(&self, server: &Server) -> usize {
        server
            .origin()
            .map_or(0, |origin| self.host(origin, |host| Arc::strong_count(&host.live) - 1))
    }

    /// How many times this server was dialled, in vain or not.
    #[must_use]
    pub fn dials(&self, server: &Server) -> u64 {
        server.origin().map_or(0, |origin| self.host(origin, |host| host.dials))
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

    /// Stops listening: dials are refused, and those not accepted yet are reset.
    pub(super) fn stop(&self, origin: &str) {
        let backlog = self.host(origin, |host| {
            host.mood = Mood::Refuses;
            std::mem::take(&mut host.backlog)
        });
        backlog.into_iter().for_each(Pipe::reset);
    }

    pub(super) fn start(&self, origin: &str) {
        self.host(origin, |host| host.mood = Mood::Listens);
    }

    pub(super) fn poll_accept(&self, origin: &str, cx: &mut Context<'_>) -> Poll<Pipe> {
        self.host(origin, |host| {
            let waiting = host.backlog.pop_front();
            if waiting.is_none() {
                host.acceptor = Some(cx.waker().clone());
            }
            waiting.map_or(Poll::Pending, Poll::Ready)
        })
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

impl Dialler for Network {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        Box::pin(async move {
            match self.open(target.url().origin()) {
                Some(Ok(stream)) => Ok(Box::new(stream) as BoxedStream),
                Some(Err(error)) => Err(target.failed(error)),
                None => std::future::pending().await,
            }
        })
    }
}
