use std::{
    io::{self, Write as _},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    task::{LocalSet, spawn_local},
    time::sleep,
};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::record::{Record, Seen};

/// How a server treats those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Manner {
    Prompt,
    /// So many handshakes at once, each of which takes so long.
    Slow {
        at_once: usize,
        each: Duration,
    },
    /// 503 with `Retry-After`, until it has been up for so long.
    Busy {
        until: Duration,
        retry_after: u32,
    },
}

/// Listens on loopback, at this port or at any, prints the URL, and then a record of all that it
/// sees. It ends by being killed.
pub(super) fn serve(port: u16, manner: Manner) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, listen(port, manner))
}

async fn listen(port: u16, manner: Manner) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).context("cannot bind")?;
    // As many as the system allows: what is measured is who dials, not who is dropped.
    let listener = socket.listen(65_535)?;
    super::announce(listener.local_addr()?)?;

    let house = Rc::new(House { manner, began: Instant::now(), doors: Arc::new(doors(manner)) });
    loop {
        let (stream, _) = listener.accept().await?;
        write(Seen::Dial)?;
        let house = Rc::clone(&house);
        spawn_local(async move {
            // Whatever a client does, the next one is served.
            let _ = house.receive(stream).await;
        });
    }
}

struct House {
    manner: Manner,
    began: Instant,
    doors: Arc<Semaphore>,
}

fn doors(manner: Manner) -> Semaphore {
    match manner {
        Manner::Slow { at_once, .. } => Semaphore::new(at_once),
        _ => Semaphore::new(Semaphore::MAX_PERMITS),
    }
}

impl House {
    async fn receive(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let door = Arc::clone(&self.doors).acquire_owned().await?;
        match self.manner {
            Manner::Prompt => {}
            Manner::Slow { each, .. } => sleep(each).await,
            Manner::Busy { until, retry_after } => {
                if self.began.elapsed() < until {
                    return refuse(&mut stream, retry_after).await;
                }
            }
        }
        // Small buffers: there are ten thousand of them.
        let config = WebSocketConfig::default().read_buffer_size(2_048).write_buffer_size(0);
        let Ok(mut socket) = accept_async_with_config(stream, Some(config)).await else {
            return write(Seen::Refusal);
        };
        write(Seen::Upgrade)?;
        drop(door);
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                write(Seen::Message(text.parse()?))?;
            }
        }
        Ok(())
    }
}

async fn refuse(stream: &mut TcpStream, retry_after: u32) -> Result<()> {
    let (mut request, mut part) = (Vec::new(), [0; 1_024]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part).await? {
            0 => break,
            read => request.extend_from_slice(&part[..read]),
        }
    }
    write(Seen::Refusal)?;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {retry_after}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // The client ends the connection, so that no answer is lost.
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut part)).await;
    Ok(())
}

fn write(seen: Seen) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(&Record::now(seen).to_bytes())?;
    out.flush()?;
    Ok(())
}
