use std::{
    io::Write as _,
    net::TcpStream,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;

use crate::message::Shape;

pub(super) fn serve(shape: Shape) -> Result<()> {
    let accepted = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
    let clients = Arc::clone(&accepted);
    let keep = move |stream| {
        accepted.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        Ok(())
    };
    let frame = shape.frame();
    let speak = move || {
        for client in &mut *clients.lock().unwrap_or_else(PoisonError::into_inner) {
            client.write_all(&frame)?;
        }
        Ok(())
    };
    super::run(keep, speak)
}
