use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use super::{
    Correlator, Greeting, Readiness, Replies, correlator::SharedCorrelator, replies::SharedReplier,
};
#[cfg(feature = "deflate")]
use crate::protocol::PerMessageDeflate;
use crate::{
    error::InvalidSpec,
    event::History,
    lifecycle::{Liveness, OutboxLimits, Rotation, SendLimit},
    protocol::{Limits, Payload},
    spec::Proxies,
    transport::{Dialler, Resolver, SharedDialler, SharedResolver, Tls},
};

/// What a connection's messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text messages that hold JSON. A message that is not JSON, or is binary, is not delivered;
    /// it is counted, and the session goes on. So each message is looked through before its subscribers
    /// read it.
    Json,
    /// Text and binary messages, delivered as they are. It sends and reads JSON as well, by
    /// [`SendJson`](crate::SendJson) and [`ReceivedBatch::json`](crate::ReceivedBatch::json), and then each
    /// message is read once: what is not JSON is an error there.
    String,
}

impl Kind {
    /// Whether it sends a message that is JSON, or one that nobody says is.
    pub(crate) const fn sends(self, is_json: bool) -> bool {
        match self {
            Self::Json => is_json,
            Self::String => true,
        }
    }
}

/// Limits of time and size, and trust. The defaults suit a public server on the internet.
///
/// Connections share one `Arc<Settings>` when they are given it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) outbox: OutboxLimits,
    pub(crate) liveness: Liveness,
    pub(crate) history: Option<History>,
    pub(crate) greeting: Option<Greeting>,
    pub(crate) readiness: Readiness,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) send_limit: Option<SendLimit>,
    pub(crate) correlator: Option<SharedCorrelator>,
    pub(crate) replier: Option<SharedReplier>,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxies: Option<Proxies>,
    pub(crate) dialler: Option<SharedDialler>,
    pub(crate) resolver: Option<SharedResolver>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<Box<PerMessageDeflate>>,
}

/// How long each stage may take. None may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Each question to a provider of endpoints, credentials or a greeting. Default 10 s.
    pub provider: Duration,
    /// Name resolution and TCP, together. Default 10 s.
    pub connect: Duration,
    /// Name resolution alone, within the time for `connect`. Default 5 s.
    pub resolve: Duration,
    /// Reaching the proxy, and its way to the server, where there is one. Default 20 s.
    pub proxy: Duration,
    /// The TLS handshake. Default 10 s.
    pub tls: Duration,
    /// The opening handshake, from the request to the end of the answer's head. Default 10 s.
    pub handshake: Duration,
    /// From the first byte of a message or frame that does not come whole to its last byte; the
    /// time in which a subscriber holds the socket back does not count. A server may not keep a
    /// session's memory with a message that it never finishes. Default 60 s.
    pub message: Duration,
    /// From `Disconnect` to the end of the closing handshake, what is queued included; then the
    /// connection is cut. Default 5 s.
    pub close: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let (dial, short) = (Duration::from_secs(10), Duration::from_secs(5));
        Self {
            provider: dial,
            connect: dial,
            resolve: short,
            proxy: dial * 2,
            tls: dial,
            handshake: dial,
            message: Duration::from_mins(1),
            close: short,
        }
    }
}

/// Nothing of a connection is waited for without end: a peer may never answer.
const LONGEST: Duration = Duration::from_hours(24);

impl Timeouts {
    fn check(&self) -> Result<(), InvalidSpec> {
        let Self { provider, connect, resolve, proxy, tls, handshake, message, close } = *self;
        let named = [
            ("timeouts.provider", provider),
            ("timeouts.connect", connect),
            ("timeouts.resolve", resolve),
            ("timeouts.proxy", proxy),
            ("timeouts.tls", tls),
            ("timeouts.handshake", handshake),
            ("timeouts.message", message),
            ("timeouts.close", close),
        ];
        for (name, time) in named {
            if time.is_zero() {
                return Err(InvalidSpec::ZeroTimeout(name));
            }
            if time > LONGEST {
                return Err(InvalidSpec::EndlessTimeout(name));
            }
        }
        Ok(())
    }
}

impl Settings {
    /// The defaults, which all connections share that ask for nothing else.
    pub(crate) fn shared_default() -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Settings>> = LazyLock::new(Arc::default);
        Arc::clone(&DEFAULT)
    }

    /// Sets how long each stage may take.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how large received frames and messages may be.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Offers the server to compress messages. Default: no compression.
    ///
    /// A message with a deadline or a key goes uncompressed, for it may be taken back when it is encoded
    /// already, and a later one must not refer to it then (RFC 7692 §7.2.3.2).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, offer: PerMessageDeflate) -> Self {
        self.deflate = Some(Box::new(offer));
        self
    }

    /// Sets how much may wait to be written.
    #[must_use]
    pub const fn outbox(mut self, outbox: OutboxLimits) -> Self {
        self.outbox = outbox;
        self
    }

    /// Sets how it is noticed that a session is dead. Default: a ping every 20 seconds, to be answered
    /// within 20.
    #[must_use]
    pub fn liveness(mut self, liveness: Liveness) -> Self {
        self.liveness = liveness;
        self
    }

    /// Keeps the last events and messages for subscribers that come later. Default: none. It is read
    /// when the connection starts.
    #[must_use]
    pub const fn history(mut self, history: History) -> Self {
        self.history = Some(history);
        self
    }

    /// Sets what is sent first in every session. Default: nothing.
    #[must_use]
    pub fn greeting(mut self, greeting: Greeting) -> Self {
        self.greeting = Some(greeting);
        self
    }

    /// Sets when a session is ready for the messages that wait for that. Default: on connect.
    #[must_use]
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }

    /// Sets how many messages may be sent in a time. Default: as many as the socket takes.
    #[must_use]
    pub fn send_limit(mut self, limit: SendLimit) -> Self {
        self.send_limit = Some(limit);
        self
    }

    /// Lets a session be replaced while it is up, on request and when it is old. Default: none is, and
    /// there is one live socket at most.
    #[must_use]
    pub const fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = Some(rotation);
        self
    }

    /// Sets how the answer to a [`Request`](crate::Request) is known. Default:
    /// [`JsonRpc`](crate::JsonRpc).
    #[must_use]
    pub fn correlator(mut self, correlator: impl Correlator) -> Self {
        self.correlator = Some(SharedCorrelator(Arc::new(correlator)));
        self
    }

    /// Sets what is replied to messages at once, in the session's own turn: to a server that asks in messages of
    /// its own whether its clients are alive, or wants each message acknowledged. Default: nothing.
    ///
    /// `reply` is asked about each message as it comes, before subscribers are told of it, which they are as
    /// of any other. It runs in the session's turn: a panic in it is one of the session. For a subscriber to
    /// answer takes two turns of tasks more, and waits for its own turn; this waits for nobody, and is what a round
    /// trip costs least with. While more than 64 KiB of replies wait for the socket, it is not read.
    ///
    /// ```
    /// # use wsvisor::{testing::{Network, Recorder, Script, connected, virtual_time}, *};
    /// # virtual_time(1, async {
    /// # let network = Network::new();
    /// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().send_text("ping").expect_text("pong").expect_end()]);
    /// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
    /// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
    /// let settings = Settings::default().reply_with(|message, replies| {
    ///     if message.as_text() == Some("ping") {
    ///         replies.text("pong");
    ///     }
    /// });
    /// # let spec = ConnectionSpec::string("bot", server.url()).settings(settings);
    /// # let mut recorder = Recorder::start();
    /// # let bot = supervisor.send(StartConnection(spec.subscribe(recorder.lifecycle()).subscribe(recorder.messages()))).await??;
    /// # recorder.expect(connected()).await;
    /// # recorder.expect(testing::text("ping")).await;
    /// # supervisor.send(Shutdown::gracefully()).await?;
    /// # server.done().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn reply_with(
        mut self,
        reply: impl Fn(Payload<'_>, &mut Replies<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.replier = Some(SharedReplier(Arc::new(reply)));
        self
    }

    /// Sets how `wss` servers are trusted. Default: [`Tls::public`].
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets which proxy leads to the server: a [`Proxy`](crate::Proxy), or what
    /// [`Proxies`](crate::Proxies) chooses. Default: the supervisor's, and none.
    #[must_use]
    pub fn proxy(mut self, proxies: impl Into<Proxies>) -> Self {
        self.proxies = Some(proxies.into());
        self
    }

    /// Sets what opens the byte streams. Default: the supervisor's, and [`Tcp`](crate::Tcp).
    #[must_use]
    pub fn dialler(mut self, dialler: impl Dialler) -> Self {
        self.dialler = Some(SharedDialler::new(dialler));
        self
    }

    /// Sets what finds the addresses of names. Default: the supervisor's, and
    /// [`SystemResolver`](crate::SystemResolver).
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Some(SharedResolver::new(resolver));
        self
    }

    pub(crate) fn check(&self) -> Result<(), InvalidSpec> {
        self.timeouts.check()?;
        if self.rotation.is_some_and(|rotation| rotation.ready_within.is_zero()) {
            return Err(InvalidSpec::ZeroTimeout("rotation.ready_within"));
        }
        if self.outbox.messages == 0 {
            Err(InvalidSpec::ZeroLimit("outbox.messages"))
        } else if self.outbox.bytes == 0 {
            Err(InvalidSpec::ZeroLimit("outbox.bytes"))
        } else if let Some(limit) = self.liveness.no_misses() {
            Err(InvalidSpec::ZeroLimit(limit))
        } else {
            self.liveness.zero().map_or(Ok(()), |limit| Err(InvalidSpec::ZeroTimeout(limit)))
        }
    }
}
