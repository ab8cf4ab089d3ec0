//! On which terms messages are sent, and what a connection expects of its sessions.

use std::time::Duration;

use rand::{Rng, RngExt as _};
use wsvisor::{
    Delivery, Epoch, Greeting, Payload, ProviderError, Readiness, Refusal, Request, SendBatch,
    SendBinary, SendError, SendJson, SendLimit, SendString, Settings, Unconfirmed, Unwritten,
};

use crate::chance::pick;

/// What is asked for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) scope: Scope,
    pub(crate) expires: Option<Duration>,
    pub(crate) key: Option<&'static str>,
    pub(crate) after_ready: bool,
    pub(crate) confirmed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    #[default]
    Now,
    /// The session that is up when it is sent, or the one after that.
    Session,
    UntilReady,
    Durable,
}

/// What a connection does in each session beside what it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    pub(crate) greets: bool,
    /// How long its greeting takes to be made.
    pub(crate) hesitates: Duration,
    pub(crate) ready: Ready,
    /// So many messages a second, and so many at once.
    pub(crate) limit: Option<(u32, u32)>,
}

/// When a session is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    WithConnect,
    ByMark,
    /// With a server's first message.
    ByMessage,
}

impl Terms {
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        if rng.random_ratio(1, 4) {
            return Self::default();
        }
        let scopes = [Scope::Now, Scope::Session, Scope::UntilReady, Scope::Durable];
        Self {
            scope: *pick(rng, &scopes),
            expires: rng
                .random_ratio(1, 3)
                .then(|| Duration::from_millis(*pick(rng, &[1, 50, 2_000, 30_000]))),
            key: rng.random_ratio(1, 4).then(|| *pick(rng, &["bid", "ask"])),
            after_ready: rng.random_ratio(1, 4),
            confirmed: rng.random_ratio(1, 2),
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn waits_for_ready(&self) -> bool {
        self.after_ready || self.scope == Scope::UntilReady
    }

    /// Nothing ends as it could only on other terms.
    pub(crate) fn may_end_as(&self, answer: &Result<Delivery, SendError>) -> bool {
        match answer {
            Ok(Delivery::Confirmed) => self.confirmed,
            Ok(Delivery::Written) => !self.confirmed,
            Err(
                SendError::NotWritten(Unwritten::Expired)
                | SendError::WrittenUnknown(Unconfirmed::Expired)
                | SendError::Refused(Refusal::Expired | Refusal::TooSlow { .. }),
            ) => self.expires.is_some(),
            Err(SendError::NotWritten(Unwritten::Replaced)) => self.key.is_some(),
            Err(SendError::NotWritten(Unwritten::SessionEnded(_))) => self.scope != Scope::Durable,
            Err(SendError::Refused(Refusal::OtherSession { .. })) => self.scope == Scope::Session,
            _ => true,
        }
    }
}

macro_rules! on_terms {
    ($($name:ident($message:ident)),*) => {$(
        pub(crate) fn $name(mut message: $message, terms: Terms, epoch: Epoch) -> $message {
            message = match terms.scope {
                Scope::Now => message,
                Scope::Session => message.in_session(epoch),
                Scope::UntilReady => message.until_ready(),
                Scope::Durable => message.durable(),
            };
            if let Some(wait) = terms.expires {
                message = message.expires_in(wait);
            }
            if let Some(key) = terms.key {
                message = message.replacing(key);
            }
            if terms.after_ready {
                message = message.after_ready();
            }
            if terms.confirmed { message.confirmed() } else { message }
        }
    )*};
}

on_terms!(json_on(SendJson), text_on(SendString), binary_on(SendBinary), request_on(Request));

/// A batch has no key.
pub(crate) fn batch_on(mut batch: SendBatch, terms: Terms, epoch: Epoch) -> SendBatch {
    batch = match terms.scope {
        Scope::Now => batch,
        Scope::Session => batch.in_session(epoch),
        Scope::UntilReady => batch.until_ready(),
        Scope::Durable => batch.durable(),
    };
    if let Some(wait) = terms.expires {
        batch = batch.expires_in(wait);
    }
    if terms.after_ready {
        batch = batch.after_ready();
    }
    if terms.confirmed { batch.confirmed() } else { batch }
}

impl Manners {
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        let ready = [Ready::WithConnect, Ready::WithConnect, Ready::ByMark, Ready::ByMessage];
        Self {
            greets: rng.random_ratio(1, 2),
            hesitates: Duration::ZERO,
            ready: *pick(rng, &ready),
            limit: *pick(rng, &[None, None, None, Some((1, 1)), Some((5, 10))]),
        }
    }

    /// Whether a session tells that it is ready.
    pub(crate) fn tells_ready(&self) -> bool {
        self.greets || self.ready != Ready::WithConnect
    }

    pub(crate) fn applied_to(&self, settings: Settings, member: usize) -> Settings {
        let first = |message: Payload<'_>| {
            message.as_text().is_some_and(|text| text.ends_with(r#""n":0}"#))
        };
        let mut settings = settings.readiness(match self.ready {
            Ready::WithConnect => Readiness::on_connect(),
            Ready::ByMark => Readiness::on_mark(),
            Ready::ByMessage => Readiness::on_message(first),
        });
        if self.greets {
            let hesitates = self.hesitates;
            settings = settings.greeting(Greeting::asked(move |session| async move {
                if !hesitates.is_zero() {
                    tokio::time::sleep(hesitates).await;
                }
                let hello = serde_json::json!({"c": member, "g": session.epoch.get()});
                let hello = SendJson::new(&hello);
                Ok(vec![hello.map_err(|error| ProviderError::fatal(error.to_string()))?.into()])
            }));
        }
        if let Some((a_second, burst)) = self.limit {
            let limit = SendLimit::per(a_second, Duration::from_secs(1)).expect("it is one");
            settings = settings.send_limit(limit.burst(burst));
        }
        settings
    }
}
