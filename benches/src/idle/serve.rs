use std::{
    io::Write as _,
    net::TcpStream,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;

use crate::{
    process::raise_file_limit,
    server::{self, text_frame},
};

/// Keeps each client connected in silence, and sends one message to each when it is told to.
pub(crate) fn serve() -> Result<()> {
    raise_file_limit()?;
    let accepted = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
    let clients = Arc::clone(&accepted);
    let keep = move |stream| {
        accepted.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        Ok(())
    };
    let speak = move || {
        for client in &mut *clients.lock().unwrap_or_else(PoisonError::into_inner) {
            client.write_all(&text_frame())?;
        }
        Ok(())
    };
    server::run(keep, speak)
}
