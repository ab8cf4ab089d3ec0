use std::{fmt, sync::Arc, time::Duration};

use crate::lifecycle::Filter;

/// A message that the application's protocol wants sent at each interval, and its answer.
///
/// Pings are the transport's; some servers want a heartbeat of their own as well. Beats go out at
/// their times, before messages that wait. A session whose beats are not answered is closed with
/// [`CloseCode::JUDGED`](crate::CloseCode::JUDGED).
///
/// As Discord wants it: the server tells the interval, the first beat comes at a random time within it,
/// each carries the last sequence number, and each is to be answered before the next:
///
/// ```
/// # use std::time::Duration;
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().send_text(r#"{"op":0,"s":3}"#).expect_text(r#"{"op":1,"d":3}"#).send_text(r#"{"op":11}"#).expect_text(r#"{"op":1,"d":3}"#).expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// let heartbeat = Heartbeat::when_told()
///     .first_at_random()
///     .remembers_field("s")
///     .sends_made_by(|beat| match beat.remembered {
///         Some(sequence) => format!(r#"{{"op":1,"d":{sequence}}}"#),
///         None => r#"{"op":1,"d":null}"#.to_owned(),
///     })
///     .answered_by(Filter::field("op", 11));
/// let liveness = Liveness::default().heartbeat(heartbeat);
/// # let mut recorder = Recorder::start();
/// # let settings = Settings::default().liveness(liveness);
/// # let spec = ConnectionSpec::json("bot", server.url()).settings(settings).subscribe(recorder.messages());
/// # let connection = supervisor.send(StartConnection(spec)).await??;
/// # recorder.next().await;
/// # let interval = Duration::from_millis(41_250);
/// // When Hello comes:
/// connection.send(SetHeartbeat::every(interval)).await?;
/// # tokio::time::sleep(3 * interval).await;
/// # drop(connection);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// As Phoenix wants it:
///
/// ```
/// use std::time::Duration;
/// use wsvisor::{Filter, Heartbeat};
///
/// let heartbeat = Heartbeat::every(Duration::from_secs(30))
///     .sends_made_by(|beat| format!(r#"[null,"hb{}","phoenix","heartbeat",{{}}]"#, beat.number))
///     .answered_by(Filter::by(|message| message.as_text().is_some_and(|text| text.contains("phx_reply"))))
///     .within(Duration::from_secs(10))
///     .misses(2);
/// ```
#[derive(Clone)]
pub struct Heartbeat {
    pub(super) every: Option<Duration>,
    pub(super) first_at_random: bool,
    pub(super) remembers: Option<Box<str>>,
    pub(super) message: Make,
    pub(super) answer: Option<Filter>,
    pub(super) within: Option<Duration>,
    pub(super) misses: u32,
}

type Make = Arc<dyn Fn(&Beat) -> String + Send + Sync>;

/// What one beat is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Beat {
    /// Which beat of its session it is, from 1.
    pub number: u64,
    /// The latest integer that was seen in the field that is remembered, over all sessions of the
    /// connection.
    pub remembered: Option<i64>,
}

impl Heartbeat {
    /// A beat at each interval from the session's beginning.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { every: Some(interval), ..Self::when_told() }
    }

    /// A beat at an interval that is told in each session by
    /// [`SetHeartbeat`](crate::SetHeartbeat), and none before.
    #[must_use]
    pub fn when_told() -> Self {
        Self {
            every: None,
            first_at_random: false,
            remembers: None,
            message: Arc::new(|_| String::new()),
            answer: None,
            within: None,
            misses: 1,
        }
    }

    /// Sends the first beat at a random time within the interval, so that all who connected at once do
    /// not beat at once.
    #[must_use]
    pub const fn first_at_random(mut self) -> Self {
        self.first_at_random = true;
        self
    }

    /// Sends this text.
    #[must_use]
    pub fn sends(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.sends_made_by(move |_| text.clone())
    }

    /// Sends what this makes. It runs on the connection's thread: it must be quick, and its panic ends
    /// the session as a crash.
    #[must_use]
    pub fn sends_made_by(mut self, make: impl Fn(&Beat) -> String + Send + Sync + 'static) -> Self {
        self.message = Arc::new(make);
        self
    }

    /// Remembers the latest integer in this top-level field of received JSON objects, for
    /// [`Beat::remembered`].
    #[must_use]
    pub fn remembers_field(mut self, name: impl Into<Box<str>>) -> Self {
        self.remembers = Some(name.into());
        self
    }

    /// Sets which messages answer a beat. Without it, none is expected.
    #[must_use]
    pub fn answered_by(mut self, answer: Filter) -> Self {
        self.answer = Some(answer);
        self
    }

    /// Sets how long an answer may take. Default: the interval.
    #[must_use]
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// Sets how many beats in a row have to go unanswered. Default: 1.
    #[must_use]
    pub const fn misses(mut self, misses: u32) -> Self {
        self.misses = misses;
        self
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat")
            .field("every", &self.every)
            .field("within", &self.within)
            .field("misses", &self.misses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_times_are_shown_and_its_message_is_not() {
        let beat = Heartbeat::every(Duration::from_secs(9)).sends("a token").misses(3);
        let shown = format!("{beat:?}");
        assert!(shown.contains("every: Some(9s)") && shown.contains("misses: 3"), "{shown}");
        assert!(!shown.contains("token"), "{shown}");
    }
}
