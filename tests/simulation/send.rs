//! What users send.

use std::{rc::Rc, time::Duration};

use actix::Addr;
use futures_util::FutureExt as _;
use wsvisor::{
    Connection, Delivery, Epoch, GetSender, GetStatus, Kind, Request, RequestError, SendBatch,
    SendBinary, SendError, SendJson, SendString, Unconfirmed,
};

use crate::{
    fates::{Name, Way},
    fleet::Live,
    tap::field,
    terms::{Scope, Terms, batch_on, binary_on, json_on, request_on, text_on},
};

impl Live {
    pub(crate) async fn send(self: Rc<Self>, size: usize, terms: Terms) {
        let Some(connection) = self.connection() else { return };
        let Some(epoch) = self.epoch_for(&connection, terms).await else { return };
        let number = self.next_message.replace(self.next_message.get() + 1);
        // Written out: serde_json takes long over a long text where nothing is optimised.
        let (c, x) = (self.number, "x".repeat(size));
        let text = format!(r#"{{"c":{c},"m":{number},"x":"{x}"}}"#);
        self.fates.sent((c, number), terms, text.len(), epoch.get());
        let answer = match (self.member.kind, number % 4) {
            (Kind::Json, _) => {
                let value = serde_json::json!({"c": c, "m": number, "x": x});
                let message = SendJson::new(&value).expect("a value is JSON");
                connection.send(json_on(message, terms, epoch)).boxed_local()
            }
            (Kind::String, 0) => {
                let message = SendBinary::new(text);
                connection.send(binary_on(message, terms, epoch)).boxed_local()
            }
            (Kind::String, _) => {
                let message = SendString::new(text);
                connection.send(text_on(message, terms, epoch)).boxed_local()
            }
        };
        // Who waits for an answer does not keep the connection.
        drop(connection);
        let name = (self.number, number);
        let Some(answer) = self.answered(answer.await) else { return self.fates.lost(name) };
        match &answer {
            Ok(told) => self.note(format_args!("sent {number}: {told:?}")),
            Err(error) => self.note(format_args!("did not send {number}: {error}")),
        }
        self.fates.settled(name, answer);
    }

    /// Sends beside the mailbox, on the default terms.
    pub(crate) async fn send_by_sender(self: Rc<Self>, size: usize) {
        let Some(connection) = self.connection() else { return };
        let asked = connection.send(GetSender);
        drop(connection);
        let Some(sender) = self.answered(asked.await) else { return };
        let number = self.next_message.replace(self.next_message.get() + 1);
        let name = (self.number, number);
        let (c, x) = (self.number, "x".repeat(size));
        let text = format!(r#"{{"c":{c},"m":{number},"x":"{x}"}}"#);
        self.fates.sent(name, Terms::default(), text.len(), 0);
        self.fates.goes_by(name, Way::Sender);
        let sending = match (self.member.kind, number % 4) {
            (Kind::Json, _) => {
                let value = serde_json::json!({"c": c, "m": number, "x": x});
                sender.send_json(&value).expect("a value is JSON")
            }
            (Kind::String, 0) => sender.send_binary(text),
            (Kind::String, _) => sender.send_text(text),
        };
        let answer = sending.await;
        self.note(format_args!("sent {number} by a sender: {answer:?}"));
        self.fates.settled(name, answer);
    }

    pub(crate) async fn send_batch(self: Rc<Self>, messages: usize, size: usize, terms: Terms) {
        let Some(connection) = self.connection() else { return };
        let Some(epoch) = self.epoch_for(&connection, terms).await else { return };
        let (c, mut batch) = (self.number, SendBatch::new());
        let first = self.next_message.get();
        let names: Vec<_> = (first..).take(messages).map(|number| (c, number)).collect();
        self.next_message.set(first + messages as u64);
        for name in &names {
            let value = serde_json::json!({"c": c, "m": name.1, "x": "x".repeat(size)});
            batch.push_json(&value).expect("a value is JSON");
            self.fates.sent(*name, terms, size + 20, epoch.get());
            self.fates.goes_by(*name, Way::Batch);
        }
        let answer = connection.send(batch_on(batch, terms, epoch));
        drop(connection);
        match self.answered(answer.await) {
            None => names.into_iter().for_each(|name| self.fates.lost(name)),
            Some(outcomes) => {
                self.note(format_args!("sent a batch from {first} on: {outcomes:?}"));
                for (name, outcome) in names.into_iter().zip(outcomes.iter()) {
                    self.fates.settled(name, outcome.clone());
                }
            }
        }
    }

    pub(crate) async fn ask(
        self: Rc<Self>,
        within: Duration,
        answers: &'static [u64],
        terms: Terms,
    ) {
        let Some(connection) = self.connection() else { return };
        let Some(epoch) = self.epoch_for(&connection, terms).await else { return };
        let number = self.next_message.replace(self.next_message.get() + 1);
        let name = (self.number, number);
        let question = serde_json::json!({"c": self.number, "m": number, "answers": answers});
        let question = SendJson::new(&question).expect("a value is JSON");
        let request = Request::new(question, number.to_string()).within(within);
        self.fates.asked(name, terms, within, epoch.get());
        let answer = connection.send(request_on(request, terms, epoch));
        drop(connection);
        let Some(answer) = self.answered(answer.await) else { return self.fates.lost(name) };
        match &answer {
            Ok(answer) => self.note(format_args!("asked {number}: {:?}", answer.payload())),
            Err(error) => self.note(format_args!("asked {number} in vain: {error}")),
        }
        if let Ok(answer) = &answer {
            let answers = answered_by(answer.payload().as_text().unwrap_or_default());
            self.journal.check(
                answers == Some(name),
                format_args!("c{} asked {number}, and was told {answer:?} (I20)", self.number),
            );
        }
        // An answer says as much as a confirmation would.
        let told = answer.map(|_| Delivery::Confirmed).map_err(ending);
        self.fates.settled(name, told);
    }

    /// Where a message of this scope is to go. Nothing where its connection is gone.
    async fn epoch_for(&self, connection: &Addr<Connection>, terms: Terms) -> Option<Epoch> {
        if terms.scope != Scope::Session {
            return Some(Epoch::NONE);
        }
        let status = self.answered(connection.send(GetStatus).await)?;
        // Of two, now the one and now the other.
        Some(match status.successor {
            Some(successor) if self.next_message.get().is_multiple_of(2) => successor,
            _ => status.epoch,
        })
    }
}

/// What the end of a request says of its message.
fn ending(error: RequestError) -> SendError {
    match error {
        RequestError::Refused(refusal) => SendError::Refused(refusal),
        RequestError::NotWritten(why) => SendError::NotWritten(why),
        RequestError::Lost(exit) => SendError::WrittenUnknown(Unconfirmed::SessionEnded(exit)),
        _ => SendError::WrittenUnknown(Unconfirmed::Expired),
    }
}

/// The request that this message answers.
pub(crate) fn answered_by(text: &str) -> Option<Name> {
    Some((usize::try_from(field(text, "to")?).ok()?, field(text, "id")?))
}
