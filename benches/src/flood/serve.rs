use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::Result;

use crate::server::{self, text_frame};

/// Bytes that are handed to the socket with one call.
const WRITE_SIZE: usize = 64 * 1024;
/// A close frame of code 1000.
const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xE8];

/// Sends `messages` messages to each client, as fast as the socket takes them, and closes.
pub(crate) fn serve(messages: u64) -> Result<()> {
    server::run(move |stream| flood(stream, messages), || Ok(()))
}

fn flood(mut stream: TcpStream, messages: u64) -> Result<()> {
    let frame = text_frame();
    let frames_per_write = WRITE_SIZE / frame.len();
    let frames = frame.repeat(frames_per_write);
    let mut left = usize::try_from(messages)?;
    while left > 0 {
        let next = left.min(frames_per_write);
        stream.write_all(&frames[..next * frame.len()])?;
        left -= next;
    }
    stream.write_all(&CLOSE)?;
    // RFC 6455 §7.1.1: the server ends the connection, after the client's answer.
    let _ = stream.read(&mut [0; 64]);
    Ok(())
}
