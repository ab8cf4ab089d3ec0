use anyhow::{Context as _, Result};
use fastwebsockets::{FragmentCollector, OpCode, handshake};
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

use super::Peer;

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

    async fn read(mut socket: Self::Socket, mut show: impl FnMut(&[u8])) -> Result<()> {
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                OpCode::Text => show(&frame.payload),
                OpCode::Close => return Ok(()),
                _ => {}
            }
        }
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
