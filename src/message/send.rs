use std::{
    fmt,
    time::{Duration, Instant},
};

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

use super::{Request, SendBatch};
use crate::{
    error::{Delivery, SendError},
    lifecycle::{Epoch, Expiry, Scope, Terms},
};

/// Sends a value as JSON, in a text message.
///
/// The answer says what became of it: [`Delivery`], or [`SendError`]. By default it is written in
/// the session that is up, as soon as the socket takes it, and refused where there is none. Other
/// terms are asked for one by one, and each costs one allocation the first time:
///
/// ```
/// # use std::time::Duration;
/// # use serde_json::json;
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().expect_text(r#"{"op":"quote","price":101.7}"#).expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// # let spec = ConnectionSpec::json("bot", server.url());
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// let quote = |price| {
///     SendJson::new(&json!({"op": "quote", "price": price})).map(|quote| {
///         quote
///             .durable()
///             .expires_in(Duration::from_secs(2))
///             .replacing("quote")
///             .after_ready()
///             .confirmed()
///     })
/// };
/// // The newer takes the older one's place, if that is not written yet.
/// let (older, newer) = (bot.send(quote(101.5)?), bot.send(quote(101.7)?));
/// assert!(matches!(older.await?, Err(SendError::NotWritten(Unwritten::Replaced))));
/// assert_eq!(newer.await??, Delivery::Confirmed);
/// # drop(bot);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Message)]
#[rtype(result = "Result<Delivery, SendError>")]
pub struct SendJson {
    pub(crate) text: ByteString,
    pub(crate) terms: Option<Box<Terms>>,
}

impl SendJson {
    /// Serialises `value`.
    ///
    /// # Errors
    /// When the value cannot be JSON: a map with keys that are not strings, or a failing
    /// `Serialize`.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(|text| Self { text: text.into(), terms: None })
    }
}

/// Sends a text message. A JSON connection refuses it. It takes the terms that
/// [`SendJson`] takes.
#[derive(Clone, Message)]
#[rtype(result = "Result<Delivery, SendError>")]
pub struct SendString {
    pub(crate) text: ByteString,
    pub(crate) terms: Option<Box<Terms>>,
}

impl SendString {
    /// A message of this text.
    pub fn new(text: impl Into<ByteString>) -> Self {
        Self { text: text.into(), terms: None }
    }
}

/// Sends a binary message. A JSON connection refuses it. It takes the terms that
/// [`SendJson`] takes.
#[derive(Clone, Message)]
#[rtype(result = "Result<Delivery, SendError>")]
pub struct SendBinary {
    pub(crate) bytes: Bytes,
    pub(crate) terms: Option<Box<Terms>>,
}

impl SendBinary {
    /// A message of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), terms: None }
    }
}

macro_rules! takes_terms {
    ($($message:ident),*) => {$(
        impl $message {
            /// In the session of this epoch only, which may still be being made. Refused where
            /// another is up or being made; not written where its session ends first.
            #[must_use]
            pub fn in_session(mut self, epoch: Epoch) -> Self {
                self.terms().scope = Scope::Session(epoch);
                self
            }

            /// In the session that is ready, or in the next one that becomes so; not written where
            /// that ends first. Refused where the connection is at rest, since nothing would come.
            #[must_use]
            pub fn until_ready(mut self) -> Self {
                self.terms().scope = Scope::UntilReady;
                self
            }

            /// In whichever session can: it waits over as many reconnects as it takes, until it is
            /// written, expires, or the connection comes to rest. Once the socket has a part of it
            /// it is never written again. Refused where the connection is at rest.
            ///
            /// It lives in the memory of its connection's thread: where that arbiter stops, it is told
            /// as not written.
            #[must_use]
            pub fn durable(mut self) -> Self {
                self.terms().scope = Scope::Durable;
                self
            }

            /// Not written later than so long after the connection has accepted it. Its sender is
            /// told at that time.
            #[must_use]
            pub fn expires_in(mut self, wait: Duration) -> Self {
                self.terms().expiry = Expiry::In(wait);
                self
            }

            /// Not written at this time or later. Its sender is told at that time.
            #[must_use]
            pub fn expires_at(mut self, deadline: Instant) -> Self {
                self.terms().expiry = Expiry::At(deadline);
                self
            }

            /// Not before its session is ready. Until then, what may go at once passes it.
            #[must_use]
            pub fn after_ready(mut self) -> Self {
                self.terms().after_ready = true;
                self
            }

            /// Is [`Confirmed`](Delivery::Confirmed) once the pong has come to a ping that is
            /// written after it: then the peer has read it (RFC 6455 §5.5.2 has pings answered in
            /// their place). What is written during one round trip shares the next ping.
            #[must_use]
            pub fn confirmed(mut self) -> Self {
                self.terms().confirmed = true;
                self
            }

            fn terms(&mut self) -> &mut Terms {
                self.terms.get_or_insert_default()
            }
        }
    )*};
}

/// What is for one message, and not for a batch.
macro_rules! is_one_message {
    ($($message:ident($payload:ident)),*) => {$(
        impl $message {
            /// Replaces an unwritten message of this connection with the same key. It takes its
            /// place in the order where it stands, behind what was sent since.
            #[must_use]
            pub fn replacing(mut self, key: impl AsRef<str>) -> Self {
                self.terms().key = Some(key.as_ref().into());
                self
            }
        }

        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // A payload may hold a secret.
                write!(f, concat!(stringify!($message), "({} bytes)"), self.$payload.len())
            }
        }
    )*};
}

takes_terms!(SendJson, SendString, SendBinary, SendBatch, Request);
is_one_message!(SendJson(text), SendString(text), SendBinary(bytes), Request(payload));
