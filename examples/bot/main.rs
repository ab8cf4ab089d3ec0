//! A bot that knows each message's fate, against a gateway that behaves badly.
//!
//! ```sh
//! cargo run --example bot
//! ```

mod gateway;

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use wsvisor::testing::{Network, virtual_time};
use wsvisor::{
    AccessPolicy, ConnectionSpec, Delivery, Filter, Greeting, Heartbeat, Liveness, Payload,
    ProviderError, Readiness, Request, SendJson, SendLimit, Settings, Shutdown, StartConnection,
    Supervisor,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    virtual_time(7, run())
}

fn settings() -> Result<Settings, Failure> {
    let greeting = Greeting::asked(|session| async move {
        [json!({"op": "login", "bot": session.connection.as_str()}), json!({"op": "subscribe"})]
            .iter()
            .map(|message| SendJson::new(message).map(Into::into))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ProviderError::fatal(error.to_string()))
    });
    let ready = |message: Payload<'_>| message.as_text().is_some_and(|text| text.contains("ready"));
    let heartbeat = Heartbeat::every(Duration::from_secs(3))
        .sends(r#"{"op":"beat"}"#)
        .answered_by(Filter::field("op", "ack"))
        .within(Duration::from_secs(2));
    Ok(Settings::default()
        .greeting(greeting)
        .readiness(Readiness::on_message(ready))
        .send_limit(SendLimit::per(10, Duration::from_secs(1))?)
        .liveness(Liveness::default().heartbeat(heartbeat)))
}

async fn run() -> Result<(), Failure> {
    let network = Network::new();
    let seen = gateway::Seen::default();
    actix_rt::spawn(gateway::serve(network.listen("ws://gateway.test"), seen.clone()));
    let supervisor = Supervisor::builder()
        .policy(AccessPolicy::from_rules(["allow ws://gateway.test"])?)
        .dialler(network)
        .start()?;
    let spec = ConnectionSpec::json("bot", "ws://gateway.test").settings(settings()?);
    let bot = supervisor.send(StartConnection(spec)).await??;

    let call = |method| Request::json_rpc(method, &()).map(|call| call.durable().after_ready());
    let (first, second) = (bot.send(call("first")?), bot.send(call("second")?));
    let never = bot.send(call("never")?.within(Duration::from_secs(3)));
    println!("first:  {:?}", first.await??.result::<u64>()?);
    println!("second: {:?}", second.await??.result::<u64>()?);
    match never.await? {
        Err(error) => println!("never:  {error}"),
        Ok(_) => return Err("an answer that the gateway never gave".into()),
    }
    for n in 0..40 {
        let order = SendJson::new(&json!({"op": "order", "n": n}))?
            .durable()
            .after_ready()
            .expires_in(Duration::from_secs(4))
            .confirmed();
        let fate = bot.send(order).await?;
        let read = seen.borrow().iter().filter(|(_, m)| m["op"] == "order" && m["n"] == n).count();
        match &fate {
            Ok(told) => println!("order {n}: {told:?}, read {read} times"),
            Err(error) => println!("order {n}: {error}, read {read} times"),
        }
        if read > 1
            || matches!(fate, Ok(Delivery::Confirmed)) && read != 1
            || matches!(fate, Err(wsvisor::SendError::NotWritten(_))) && read != 0
        {
            return Err(format!("order {n}: {fate:?}, and the gateway read it {read} times").into());
        }
        sleep(Duration::from_millis(500)).await;
    }
    supervisor.send(Shutdown::within(Duration::from_secs(5))).await?;
    Ok(())
}
