use std::fmt;

use super::Recorded;
use crate::{ExitReason, LifecycleEvent, Payload};

/// What a test expects of an event.
///
/// Made by a function of this module ([`connected`], [`disconnected`], [`text`] …) and narrowed by
/// a method, or made of a line as [`Recorded`] shows it; a `…` at its end stands for any rest.
///
/// ```
/// use wsvisor::testing::{Matcher, disconnected};
///
/// let matcher = disconnected().epoch(3).code(1006);
/// assert_eq!(matcher.to_string(), "Disconnected of epoch 3 with code 1006");
/// assert_eq!(Matcher::from("3 Disconnected 1006…").to_string(), "\"3 Disconnected 1006…\"");
/// ```
pub struct Matcher {
    shown: String,
    tests: Vec<Test>,
}

type Test = Box<dyn Fn(&Recorded) -> bool>;

/// A `Connected`.
#[must_use]
pub fn connected() -> Matcher {
    lifecycle("Connected", |event| matches!(event, LifecycleEvent::Connected { .. }))
}

/// A `ConnectionError`.
#[must_use]
pub fn connection_error() -> Matcher {
    lifecycle("ConnectionError", |event| matches!(event, LifecycleEvent::ConnectionError { .. }))
}

/// A `Disconnected`.
#[must_use]
pub fn disconnected() -> Matcher {
    lifecycle("Disconnected", |event| matches!(event, LifecycleEvent::Disconnected { .. }))
}

/// A `BackoffScheduled`.
#[must_use]
pub fn backoff_scheduled() -> Matcher {
    lifecycle("BackoffScheduled", |event| matches!(event, LifecycleEvent::BackoffScheduled { .. }))
}

/// A `GaveUp`.
#[must_use]
pub fn gave_up() -> Matcher {
    lifecycle("GaveUp", |event| matches!(event, LifecycleEvent::GaveUp { .. }))
}

/// A lifecycle event for which `test` says yes.
#[must_use]
pub fn lifecycle(name: &str, test: impl Fn(&LifecycleEvent) -> bool + 'static) -> Matcher {
    Matcher::new(name, move |recorded| recorded.lifecycle().is_some_and(&test))
}

/// This text message.
#[must_use]
pub fn text(expected: impl Into<String>) -> Matcher {
    let expected = expected.into();
    let shown = format!("text {expected:.120?} of {} bytes", expected.len());
    message(&shown, move |payload| payload.as_text() == Some(&expected))
}

/// This binary message.
#[must_use]
pub fn binary(expected: impl Into<Vec<u8>>) -> Matcher {
    let expected = expected.into();
    let shown = format!("binary of {} bytes", expected.len());
    message(&shown, move |payload| payload.as_binary() == Some(&expected))
}

/// A message for which `test` says yes.
#[must_use]
pub fn message(name: &str, test: impl Fn(Payload<'_>) -> bool + 'static) -> Matcher {
    Matcher::new(name, move |recorded| {
        recorded.message().is_some_and(|payload| test(payload.as_payload()))
    })
}

impl Matcher {
    fn new(shown: &str, test: impl Fn(&Recorded) -> bool + 'static) -> Self {
        Self { shown: shown.to_owned(), tests: vec![Box::new(test)] }
    }

    fn and(mut self, shown: &str, test: impl Fn(&Recorded) -> bool + 'static) -> Self {
        self.shown.push_str(shown);
        self.tests.push(Box::new(test));
        self
    }

    /// Of this epoch.
    #[must_use]
    pub fn epoch(self, epoch: u64) -> Self {
        self.and(&format!(" of epoch {epoch}"), move |recorded| recorded.epoch.get() == epoch)
    }

    /// Of this connection.
    #[must_use]
    pub fn of(self, connection: impl Into<String>) -> Self {
        let id = connection.into();
        self.and(&format!(" of {id:?}"), move |recorded| recorded.connection.as_str() == id)
    }

    /// A `Disconnected` with this close code.
    #[must_use]
    pub fn code(self, expected: u16) -> Self {
        self.and(&format!(" with code {expected}"), move |recorded| {
            matches!(
                recorded.lifecycle(),
                Some(LifecycleEvent::Disconnected { code, .. }) if code.get() == expected
            )
        })
    }

    /// A `Disconnected` with a whole closing handshake, or without one.
    #[must_use]
    pub fn clean(self, expected: bool) -> Self {
        let how = if expected { " that is clean" } else { " that is not clean" };
        self.and(how, move |recorded| {
            matches!(
                recorded.lifecycle(),
                Some(LifecycleEvent::Disconnected { was_clean, .. }) if *was_clean == expected
            )
        })
    }

    /// An end for a reason for which `test` says yes.
    #[must_use]
    pub fn because(self, test: impl Fn(&ExitReason) -> bool + 'static) -> Self {
        self.and(" for the expected reason", move |recorded| match recorded.lifecycle() {
            Some(
                LifecycleEvent::Disconnected { reason, .. }
                | LifecycleEvent::ConnectionError { reason, .. }
                | LifecycleEvent::GaveUp { reason },
            ) => test(reason),
            _ => false,
        })
    }

    pub(super) fn matches(&self, recorded: &Recorded) -> bool {
        self.tests.iter().all(|test| test(recorded))
    }
}

impl From<&str> for Matcher {
    fn from(line: &str) -> Self {
        let text = format!("{line:?}");
        let line = line.to_owned();
        Self::new(&text, move |recorded| {
            let shown = recorded.to_string();
            match line.strip_suffix('…') {
                Some(beginning) => shown.starts_with(beginning),
                None => shown == line,
            }
        })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({})", self.shown)
    }
}
