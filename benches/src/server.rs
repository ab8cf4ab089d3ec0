//! What both servers do: listen on loopback, upgrade, and end with the process that started them.

use std::{
    io::{self, BufRead as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use anyhow::{Result, anyhow};
use tokio_tungstenite::tungstenite;

/// The text of every message: 64 bytes.
pub(crate) const TEXT: &[u8; 64] =
    br#"{"ch":"trades","pair":"BTC-USD","px":67123.45,"sz":0.125,"n":42}"#;

/// The message's whole frame: FIN and opcode 1, no mask, the length, the payload.
pub(crate) fn text_frame() -> Vec<u8> {
    [&[0x81, 64], TEXT.as_slice()].concat()
}

/// Listens, prints the URL, and serves each connection after its upgrade. Calls `speak` for each
/// line of stdin, and returns when stdin ends.
pub(crate) fn run(
    mut serve: impl FnMut(TcpStream) -> Result<()> + Send + 'static,
    mut speak: impl FnMut() -> Result<()>,
) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ws://{}/", listener.local_addr()?);
    io::stdout().flush()?;
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

fn upgrade(stream: TcpStream) -> Result<TcpStream> {
    stream.set_nodelay(true)?;
    let socket = tungstenite::accept(stream).map_err(|error| anyhow!("{error}"))?;

    Ok(socket.into_inner())
}
