use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use actix::{Actor, ActorContext as _, AsyncContext as _, StreamHandler};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws;

/// Starts an echo server on a free loopback port.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let app = || App::new().route("/echo", web::get().to(open));
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0))?;
    let address = server.addrs().first().copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
    actix_rt::spawn(server.run());
    Ok(address)
}

async fn open(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    ws::start(Session(SESSIONS.fetch_add(1, Ordering::Relaxed)), &request, body)
}

/// Echoes for a second or so, and then ends: in turn with a close frame and without one.
struct Session(u64);

impl Actor for Session {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let life = Duration::from_millis(800 + self.0 * 130 % 500);
        ctx.run_later(life, |session, ctx| {
            if session.0.is_multiple_of(2) {
                ctx.close(Some((ws::CloseCode::Away, "see you soon").into()));
            } else {
                ctx.terminate();
            }
        });
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Session {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(ws::Message::Text(text)) => ctx.text(text),
            Ok(ws::Message::Binary(bytes)) => ctx.binary(bytes),
            Ok(ws::Message::Ping(payload)) => ctx.pong(&payload),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(_) => {}
            Err(_) => ctx.terminate(),
        }
    }
}
