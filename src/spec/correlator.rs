use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::protocol::Payload;

/// Finds the request that a message answers. Asked of each message that comes while a
/// [`Request`](crate::Request) is in flight, and not otherwise.
///
/// A closure is one as well:
///
/// ```
/// # use wsvisor::{testing::{Network, Recorder, Script, virtual_time}, *};
/// # virtual_time(1, async {
/// # let network = Network::new();
/// # let server = network.listen("ws://bots.example.com").play([Script::new().accept().expect_text("17:what time is it?").send_text("nobody asked").send_text("17:late").expect_end()]);
/// # let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
/// # let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
/// // Answers look like "17:the answer".
/// let settings = Settings::default().correlator(|message: Payload<'_>| {
///     let (key, _) = message.as_text()?.split_once(':')?;
///     Some(key.to_owned())
/// });
/// # let spec = ConnectionSpec::string("bot", server.url()).settings(settings);
/// # let bot = supervisor.send(StartConnection(spec)).await??;
/// let question = Request::new(SendString::new("17:what time is it?"), "17");
/// let answer = bot.send(question.durable()).await??;
/// assert_eq!(answer.payload().as_text(), Some("17:late"));
/// # drop(bot);
/// # supervisor.send(Shutdown::gracefully()).await?;
/// # server.done().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Correlator: Send + Sync + 'static {
    /// The key of the request that `message` answers; none where it is no answer.
    fn answers<'a>(&self, message: Payload<'a>) -> Option<Cow<'a, str>>;
}

impl<F> Correlator for F
where
    F: Fn(Payload<'_>) -> Option<String> + Send + Sync + 'static,
{
    fn answers<'a>(&self, message: Payload<'a>) -> Option<Cow<'a, str>> {
        self(message).map(Cow::Owned)
    }
}

/// JSON-RPC 2.0: an answer is an object with an `id` and without a `method` (§5). The key is the id as
/// JSON, so that the number 1 and the string "1" are different ones. The default.
///
/// Arrays (§6, batches) are no answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonRpc;

impl Correlator for JsonRpc {
    fn answers<'a>(&self, message: Payload<'a>) -> Option<Cow<'a, str>> {
        let Envelope { id, has_method } = serde_json::from_str(message.as_text()?).ok()?;
        id.filter(|id| !has_method && !id.is_null()).map(|id| Cow::Owned(id.to_string()))
    }
}

/// What of an object says whether it is an answer. Its other members are passed over.
struct Envelope {
    id: Option<Value>,
    has_method: bool,
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
                let mut envelope = Envelope { id: None, has_method: false };
                while let Some(name) = members.next_key::<Cow<'_, str>>()? {
                    match &*name {
                        "id" => envelope.id = Some(members.next_value()?),
                        other => {
                            envelope.has_method |= other == "method";
                            members.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(envelope)
            }
        }
        object.deserialize_map(Members)
    }
}

#[derive(Clone)]
pub(crate) struct SharedCorrelator(pub(crate) Arc<dyn Correlator>);

impl fmt::Debug for SharedCorrelator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Correlator(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_json_rpc_has_an_id_and_no_method() {
        for (text, key) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":7}"#, Some("1")),
            (r#" {"id":"1","error":{"code":-1,"message":"no"}}"#, Some(r#""1""#)),
            (r#"{"result":null,"id":18446744073709551615}"#, Some("18446744073709551615")),
            (r#"{"jsonrpc":"2.0","method":"tick","params":[]}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ask"}"#, None),
            (r#"{"id":null,"error":{}}"#, None),
            (r#"[{"id":1,"result":7}]"#, None),
            ("[1]", None),
            (r#"["1"]"#, None),
            ("1", None),
            ("", None),
            (r#"{"id":1"#, None),
        ] {
            assert_eq!(JsonRpc.answers(Payload::Text(text)).as_deref(), key, "{text}");
        }
        assert_eq!(JsonRpc.answers(Payload::Binary(br#"{"id":1}"#)), None);
    }
}
