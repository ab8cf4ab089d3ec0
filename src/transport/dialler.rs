use std::{fmt, io, net::IpAddr, pin::Pin, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::{
    lifecycle::DialError,
    policy::{AddressBlocked, Allowed, CanonicalUrl},
    spec::Settings,
};

use super::standing::Standing;

/// Makes the byte streams that connections run over: TCP unless you give another.
///
/// Everything above the stream stays what it is: TLS where the URL says `wss`, the opening
/// handshake, the session. So a dialler is the place for a Unix socket, a tunnel, or the in-memory
/// network of a test.
///
/// A dialler is shared by connections on several threads, hence `Send + Sync`; the stream that it
/// makes stays on one.
///
/// ```
/// use wsvisor::{BoxedStream, DialError, Dialler, Dialling, Target};
///
/// /// Whatever the URL's host, the server listens on this Unix socket.
/// struct UnixSocket(std::path::PathBuf);
///
/// impl Dialler for UnixSocket {
///     fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
///         Box::pin(async move {
///             let stream = tokio::net::UnixStream::connect(&self.0).await;
///             let stream = stream.map_err(|source| target.failed(source))?;
///             Ok(Box::new(stream) as BoxedStream)
///         })
///     }
/// }
/// ```
pub trait Dialler: Send + Sync + 'static {
    /// Opens a stream to `target`. It is dropped when it takes longer than
    /// [`Timeouts::connect`](crate::Timeouts::connect), or when the attempt is cancelled.
    ///
    /// The URL was found allowed. A dialler that connects to addresses must let
    /// [`Target::connect_with`] or [`Target::addresses`] resolve the host, and connect to no others: a
    /// name that is allowed may lead where nobody may go.
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a>;
}

/// A dial under way.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<BoxedStream, DialError>> + 'a>>;

/// A byte stream to a server.
pub type BoxedStream = Box<dyn ByteStream>;

/// What a session reads and writes. Every type with the three traits is one.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteStream for T {}

/// Where a stream is to lead.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    allowed: &'a Allowed,
    standing: &'a Standing,
    settings: &'a Settings,
    deadline: Instant,
}

impl<'a> Target<'a> {
    /// It is to be reached within the settings' time, counted from now.
    pub(super) fn new(
        allowed: &'a Allowed,
        standing: &'a Standing,
        settings: &'a Settings,
    ) -> Self {
        let deadline = Instant::now() + settings.timeouts.connect;
        Self { allowed, standing, settings, deadline }
    }

    pub(super) const fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// When the stream has to be there.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The allowed URL.
    #[must_use]
    pub fn url(&self) -> &'a CanonicalUrl {
        self.allowed.url()
    }

    /// Whether the access policy lets the URL's host lead to this address.
    ///
    /// # Errors
    /// When it does not, with the reason.
    pub fn check_address(&self, address: IpAddr) -> Result<(), AddressBlocked> {
        self.standing.policy().check_address(self.allowed, address)
    }

    /// There is a stream to this address.
    pub(super) fn reached(&self, address: IpAddr) {
        self.standing.reached(address);
    }

    /// The error for a stream that could not be opened.
    #[must_use]
    pub fn failed(&self, source: io::Error) -> DialError {
        DialError::stream(self.url().origin().to_owned(), Arc::new(source))
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("url", self.url()).finish_non_exhaustive()
    }
}

/// A shared dialler, as settings hold it.
#[derive(Clone)]
pub(crate) struct SharedDialler(pub(super) Arc<dyn Dialler>);

impl SharedDialler {
    pub(crate) fn new(dialler: impl Dialler) -> Self {
        Self(Arc::new(dialler))
    }
}

impl fmt::Debug for SharedDialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialler(..)")
    }
}
