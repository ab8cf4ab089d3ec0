use std::{fmt, sync::Arc};

use actix::Recipient;

use crate::{message::AskReady, protocol::Payload};

/// When a session is ready for the messages that wait for that
/// ([`after_ready`](crate::SendJson::after_ready), [`until_ready`](crate::SendJson::until_ready)).
///
/// It never is before its greeting is written. Where a greeting or anything but
/// [`on_connect`](Self::on_connect) is asked for, [`LifecycleEvent::Ready`](crate::LifecycleEvent)
/// tells of it, once in a session; else `Connected` says as much.
///
/// ```
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().send_text(r#"{"op":"hello"}"#).expect_text("order").expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// // The server says hello when the login was good.
/// let on_hello = Readiness::on_message(|message: Payload<'_>| {
///     message.as_text().is_some_and(|text| text.contains(r#""op":"hello""#))
/// });
/// let settings = Settings::default().readiness(on_hello);
/// # let spec = ConnectionSpec::string("bot", server.url()).settings(settings);
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// // Written behind the hello.
/// bot.send(SendString::new("order").durable().after_ready()).await??;
/// # drop(bot);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Readiness(pub(crate) ReadyBy);

#[derive(Clone, Default)]
pub(crate) enum ReadyBy {
    #[default]
    Connect,
    Mark,
    Message(SharedPredicate),
    Asked(Recipient<AskReady>),
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
    /// until then, in the session's turn: a panic in it is one of the session. The message is
    /// delivered as any other.
    #[must_use]
    pub fn on_message(is_it: impl Fn(Payload<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(ReadyBy::Message(Arc::new(is_it)))
    }

    /// When `recipient` says so, which is asked about each message until then ([`AskReady`]), or by
    /// `MarkReady`. For what a function of one message cannot know: that all subscriptions are
    /// acknowledged, say.
    ///
    /// It is asked one question at a time, about all messages that came with one read; until it answers
    /// the socket is not read, so that nothing is heaped up, and pings go out meanwhile. Its answer must
    /// not depend on what comes later. Subscribers are told the messages as any other, without waiting for
    /// the answer.
    ///
    /// Where the recipient has stopped, or does not answer within
    /// [`Timeouts::provider`](crate::Timeouts::provider),
    /// [`LifecycleEvent::Suspected`](crate::LifecycleEvent::Suspected) tells so once. The session goes on,
    /// and only `MarkReady` makes it ready; in the next one, the recipient is asked again.
    ///
    /// ```
    /// # use std::collections::BTreeSet;
    /// # use wsvisor::testing::{Network, Recorder, Script, connected, virtual_time};
    /// # use wsvisor::{AccessPolicy, Greeting, SendString, StartConnection, Supervisor};
    /// use actix::prelude::*;
    /// use wsvisor::{AskReady, ConnectionSpec, Readiness, Settings};
    ///
    /// /// Ready once both channels are there.
    /// #[derive(Default)]
    /// struct Desk(BTreeSet<String>);
    ///
    /// impl Actor for Desk {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<AskReady> for Desk {
    ///     type Result = bool;
    ///
    ///     fn handle(&mut self, asked: AskReady, _: &mut Context<Self>) -> bool {
    ///         let texts = asked.iter().filter_map(|message| message.as_text());
    ///         self.0.extend(texts.filter_map(|text| text.strip_prefix("subscribed ")).map(Into::into));
    ///         self.0.len() == 2
    ///     }
    /// }
    ///
    /// # virtual_time(1, async {
    /// # let network = Network::new();
    /// # let server = network.listen("ws://bots.example.com").play([Script::new()
    /// #     .accept().expect_text("subscribe").send_text("subscribed trades").send_text("subscribed books")
    /// #     .expect_text("order").expect_end()]);
    /// let desk = Desk::default().start();
    /// let subscribe = Greeting::messages([SendString::new("subscribe")]);
    /// let settings = Settings::default().greeting(subscribe).readiness(Readiness::asked(desk));
    /// let spec = ConnectionSpec::string("bot", server.url()).settings(settings);
    /// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
    /// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
    /// let bot = supervisor.send(StartConnection(spec)).await??;
    /// // Written behind both.
    /// bot.send(SendString::new("order").durable().after_ready()).await??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn asked(recipient: impl Into<Recipient<AskReady>>) -> Self {
        Self(ReadyBy::Asked(recipient.into()))
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
            ReadyBy::Asked(_) => "Readiness::asked",
        })
    }
}
