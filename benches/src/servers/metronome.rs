use std::time::Duration;

use anyhow::Result;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    task::LocalSet,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_websockets::{Message, ServerBuilder};

/// Sends each client the numbers 0, 1, 2 … as texts, one every `period`, and answers its pings.
pub(super) fn serve(period: Duration) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        super::announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(async move {
                if let Err(error) = tick(stream, period).await {
                    eprintln!("server: {error:#}");
                }
            });
        }
    })
}

async fn tick(stream: TcpStream, period: Duration) -> Result<()> {
    stream.set_nodelay(true)?;
    let (_, mut socket) = ServerBuilder::new().accept(stream).await?;
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0_u64;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                socket.send(Message::text(number.to_string())).await?;
                number += 1;
            }
            received = socket.next() => match received {
                Some(Ok(_)) => {}
                // The client has ended.
                Some(Err(_)) | None => return Ok(()),
            }
        }
    }
}
