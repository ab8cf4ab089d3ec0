use std::{fmt, vec};

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

use super::{Outcomes, Outgoing};
use crate::{
    lifecycle::Terms,
    protocol::{OwnedPayload, Payload},
};

/// Sends many messages with one command, and one answer for all of them.
///
/// Each of them is a message of its own to the server, as if it had been sent alone, and has an
/// outcome of its own; but the command, its way through the mailbox and its answer are paid for once,
/// which is most of what a small message costs. They are written in their order, and none without those
/// before it: from the first on that the connection refuses, because the outbox is full, all are refused.
///
/// The terms are for each message of the batch: [`SendJson`](crate::SendJson) shows them. A JSON connection
/// takes a batch of JSON only.
///
/// ```
/// # use wsvisor::{
/// #     Connect, Connection, SendBatch, SendError,
/// #     testing::{Network, Recorder, Script, connected, virtual_time},
/// # };
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([
/// #     Script::new().accept().expect_text(r#"{"subscribe":"BTC"}"#).expect_text(r#"{"subscribe":"ETH"}"#),
/// # ]);
/// # let mut recorder = Recorder::start();
/// # let connection = Connection::json("ticker")
/// #     .policy(wsvisor::AccessPolicy::from_rules(["allow ws://bots.example.com"]).unwrap())
/// #     .settings(wsvisor::Settings::default().dialler(network))
/// #     .subscribe(recorder.lifecycle())
/// #     .start()
/// #     .unwrap();
/// # connection.send(Connect::to(server.url())).await.unwrap().unwrap();
/// # recorder.expect(connected()).await;
/// let mut subscriptions = SendBatch::new();
/// for symbol in ["BTC", "ETH"] {
///     subscriptions.push_json(&serde_json::json!({"subscribe": symbol}))?;
/// }
/// let outcomes = connection.send(subscriptions).await.unwrap();
/// assert_eq!(outcomes.delivered(), 2);
/// for (number, outcome) in outcomes.iter().enumerate() {
///     if let Err(error @ SendError::NotWritten(_)) = outcome {
///         println!("message {number} may be sent again: {error}");
///     }
/// }
/// outcomes.into_result().unwrap();
/// # server.done().await;
/// # Ok::<(), serde_json::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default, Message)]
#[rtype(result = "Outcomes")]
pub struct SendBatch {
    /// All texts, one behind the other.
    texts: String,
    binaries: Vec<u8>,
    pieces: Vec<Piece>,
    has_other_than_json: bool,
    pub(crate) terms: Option<Box<Terms>>,
}

/// The next message, and how many bytes it has.
#[derive(Clone, Copy)]
enum Piece {
    Text(usize),
    Binary(usize),
}

impl SendBatch {
    /// A batch without messages. Sent so, it is answered at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text message, whose text is copied.
    pub fn push_text(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        self.texts.push_str(text);
        self.pieces.push(Piece::Text(text.len()));
        self.has_other_than_json = true;
    }

    /// Adds a binary message, whose bytes are copied.
    pub fn push_binary(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.binaries.extend_from_slice(bytes);
        self.pieces.push(Piece::Binary(bytes.len()));
        self.has_other_than_json = true;
    }

    /// Adds a value as JSON, in a text message.
    ///
    /// # Errors
    /// When the value cannot be JSON: a map with keys that are not strings, or a failing
    /// `Serialize`. The batch is as it was before then.
    pub fn push_json(&mut self, value: &impl Serialize) -> serde_json::Result<()> {
        let text = serde_json::to_string(value)?;
        self.texts.push_str(&text);
        self.pieces.push(Piece::Text(text.len()));
        Ok(())
    }

    /// How many messages it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The sum of the messages' lengths in bytes.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.texts.len() + self.binaries.len()
    }

    pub(crate) const fn is_json(&self) -> bool {
        !self.has_other_than_json
    }

    /// How many bytes each message has.
    pub(crate) fn lens(&self) -> impl Iterator<Item = usize> {
        self.pieces.iter().map(|piece| piece.len())
    }

    /// The first so many messages, to be looked at one after the other.
    pub(crate) fn into_pieces(mut self, count: usize) -> Pieces {
        self.pieces.truncate(count);
        let Self { texts, binaries, pieces, .. } = self;
        Pieces { texts, binaries, left: pieces.into_iter(), text_at: 0, binary_at: 0 }
    }

    /// The messages, over the memory of the batch.
    pub(crate) fn into_payloads(self) -> impl ExactSizeIterator<Item = OwnedPayload> {
        let (texts, mut binaries) = (ByteString::from(self.texts), Bytes::from(self.binaries));
        let mut at = 0;
        self.pieces.into_iter().map(move |piece| match piece {
            Piece::Text(len) => {
                let text = texts.get(at..at + len).unwrap_or_default();
                at += len;
                OwnedPayload::Text(texts.slice_ref(text))
            }
            Piece::Binary(len) => OwnedPayload::Binary(binaries.split_to(len)),
        })
    }
}

impl Piece {
    const fn len(self) -> usize {
        match self {
            Self::Text(len) | Self::Binary(len) => len,
        }
    }
}

/// What is left of a batch: each message is lent once.
pub(crate) struct Pieces {
    texts: String,
    binaries: Vec<u8>,
    left: vec::IntoIter<Piece>,
    /// Where the next text lies, and the next of other bytes.
    text_at: usize,
    binary_at: usize,
}

impl Pieces {
    /// The next message.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Payload<'_>> {
        Some(match self.left.next()? {
            Piece::Text(len) => {
                let start = self.text_at;
                self.text_at += len;
                Payload::Text(self.texts.get(start..self.text_at).unwrap_or_default())
            }
            Piece::Binary(len) => {
                let start = self.binary_at;
                self.binary_at += len;
                Payload::Binary(self.binaries.get(start..self.binary_at).unwrap_or_default())
            }
        })
    }
}

/// With the terms of the batch: those of the messages are forgotten.
impl Extend<Outgoing> for SendBatch {
    fn extend<T: IntoIterator<Item = Outgoing>>(&mut self, messages: T) {
        for Outgoing { payload, is_json, .. } in messages {
            let had_other = self.has_other_than_json;
            match &payload {
                OwnedPayload::Text(text) => self.push_text(text),
                OwnedPayload::Binary(bytes) => self.push_binary(bytes),
            }
            self.has_other_than_json = had_other || !is_json;
        }
    }
}

impl FromIterator<Outgoing> for SendBatch {
    fn from_iter<T: IntoIterator<Item = Outgoing>>(messages: T) -> Self {
        let mut batch = Self::new();
        batch.extend(messages);
        batch
    }
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A payload may hold a secret.
        write!(f, "SendBatch({} messages, {} bytes)", self.len(), self.payload_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{SendBinary, SendJson, SendString};

    fn outgoing() -> impl Strategy<Value = Outgoing> {
        prop_oneof![
            ".{0,12}".prop_map(|text| SendString::new(text).into()),
            any::<Vec<u8>>().prop_map(|bytes| SendBinary::new(bytes).into()),
            any::<Option<i32>>().prop_map(|value| SendJson::new(&value).expect("JSON").into()),
        ]
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out_in_order(
            messages: Vec<(bool, u8)>,
            more in prop::collection::vec(outgoing(), 0..20),
            few in 0usize..150,
        ) {
            let mut batch = SendBatch::new();
            for &(is_text, byte) in &messages {
                let text = "é".repeat(usize::from(byte % 5));
                if is_text { batch.push_text(text) } else { batch.push_binary(text) }
            }
            batch.extend(more.iter().cloned());
            prop_assert_eq!(batch.len(), messages.len() + more.len());
            let is_json = messages.is_empty() && more.iter().all(|message| message.is_json);
            prop_assert_eq!(batch.is_json(), is_json);
            let bytes = batch.payload_bytes();
            let lens: Vec<_> = batch.lens().collect();
            let mut pieces = batch.clone().into_pieces(few);
            let payloads: Vec<_> = batch.into_payloads().collect();
            prop_assert_eq!(lens, payloads.iter().map(OwnedPayload::len).collect::<Vec<_>>());
            for payload in payloads.iter().take(few) {
                prop_assert_eq!(pieces.next(), Some(payload.as_payload()));
            }
            prop_assert_eq!(pieces.next(), None);
            prop_assert_eq!(bytes, payloads.iter().map(OwnedPayload::len).sum::<usize>());
            let (first, last) = payloads.split_at(messages.len());
            for (payload, (is_text, byte)) in first.iter().zip(messages) {
                let text = "é".repeat(usize::from(byte % 5));
                prop_assert_eq!(payload.as_text().is_some(), is_text);
                prop_assert_eq!(payload.as_payload().as_bytes(), text.as_bytes());
            }
            for (payload, message) in last.iter().zip(more) {
                prop_assert_eq!(payload, &message.payload);
            }
        }
    }

    #[test]
    fn what_cannot_be_json_leaves_the_batch_as_it_was() {
        let mut batch = SendBatch::new();
        batch.push_json(&1).expect("JSON");
        let pairs: std::collections::BTreeMap<(u8, u8), u8> = [((1, 2), 3)].into();
        assert!(batch.push_json(&pairs).is_err());
        assert_eq!((batch.len(), batch.payload_bytes(), batch.is_json()), (1, 1, true));
        assert_eq!(format!("{batch:?}"), "SendBatch(1 messages, 1 bytes)");
    }
}
