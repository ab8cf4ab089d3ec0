//! What the bot asks of its connection.

use std::time::Duration;

use serde_json::json;
use wsvisor::{
    Filter, Greeting, Heartbeat, Liveness, Payload, ProviderError, Readiness, SendJson, SendLimit,
    Settings,
};

use crate::Failure;

pub(crate) fn settings() -> Result<Settings, Failure> {
    Ok(Settings::default()
        .greeting(greeting())
        .readiness(Readiness::on_message(is_ready))
        // A message each 100 ms: the gateway bans those who send more.
        .send_limit(SendLimit::per(10, Duration::from_secs(1))?)
        .liveness(Liveness::default().heartbeat(heartbeat())))
}

/// Asked in every session: what a session knew is gone with it.
fn greeting() -> Greeting {
    Greeting::asked(|session| async move {
        let login = json!({"op": "login", "bot": session.connection.as_str()});
        let subscribe = json!({"op": "subscribe", "channel": "trades"});
        [login, subscribe]
            .iter()
            .map(|message| SendJson::new(message).map(Into::into))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ProviderError::fatal(error.to_string()))
    })
}

fn is_ready(message: Payload<'_>) -> bool {
    message.as_text() == Some(r#"{"op":"ready"}"#)
}

fn heartbeat() -> Heartbeat {
    Heartbeat::every(Duration::from_secs(3))
        .sends(r#"{"op":"beat"}"#)
        .answered_by(Filter::field("op", "ack"))
        .within(Duration::from_secs(2))
}
