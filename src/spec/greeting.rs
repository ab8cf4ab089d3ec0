use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    lifecycle::{ConnectionId, Epoch, ProviderError},
    message::Outgoing,
    protocol::Subprotocol,
};

/// What is sent first in every session, before anything else: a login, subscriptions.
///
/// Its messages are written in their order, within the [`SendLimit`](crate::SendLimit), and what is
/// sent meanwhile waits behind them. The terms of a message, such as its deadline, mean nothing here:
/// it belongs to its session.
///
/// ```
/// # use serde_json::json;
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().expect_text(r#"{"bot":"bot","op":"login"}"#).expect_text(r#"{"op":"order"}"#).expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// let subscribe = SendJson::new(&json!({"op": "subscribe", "channel": "trades"}))?;
/// let settings = Settings::default().greeting(Greeting::messages([subscribe]));
///
/// // Asked anew in every session, as what is subscribed to may have changed.
/// let settings = Settings::default().greeting(Greeting::asked(|session| async move {
///     let login = json!({"op": "login", "bot": session.connection.as_str()});
///     let login = SendJson::new(&login);
///     Ok(vec![login.map_err(|error| ProviderError::fatal(error.to_string()))?.into()])
/// }));
/// # let spec = ConnectionSpec::json("bot", server.url()).settings(settings);
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// // The server reads the login first.
/// bot.send(SendJson::new(&json!({"op": "order"}))?.durable()).await??;
/// # drop(bot);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Greeting(pub(crate) GreetingSource);

#[derive(Clone)]
pub(crate) enum GreetingSource {
    List(Arc<[Outgoing]>),
    Asked(Arc<dyn Fn(NewSession) -> Asked + Send + Sync>),
}

type Asked = Pin<Box<dyn Future<Output = Result<Vec<Outgoing>, ProviderError>>>>;

/// The session that is to be greeted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewSession {
    /// The connection's name.
    pub connection: ConnectionId,
    /// The session.
    pub epoch: Epoch,
    /// The subprotocol that the server chose from those offered.
    pub subprotocol: Option<Subprotocol>,
}

impl Greeting {
    /// These messages, in every session.
    pub fn messages<M: Into<Outgoing>>(messages: impl IntoIterator<Item = M>) -> Self {
        Self(GreetingSource::List(messages.into_iter().map(Into::into).collect()))
    }

    /// What `provider` answers, asked in every session. It runs on the connection's thread and has the
    /// time of [`Timeouts::provider`](crate::Timeouts); where it panics, takes longer or has an
    /// error, the session ends with
    /// [`ExitReason::Greeting`](crate::ExitReason).
    pub fn asked<F>(provider: impl Fn(NewSession) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<Outgoing>, ProviderError>> + 'static,
    {
        Self(GreetingSource::Asked(Arc::new(move |session| Box::pin(provider(session)))))
    }
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            GreetingSource::List(messages) => write!(f, "Greeting({} messages)", messages.len()),
            GreetingSource::Asked(_) => f.write_str("Greeting::asked"),
        }
    }
}
