use std::fmt;

use actix::Message;
use serde::Serialize;

use super::{Outcomes, Outgoing};
use crate::{
    entropy::masking_key,
    lifecycle::Terms,
    protocol::{Frames, OwnedPayload, Payload},
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
#[derive(Default, Message)]
#[rtype(result = "Outcomes")]
pub struct SendBatch {
    frames: Frames,
    has_other_than_json: bool,
    pub(crate) terms: Option<Box<Terms>>,
}

impl SendBatch {
    /// A batch without messages. Sent so, it is answered at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text message, whose text is copied.
    pub fn push_text(&mut self, text: impl AsRef<str>) {
        self.push(Payload::Text(text.as_ref()));
        self.has_other_than_json = true;
    }

    /// Adds a binary message, whose bytes are copied.
    pub fn push_binary(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(Payload::Binary(bytes.as_ref()));
        self.has_other_than_json = true;
    }

    /// Adds a value as JSON, in a text message.
    ///
    /// # Errors
    /// When the value cannot be JSON: a map with keys that are not strings, or a failing
    /// `Serialize`. The batch is as it was before then.
    pub fn push_json(&mut self, value: &impl Serialize) -> serde_json::Result<()> {
        self.push(Payload::Text(&serde_json::to_string(value)?));
        Ok(())
    }

    fn push(&mut self, message: Payload<'_>) {
        self.frames.push(message, masking_key());
    }

    /// How many messages it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The sum of the messages' lengths in bytes.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.frames.payload_bytes()
    }

    pub(crate) const fn is_json(&self) -> bool {
        !self.has_other_than_json
    }

    /// How many bytes each message has.
    pub(crate) fn lens(&self) -> impl Iterator<Item = usize> {
        self.frames.lens()
    }

    /// The first so many messages, as they are written.
    pub(crate) fn into_frames(mut self, count: usize) -> Frames {
        self.frames.truncate(count);
        self.frames
    }

    /// The messages as they were put in, over the memory of the batch.
    pub(crate) fn into_payloads(self) -> impl ExactSizeIterator<Item = OwnedPayload> {
        self.frames.into_payloads()
    }
}

/// A copy is a batch of its own: its messages are masked with keys of their own (RFC 6455 §5.3).
impl Clone for SendBatch {
    fn clone(&self) -> Self {
        Self {
            frames: self.frames.masked_anew(masking_key),
            has_other_than_json: self.has_other_than_json,
            terms: self.terms.clone(),
        }
    }
}

/// With the terms of the batch: those of the messages are forgotten.
impl Extend<Outgoing> for SendBatch {
    fn extend<T: IntoIterator<Item = Outgoing>>(&mut self, messages: T) {
        for Outgoing { payload, is_json, .. } in messages {
            self.push(payload.as_payload());
            self.has_other_than_json |= !is_json;
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
            let first: Vec<_> = batch.clone().into_frames(few).into_payloads().collect();
            let payloads: Vec<_> = batch.into_payloads().collect();
            prop_assert_eq!(lens, payloads.iter().map(OwnedPayload::len).collect::<Vec<_>>());
            prop_assert_eq!(first, &payloads[..few.min(payloads.len())]);
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
    fn a_copy_is_masked_with_keys_of_its_own() {
        let mut batch = SendBatch::new();
        (0..100).for_each(|_| batch.push_text("the same"));
        let written = |batch: SendBatch| {
            let mut bytes = Vec::new();
            batch.into_frames(100).take(100, usize::MAX, &mut bytes);
            bytes.chunks(14).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        let all: std::collections::HashSet<_> =
            written(batch.clone()).into_iter().chain(written(batch)).collect();
        // Of 200 random keys of 32 bits, two are alike once in 200,000 runs; five never are.
        assert!(all.len() > 195, "{} different frames", all.len());
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
