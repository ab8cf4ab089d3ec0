//! A way to send beside the mailbox.

mod inlet;
mod ledger;
mod spare;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix::Message;
use serde::Serialize;

use self::ledger::Place;
pub(crate) use self::{
    inlet::{Fetched, Inlet},
    ledger::Account,
    spare::keep as keep_memory,
};
use crate::{
    error::{Delivery, Refusal, SendError},
    protocol::Payload,
};

/// Asks a connection for a [`Sender`] to it. All that it gives lead to the same place.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Sender")]
pub struct GetSender;

/// Sends messages in the session that is up, without a way through the connection's mailbox.
///
/// It does what the address does with a [`SendString`](crate::SendString) on the default terms, for a
/// fraction of the cost: the text is masked where it is handed in, and the connection's task finds it ready
/// for the socket, all that was sent meanwhile in one piece. Who sends a message now and then needs no
/// sender; who answers thousands a second does. Messages with terms, such as a deadline, go by the address.
///
/// - **Any thread** may use it, and clones of it. It outlives sessions: what is sent while none is up is
///   [refused](Refusal::NotConnected).
/// - **Order**: what is sent by a sender and its clones is written in that order. A command that lies
///   in the mailbox comes later than what a sender has sent until it is taken out: so what was sent before it
///   goes before it.
/// - **Bounds**: the connection's [`OutboxLimits`](crate::OutboxLimits) hold for what waits, whichever way
///   it came. Where both ways are used in the same moment, the sender's messages may wait in front of a full
///   outbox, by as many again.
/// - **Life**: it does not keep the connection alive, as the address does; and when the connection's arbiter
///   stops, that goes on elsewhere with another address, which has another sender.
///
/// ```
/// # use wsvisor::{testing::{Network, Recorder, Script, connected, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().expect_text("bid 100").expect_text(r#"{"ask":101}"#).expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// # let mut recorder = Recorder::start();
/// # let spec = ConnectionSpec::string("bot", server.url()).subscribe(recorder.lifecycle());
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// # recorder.expect(connected()).await;
/// let sender = bot.send(GetSender).await?;
/// let bid = sender.send_text("bid 100");
/// let ask = sender.send_json(&serde_json::json!({"ask": 101}))?;
/// assert_eq!(bid.await?, Delivery::Written);
/// assert_eq!(ask.await?, Delivery::Written);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// // Nobody is there any more.
/// let late = sender.send_text("bid 99");
/// assert_eq!(late.refusal(), Some(Refusal::NotConnected));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Sender(Arc<Inlet>);

impl Sender {
    pub(crate) const fn to(inlet: Arc<Inlet>) -> Self {
        Self(inlet)
    }

    /// Sends a text message. A JSON connection refuses it.
    pub fn send_text(&self, text: impl AsRef<str>) -> Sending {
        Sending(self.0.send(Payload::Text(text.as_ref()), false))
    }

    /// Sends a binary message. A JSON connection refuses it.
    pub fn send_binary(&self, bytes: impl AsRef<[u8]>) -> Sending {
        Sending(self.0.send(Payload::Binary(bytes.as_ref()), false))
    }

    /// Sends a value as JSON, in a text message.
    ///
    /// # Errors
    /// When the value cannot be JSON: a map with keys that are not strings, or a failing `Serialize`.
    /// Nothing is sent then.
    pub fn send_json(&self, value: &impl Serialize) -> serde_json::Result<Sending> {
        let text = serde_json::to_string(value)?;
        Ok(Sending(self.0.send(Payload::Text(&text), true)))
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// What becomes of a message that was sent by a [`Sender`]: [`Delivery`], or [`SendError`].
///
/// The message is on its way already. Who does not care what becomes of it drops this.
#[derive(Debug)]
#[must_use = "it tells what becomes of the message; drop it where that does not matter"]
pub struct Sending(Result<Place, Refusal>);

impl Sending {
    /// Why the message was not accepted, which is known at once. Whoever sends many does not wait for each,
    /// and slows down here.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.0.as_ref().err().copied()
    }
}

impl Future for Sending {
    type Output = Result<Delivery, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(place) => place.poll(cx),
            Err(refusal) => Poll::Ready(Err((*refusal).into())),
        }
    }
}
