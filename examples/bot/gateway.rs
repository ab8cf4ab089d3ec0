//! A gateway that behaves badly, each time in another way.

#![allow(clippy::indexing_slicing, reason = "what a JSON value lacks is null")]

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use serde_json::{Value, json};
use wsvisor::testing::{Peer, Server, frame};

/// What the gateway has read, by session.
pub(crate) type Seen = Rc<RefCell<Vec<(u32, Value)>>>;

/// Session 1 acknowledges one heartbeat only, session 2 is dropped at its third order, later ones are good.
pub(crate) async fn serve(server: Server, seen: Seen) {
    for session in 1.. {
        let mut peer = server.accept().await;
        // The client may go at any time.
        let _ = talk(&mut peer, session, &seen).await;
    }
}

async fn talk(peer: &mut Peer, session: u32, seen: &Seen) -> io::Result<()> {
    let request = peer.try_request().await?;
    peer.try_write(request.acceptance("")).await?;
    let (mut beats, mut orders, mut held) = (0, 0, None);
    loop {
        let read = peer.try_read().await?;
        match read.opcode {
            1 => {}
            8 => return peer.try_write(frame(0x88, &read.payload)).await,
            9 => {
                peer.try_write(frame(0x8A, &read.payload)).await?;
                continue;
            }
            _ => continue,
        }
        let message: Value = serde_json::from_slice(&read.payload)?;
        seen.borrow_mut().push((session, message.clone()));
        let mut answers = Vec::new();
        match (message["op"].as_str(), message["method"].as_str()) {
            (Some("login"), _) => {
                peer.pause(Duration::from_secs(1)).await;
                answers.push(json!({"op": "ready"}));
            }
            (Some("beat"), _) => {
                beats += 1;
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
