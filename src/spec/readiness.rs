use std::{fmt, sync::Arc};

use crate::protocol::Payload;

/// When a session is ready for the messages that wait for that
/// ([`after_ready`](crate::SendJson::after_ready), [`until_ready`](crate::SendJson::until_ready)).
///
/// It never is before its greeting is written. Where a greeting or anything but
/// [`on_connect`](Self::on_connect) is asked for, [`LifecycleEvent::Ready`](crate::LifecycleEvent)
/// tells of it, once in a session; else `Connected` says as much.
///
/// ```
/// use wsvisor::{Payload, Readiness, Settings};
///
/// // The server says hello when the login was good.
/// let on_hello = Readiness::on_message(|message: Payload<'_>| {
///     message.as_text().is_some_and(|text| text.contains(r#""op":"hello""#))
/// });
/// let settings = Settings::default().readiness(on_hello);
/// ```
#[derive(Clone, Default)]
pub struct Readiness(pub(crate) ReadyBy);

#[derive(Clone, Default)]
pub(crate) enum ReadyBy {
    #[default]
    Connect,
    Mark,
    Message(SharedPredicate),
}

pub(crate) type SharedPredicate = Arc<dyn Fn(Payload<'_>) -> bool + Send + Sync>;

impl Readiness {
    /// As soon as it is connected, and its greeting written. The default.
    #[must_use]
    pub fn on_connect() -> Self {
        Self(ReadyBy::Connect)
    }

    /// When somebody sends [`MarkReady`](crate::MarkReady): a subscriber, for one, when it has seen
    /// the message that it waits for.
    #[must_use]
    pub fn on_mark() -> Self {
        Self(ReadyBy::Mark)
    }

    /// With the first message that `is_it` says so of, or by `MarkReady`. It is asked of each message
    /// until then, in the session's task: a panic in it is one of the session. The message is
    /// delivered as any other.
    #[must_use]
    pub fn on_message(is_it: impl Fn(Payload<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(ReadyBy::Message(Arc::new(is_it)))
    }

    pub(crate) const fn waits(&self) -> bool {
        !matches!(self.0, ReadyBy::Connect)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ReadyBy::Connect => "Readiness::on_connect",
            ReadyBy::Mark => "Readiness::on_mark",
            ReadyBy::Message(_) => "Readiness::on_message",
        })
    }
}
