use std::{cell::RefCell, rc::Rc};

use actix_rt::System;
use anyhow::Result;

use super::tally::{Sample, Tally};
use crate::{
    client::{Client, Subscribed},
    peers::{self, Peer},
    process::Server,
    subject::Subject,
};

/// Floods one client, all of whose work runs on this thread.
pub(crate) fn measure(client: Client, messages: u64) -> Result<Sample> {
    let server = Server::start(&["serve-flood", "--messages", &messages.to_string()])?;
    let (url, tally) = (server.url(), Tally::expecting(messages));
    System::new().block_on(async {
        match client {
            Client::Wsvisor(subscribed) => flood_wsvisor(subscribed, url, tally).await,
            Client::FastWebsockets => flood::<peers::FastWebsockets>(url, tally).await,
            Client::TokioWebsockets => flood::<peers::TokioWebsockets>(url, tally).await,
            Client::TokioTungstenite => flood::<peers::TokioTungstenite>(url, tally).await,
            Client::Awc => flood::<peers::Awc>(url, tally).await,
        }
    })
}

async fn flood<P: Peer>(url: &str, mut tally: Tally) -> Result<Sample> {
    let socket = P::connect(url).await?;
    P::read(socket, |text| tally.count(text)).await?;
    tally.finish()
}

async fn flood_wsvisor(subscribed: Subscribed, url: &str, tally: Tally) -> Result<Sample> {
    let tally = Rc::new(RefCell::new(tally));
    let counted = Rc::clone(&tally);
    let mut subject = Subject::start(subscribed, move |text| counted.borrow_mut().count(text))?;
    subject.connect("flood".to_owned(), url).await?;
    subject.disconnected().await?;
    tally.borrow().finish()
}
