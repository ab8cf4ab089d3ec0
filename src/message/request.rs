use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use actix::Message;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::Outgoing;
use crate::{
    error::{Refusal, Unwritten},
    lifecycle::{Epoch, ExitReason, Terms},
    protocol::{OwnedPayload, Payload},
};

/// Sends a message and resolves with its answer, which the connection's
/// [`Correlator`](crate::Correlator) knows by its key.
///
/// The answer goes to whoever asked, and to no subscriber. What answers no request in flight, because
/// its request has been answered, has timed out, or never was, goes to the subscribers like any
/// message. A message takes the terms of any other: one that is [`durable`](Self::durable) waits for
/// a session, for one. Once it is written, its session's end ends it.
///
/// ```
/// # use std::time::Duration;
/// let request = Request::json_rpc("getBalance", &["0x01"])?.within(Duration::from_secs(2));
/// # let call = format!(r#"{{"id":{},"jsonrpc":"2.0","method":"getBalance","params":["0x01"]}}"#, request.key());
/// # let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":42}}"#, request.key());
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().expect_text(call).send_text(answer).expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// # let spec = ConnectionSpec::json("bot", server.url());
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// # let request = request.durable();
/// let answer = bot.send(request).await??;
/// let balance: u64 = answer.result()?;
/// assert_eq!(balance, 42);
/// # drop(bot);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Message)]
#[rtype(result = "Result<Answer, RequestError>")]
pub struct Request {
    pub(crate) payload: OwnedPayload,
    pub(crate) is_json: bool,
    pub(crate) key: Box<str>,
    pub(crate) timeout: Duration,
    pub(crate) terms: Option<Box<Terms>>,
}

/// How long an answer is waited for unless something else is asked for.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Request {
    /// A message whose answer has this key: what the [`Correlator`](crate::Correlator) finds in it.
    pub fn new(message: impl Into<Outgoing>, key: impl Into<Box<str>>) -> Self {
        let Outgoing { payload, is_json, terms } = message.into();
        Self { payload, is_json, key: key.into(), timeout: TIMEOUT, terms }
    }

    /// A call of JSON-RPC 2.0, with an id that no other of this process has.
    ///
    /// # Errors
    /// When the parameters cannot be JSON.
    pub fn json_rpc(method: &str, params: &impl Serialize) -> serde_json::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let params = serde_json::to_value(params)?;
        let call = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        Ok(Self::new(super::SendJson::new(&call)?, id.to_string()))
    }

    /// How long its answer is waited for, from the moment when the connection accepts it. A request
    /// that is not written by then never is. Default 30 s.
    #[must_use]
    pub const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The key that its answer is known by.
    #[must_use]
    pub const fn key(&self) -> &str {
        &self.key
    }
}

/// What a peer answered to a [`Request`].
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) epoch: Epoch,
    pub(crate) payload: OwnedPayload,
}

impl Answer {
    /// The session that it came in.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The message.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        self.payload.as_payload()
    }

    /// The message, to keep.
    #[must_use]
    pub fn into_payload(self) -> OwnedPayload {
        self.payload
    }

    /// Reads it as JSON.
    ///
    /// # Errors
    /// When it is not JSON, or not of this form.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.payload().as_bytes())
    }

    /// Reads it as an answer of JSON-RPC 2.0 (§5), and gives its `result`.
    ///
    /// # Errors
    /// When it has an `error`, or the result is not of this form.
    pub fn result<T: DeserializeOwned>(&self) -> Result<T, JsonRpcError> {
        let mut answer: Map<String, Value> = self.json().map_err(JsonRpcError::Malformed)?;
        if let Some(mut error) = answer.remove("error").filter(|error| !error.is_null()) {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
            let message = message.to_owned();
            let data = error.get_mut("data").map(Value::take);
            return Err(JsonRpcError::Refused { code, message, data });
        }
        let result = answer.remove("result").unwrap_or_default();
        serde_json::from_value(result).map_err(JsonRpcError::Malformed)
    }
}

/// Why an answer of JSON-RPC 2.0 has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonRpcError {
    /// The server refused the call (§5.1).
    #[error("the server refused the call with {code}: {}", .message.escape_debug())]
    Refused {
        /// The error's number; 0 where it has none.
        code: i64,
        /// What it is.
        message: String,
        /// More about it.
        data: Option<Value>,
    },
    /// The answer is not of JSON-RPC, or its result of another form.
    #[error("the answer has another form: {0}")]
    Malformed(#[source] serde_json::Error),
}

/// Why a request has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It was never accepted.
    #[error("the request was refused: {0}")]
    Refused(#[from] Refusal),
    /// It was accepted and not written: it is safe to send it again.
    #[error("the request was not written: {0}")]
    NotWritten(#[source] Unwritten),
    /// It was written, at least in part, and its session ended before the answer came: the peer may
    /// have acted on it or not.
    #[error("the request was written, and the session ended before its answer: {0}")]
    Lost(#[source] ExitReason),
    /// It was written, and no answer came in time.
    #[error("no answer came within {after:?}")]
    TimedOut {
        /// The time that it had.
        after: Duration,
    },
}
