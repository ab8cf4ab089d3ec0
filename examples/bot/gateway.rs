//! A gateway that behaves badly, each time in another way.

#![allow(clippy::indexing_slicing, reason = "what a JSON value lacks is null")]

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use serde_json::{Value, json};
use wsvisor::testing::{Network, Peer, Server, frame};

pub(crate) const URL: &str = "ws://gateway.test";

pub(crate) struct Gateway {
    read: Messages,
}

/// What it has read, each with the number of its session.
type Messages = Rc<RefCell<Vec<(u32, Value)>>>;

impl Gateway {
    pub(crate) fn open(network: &Network) -> Self {
        let read = Messages::default();
        actix_rt::spawn(serve(network.listen(URL), Rc::clone(&read)));
        Self { read }
    }

    pub(crate) fn read(&self) -> Vec<(u32, Value)> {
        self.read.borrow().clone()
    }
}

/// What it does to each client: the fourth and all later ones are served well.
async fn serve(server: Server, read: Messages) {
    for session in 1.. {
        let mut peer = server.accept().await;
        let ended = match session {
            3 => refuse(&mut peer).await,
            _ => talk(&mut peer, session, &read).await,
        };
        // A client may go at any time.
        drop(ended);
    }
}

async fn refuse(peer: &mut Peer) -> io::Result<()> {
    peer.try_request().await?;
    peer.try_write("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n").await
}

async fn talk(peer: &mut Peer, session: u32, read: &Messages) -> io::Result<()> {
    let request = peer.try_request().await?;
    peer.try_write(request.acceptance("")).await?;
    let (mut beats, mut orders, mut held) = (0, 0, None);
    loop {
        let told = peer.try_read().await?;
        match told.opcode {
            1 => {}
            8 => return peer.try_write(frame(0x88, &told.payload)).await,
            9 => {
                peer.try_write(frame(0x8A, &told.payload)).await?;
                continue;
            }
            _ => continue,
        }
        let message: Value = serde_json::from_slice(&told.payload)?;
        read.borrow_mut().push((session, message.clone()));
        let mut answers = Vec::new();
        match (message["op"].as_str(), message["method"].as_str()) {
            (Some("login"), _) => {
                peer.pause(Duration::from_secs(1)).await;
                answers.push(json!({"op": "ready"}));
            }
            (Some("beat"), _) => {
                beats += 1;
                // The first session is a zombie: it goes on, and does not hear any more.
                if session > 1 || beats == 1 {
                    answers.push(json!({"op": "ack"}));
                }
            }
            (Some("order"), _) => {
                orders += 1;
                if session == 2 && orders == 3 {
                    return Ok(());
                }
            }
            // The first call is answered after the second, another never.
            (_, Some("first")) => held = Some(message["id"].clone()),
            (_, Some("second")) => {
                for id in [Some(message["id"].clone()), held.take()].into_iter().flatten() {
                    answers.push(json!({"jsonrpc": "2.0", "id": id, "result": id}));
                }
            }
            _ => {}
        }
        for answer in answers {
            peer.try_write(frame(0x81, answer.to_string())).await?;
        }
    }
}
