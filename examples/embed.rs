//! A supervised connection inside an actix-web service: handlers send through it and look at it,
//! and a bot actor answers what comes.
//!
//! ```text
//! RUST_LOG=info cargo run --example embed
//! curl http://127.0.0.1:8080/status
//! curl -d 'hello' http://127.0.0.1:8080/send
//! ```
//!
//! The service connects to itself, so that nothing else is needed.

use std::time::Duration;

use actix::prelude::*;
use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer, error::ErrorServiceUnavailable, get, post,
    web,
};
use actix_web_actors::ws;
use tracing_subscriber::EnvFilter;
use wsvisor::{
    AccessPolicy, Connection, ConnectionSpec, GetStatus, Lifecycle, Received, SendString, Shutdown,
    StartConnection, Supervisor,
};

const ADDRESS: (&str, u16) = ("127.0.0.1", 8080);

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).init();
    let url = format!("ws://{}:{}/echo", ADDRESS.0, ADDRESS.1);
    let supervisor = Supervisor::builder()
        .policy(AccessPolicy::from_rules([format!("allow {url}")])?)
        // Connections on a thread of their own do not wait for the handlers of requests.
        .arbiters(1)
        .start()?;
    let bot = Bot.start();
    let spec = ConnectionSpec::string("echo", url)
        .subscribe(bot.clone().recipient::<Lifecycle>())
        .subscribe(bot.recipient::<Received>());
    let connection = supervisor.send(StartConnection(spec)).await??;

    let app = move || {
        App::new()
            .app_data(web::Data::new(connection.clone()))
            .service((status, send))
            .route("/echo", web::get().to(echo))
    };
    HttpServer::new(app).workers(1).bind(ADDRESS)?.run().await?;
    // Close frames instead of a cut, for as long as the close timeout lasts.
    supervisor.send(Shutdown::gracefully()).await?;
    Ok(())
}

#[get("/status")]
async fn status(connection: web::Data<Addr<Connection>>) -> Result<HttpResponse, Error> {
    let status = connection.send(GetStatus).await.map_err(ErrorServiceUnavailable)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "id": status.id.as_str(),
        "state": status.state.to_string(),
        "epoch": status.epoch.get(),
        "received": status.received,
        "next_attempt_in_ms": status.next_attempt_in.as_ref().map(Duration::as_millis),
        "last_exit": status.last_exit.map(|reason| reason.to_string()),
    })))
}

/// Answers once the message was handed to the socket, or with the reason why it was not.
#[post("/send")]
async fn send(
    connection: web::Data<Addr<Connection>>,
    text: String,
) -> Result<&'static str, Error> {
    let fate = connection.send(SendString::new(text)).await.map_err(ErrorServiceUnavailable)?;
    fate.map_err(ErrorServiceUnavailable)?;
    Ok("written\n")
}

/// Prints what it is told.
struct Bot;

impl Actor for Bot {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Bot {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        println!("{} (epoch {}): {}", told.connection(), told.epoch, told.event);
    }
}

impl Handler<Received> for Bot {
    type Result = ();

    fn handle(&mut self, message: Received, _: &mut Context<Self>) {
        println!("{}: {}", message.connection(), message.text().unwrap_or("(binary)"));
    }
}

/// The server's side of the connection, for this example alone.
async fn echo(request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
    ws::start(Echo, &request, body)
}

struct Echo;

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(ws::Message::Text(text)) => ctx.text(text),
            Ok(ws::Message::Ping(payload)) => ctx.pong(&payload),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            _ => {}
        }
    }
}
