//! The servers, each in a process of its own, so that its time and memory are not its client's.

mod echo;
mod flood;
mod keep;
mod metronome;
mod mortal;
mod record;
mod sink;

use std::{
    io::{self, BufRead as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite;

pub(crate) use self::{
    mortal::Manner,
    record::{LENGTH, Record, Seen, wall_clock},
};
use crate::{limits::raise_file_limit, message::Shape};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Service {
    /// When told to, sends so many messages to each client, as fast as it takes them, and closes.
    Flood(Shape, u64),
    /// Keeps each client in silence, and sends one message to each when told to.
    Keep(Shape),
    /// Sends back what it receives.
    Echo,
    /// Sends each client a number every so many milliseconds, and answers its pings.
    Metronome(u64),
    /// At this port or at any, takes its clients as it is told to, and writes down what it sees, so
    /// that it may be killed.
    Mortal(u16, Manner),
    /// Reads whatever comes, and throws it away.
    Sink,
}

pub(crate) fn serve(service: Service) -> Result<()> {
    raise_file_limit()?;
    match service {
        Service::Flood(shape, messages) => flood::serve(shape, messages),
        Service::Keep(shape) => keep::serve(shape),
        Service::Echo => echo::serve(),
        Service::Metronome(milliseconds) => metronome::serve(Duration::from_millis(milliseconds)),
        Service::Mortal(port, manner) => mortal::serve(port, manner),
        Service::Sink => sink::serve(),
    }
}

/// Listens, prints the URL, and gives each connection to `serve` after its upgrade. Calls `speak`
/// for each line of stdin, and returns when stdin ends.
fn run(
    mut serve: impl FnMut(TcpStream) -> Result<()> + Send + 'static,
    mut speak: impl FnMut() -> Result<()>,
) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?)?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            let served = stream.map_err(Into::into).and_then(upgrade).and_then(&mut serve);
            if let Err(error) = served {
                eprintln!("server: {error:#}");
            }
        }
    });
    for line in io::stdin().lock().lines() {
        line?;
        speak()?;
    }
    Ok(())
}

fn announce(address: SocketAddr) -> Result<()> {
    println!("ws://{address}/");
    Ok(io::stdout().flush()?)
}

fn upgrade(stream: TcpStream) -> Result<TcpStream> {
    stream.set_nodelay(true)?;
    let socket = tungstenite::accept(stream).map_err(|error| anyhow!("{error}"))?;

    Ok(socket.into_inner())
}
