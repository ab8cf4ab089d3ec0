use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::Result;

use crate::message::Shape;

/// Bytes that are handed to the socket with one call, about.
const WRITE_SIZE: usize = 64 * 1024;
/// A close frame of code 1000.
const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xE8];

pub(super) fn serve(shape: Shape, messages: u64) -> Result<()> {
    let clients = Arc::new(Mutex::new(Clients::Wait(Vec::new())));
    let arrivals = Arc::clone(&clients);
    let arrive = move |stream| {
        match &mut *arrivals.lock().unwrap_or_else(PoisonError::into_inner) {
            Clients::Wait(waiting) => waiting.push(stream),
            // It knew of the end of its handshake before we did.
            Clients::AreFlooded => start(stream, shape, messages),
        }
        Ok(())
    };
    let speak = move || {
        let clients = &mut *clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Clients::Wait(waiting) = std::mem::replace(clients, Clients::AreFlooded) {
            for stream in waiting {
                start(stream, shape, messages);
            }
        }
        Ok(())
    };
    super::run(arrive, speak)
}

enum Clients {
    Wait(Vec<TcpStream>),
    AreFlooded,
}

fn start(stream: TcpStream, shape: Shape, messages: u64) {
    thread::spawn(move || {
        if let Err(error) = flood(stream, shape, messages) {
            eprintln!("server: {error:#}");
        }
    });
}

fn flood(mut stream: TcpStream, shape: Shape, messages: u64) -> Result<()> {
    let frame = shape.frame();
    let frames_per_write = (WRITE_SIZE / frame.len()).max(1);
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
