use anyhow::{Context as _, Result};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, handshake};
use http_body_util::Empty;
use hyper::{
    Request, Uri,
    body::Bytes,
    header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    rt::Executor,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Peer, Show};

pub(crate) struct FastWebsockets;

impl Peer for FastWebsockets {
    /// The form that reads whole messages; it answers pings and closes by default.
    type Socket = FragmentCollector<TokioIo<Upgraded>>;

    async fn connect(url: &str) -> Result<Self::Socket> {
        let uri: Uri = url.parse()?;
        let authority = uri.authority().context("the URL has no authority")?.as_str();
        let tcp = TcpStream::connect(authority).await?;
        tcp.set_nodelay(true)?;
        let request = Request::get(uri.path())
            .header(HOST, authority)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header(SEC_WEBSOCKET_KEY, handshake::generate_key())
            .header(SEC_WEBSOCKET_VERSION, "13")
            .body(Empty::<Bytes>::new())?;
        let (socket, _) = handshake::client(&Spawn, request, tcp).await?;
        Ok(FragmentCollector::new(socket))
    }

    async fn next(socket: &mut Self::Socket, show: &mut impl Show) -> Result<bool> {
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                OpCode::Text | OpCode::Binary => {
                    show.bytes(&frame.payload);
                    return Ok(true);
                }
                OpCode::Close => return Ok(false),
                _ => {}
            }
        }
    }

    async fn feed(socket: &mut Self::Socket, text: &str) -> Result<()> {
        let payload = Payload::Owned(text.as_bytes().to_vec());
        Ok(socket.write_frame(Frame::text(payload)).await?)
    }

    /// `write_frame` has handed it over.
    async fn flush(_: &mut Self::Socket) -> Result<()> {
        Ok(())
    }
}

struct Spawn;

impl<F> Executor<F> for Spawn
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(task);
    }
}
