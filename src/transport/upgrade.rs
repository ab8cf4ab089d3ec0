//! The HTTP/1.1 upgrade exchange, performed by awc over a stream that is lent to it.
//!
//! awc's `ws()` throws away the head of an answer that is not 101, takes a 103 for the final
//! answer and judges too little of a 101. So the exchange goes through awc's connector, one layer
//! below: it writes the request and parses answers, and the caller judges their heads.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt, io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_codec::Framed;
use actix_http::{RequestHead, ResponseHead, error::ParseError, h1::ClientCodec};
use actix_rt::net::{ActixStream, Ready};
use actix_service::{Service, boxed, fn_service};
use actix_tls::connect::{ConnectError as TcpConnectError, ConnectInfo, Connection};
use awc::{
    ClientBuilder, ConnectRequest, ConnectResponse, Connector,
    error::{ConnectError, SendRequestError},
    http::{
        Uri,
        uri::{Authority, Scheme},
    },
    middleware::Transform,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dialler::BoxedStream;
use crate::protocol::HandshakeError;

/// The answer's head, the stream, and the bytes that came behind the head.
pub(super) struct Answer {
    pub(super) head: ResponseHead,
    pub(super) io: BoxedStream,
    pub(super) rest: Bytes,
}

/// Why there is no answer.
pub(super) enum UpgradeError {
    Io(io::Error),
    Handshake(HandshakeError),
}

/// Bytes of answer heads that are read before giving up. Servers send a few hundred.
const MAX_HEAD: usize = 16 * 1024;
/// Interim answers (1xx) that are read past.
const MAX_INFORMATIONAL: usize = 8;

/// Sends `head` over `io` and returns the first answer that is final.
///
/// Not an `async fn`: that would hold the head, which is large, while it waits for the answer.
pub(super) fn exchange(
    io: BoxedStream,
    mut head: RequestHead,
) -> impl Future<Output = Result<Answer, UpgradeError>> {
    let awc = THIS_THREAD.with(Rc::clone);
    let loan = Loan::new(io);
    let ticket = Ticket::hand_in(&awc, loan.clone());
    head.uri = ticket.address(head.uri);
    let answered = awc.service.call(ConnectRequest::Tunnel(head, None));
    async move {
        let ConnectResponse::Tunnel(mut head, mut tunnel) = answered.await? else {
            return Err(UpgradeError::Io(io::ErrorKind::Unsupported.into()));
        };
        drop(ticket);
        if is_interim(&head) {
            // Boxed because it is large and rare.
            (head, tunnel) = Box::pin(final_answer(tunnel)).await?;
        }
        let io = loan.reclaim();
        let io = io.ok_or_else(|| UpgradeError::Io(io::ErrorKind::NotConnected.into()))?;
        Ok(Answer { head, io, rest: tunnel.into_parts().read_buf.freeze() })
    }
}

thread_local! {
    static THIS_THREAD: Rc<Upgrader> = Rc::new(Upgrader::new());
}

type TunnelService = boxed::RcService<ConnectRequest, ConnectResponse, SendRequestError>;
/// Where streams are left for awc to fetch.
type Counter = Rc<RefCell<BTreeMap<u64, Loan>>>;
type Tunnel = Framed<awc::BoxedSocket, ClientCodec>;

/// awc's connector of this thread, which fetches streams from the counter where they are left.
struct Upgrader {
    service: TunnelService,
    counter: Counter,
    next_ticket: Cell<u64>,
}

impl Upgrader {
    #[expect(clippy::expect_used, reason = "building a client runs its middleware")]
    fn new() -> Self {
        let counter = Counter::default();
        let fetch = {
            let counter = Rc::clone(&counter);
            fn_service(move |info: ConnectInfo<Uri>| {
                let uri = info.request().clone();
                let number = uri.host().and_then(|number| number.parse().ok());
                let loan = number.and_then(|number: u64| counter.borrow_mut().remove(&number));
                async move {
                    loan.map(|loan| Connection::new(uri, loan)).ok_or(TcpConnectError::Unresolved)
                }
            })
        };
        let captured = Rc::new(RefCell::new(None));
        let client = ClientBuilder::new()
            // awc's own pool allows 100 connections; we have none of its limits to keep.
            .connector(Connector::new().connector(fetch).limit(0))
            .disable_redirects()
            .wrap(Capture(Rc::clone(&captured)))
            .finish();
        drop(client);
        let service = captured.take().expect("building the client runs its middleware");
        Self { service, counter, next_ticket: Cell::new(0) }
    }
}

/// The first answer that is final, behind one that was not.
async fn final_answer(mut tunnel: Tunnel) -> Result<(ResponseHead, Tunnel), UpgradeError> {
    for _ in 0..MAX_INFORMATIONAL {
        let head;
        (head, tunnel) = next_head(tunnel).await?;
        if !is_interim(&head) {
            return Ok((head, tunnel));
        }
    }
    let limit = MAX_INFORMATIONAL;
    Err(UpgradeError::Handshake(HandshakeError::TooManyInformational { limit }))
}

fn is_interim(head: &ResponseHead) -> bool {
    head.status.is_informational() && head.status.as_u16() != 101
}

async fn next_head(tunnel: Tunnel) -> Result<(ResponseHead, Tunnel), UpgradeError> {
    // The codec that read an interim answer would take what follows for its body.
    let mut tunnel = tunnel.into_map_codec(|_| ClientCodec::default());
    match tunnel.next().await {
        Some(Ok(head)) => Ok((head, tunnel)),
        Some(Err(error)) => Err(SendRequestError::Response(error).into()),
        None => Err(UpgradeError::Io(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// One stream left at the counter, under an address that no other exchange has: awc's pool goes
/// by the address and can never give one exchange's stream to another.
struct Ticket {
    counter: Counter,
    number: u64,
}

impl Ticket {
    fn hand_in(upgrader: &Upgrader, loan: Loan) -> Self {
        let number = upgrader.next_ticket.get();
        upgrader.next_ticket.set(number.wrapping_add(1));
        upgrader.counter.borrow_mut().insert(number, loan);
        Self { counter: Rc::clone(&upgrader.counter), number }
    }

    /// awc writes the path of this address to the server, and none of the rest: the `Host` header
    /// is given.
    fn address(&self, target: Uri) -> Uri {
        let mut address = target.into_parts();
        address.scheme = Some(Scheme::HTTP);
        address.authority = Authority::try_from(self.number.to_string()).ok();
        Uri::from_parts(address).unwrap_or_default()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.counter.borrow_mut().remove(&self.number);
    }
}

/// The middleware that awc's builder runs, which keeps the connector that it is given.
struct Capture(Rc<RefCell<Option<TunnelService>>>);

impl<S> Transform<S, ConnectRequest> for Capture
where
    S: Service<ConnectRequest, Response = ConnectResponse, Error = SendRequestError> + 'static,
{
    type Transform = TunnelService;

    fn new_transform(self, service: S) -> TunnelService {
        let service = boxed::rc_service(service);
        *self.0.borrow_mut() = Some(service.clone());
        service
    }
}

/// A stream that can be taken back from whoever it was lent to.
#[derive(Clone)]
struct Loan(Rc<RefCell<Lent>>);

struct Lent {
    io: Option<BoxedStream>,
    read: usize,
}

impl Loan {
    fn new(io: BoxedStream) -> Self {
        Self(Rc::new(RefCell::new(Lent { io: Some(io), read: 0 })))
    }

    fn reclaim(&self) -> Option<BoxedStream> {
        self.0.borrow_mut().io.take()
    }

    fn with<T>(
        &self,
        use_it: impl FnOnce(Pin<&mut BoxedStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.0.borrow_mut().io {
            Some(io) => use_it(Pin::new(io)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// The marker inside an `io::Error` by which a head that is too large passes through awc.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_HEAD} bytes came before the end of the answer's head")]
struct HeadTooLarge;

impl AsyncRead for Loan {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The head is parsed again with each read: without a limit, a head that dribbles in costs
        // time in the square of its length.
        if self.0.borrow().read > MAX_HEAD {
            return Poll::Ready(Err(io::Error::other(HeadTooLarge)));
        }
        let before = buf.filled().len();
        ready!(self.with(|io| io.poll_read(cx, buf)))?;
        self.0.borrow_mut().read += buf.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Loan {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_shutdown(cx))
    }
}

/// awc asks for these two and never calls them over HTTP/1.1.
impl ActixStream for Loan {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::ALL))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::ALL))
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loan")
    }
}

impl From<SendRequestError> for UpgradeError {
    fn from(error: SendRequestError) -> Self {
        match error {
            SendRequestError::Response(ParseError::TooLarge) => too_large(),
            SendRequestError::Response(ParseError::Io(error))
            | SendRequestError::Send(error)
            | SendRequestError::Connect(ConnectError::Io(error)) => error.into(),
            SendRequestError::Response(error) => {
                Self::Handshake(HandshakeError::NotHttp(error.to_string()))
            }
            // awc's word for "the stream ended before the head was whole".
            SendRequestError::Connect(ConnectError::Disconnected) => {
                Self::Io(io::ErrorKind::UnexpectedEof.into())
            }
            other => Self::Io(io::Error::other(other.to_string())),
        }
    }
}

impl From<io::Error> for UpgradeError {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<HeadTooLarge>) {
            return too_large();
        }
        Self::Io(error)
    }
}

fn too_large() -> UpgradeError {
    UpgradeError::Handshake(HandshakeError::HeadTooLarge { limit: MAX_HEAD })
}
