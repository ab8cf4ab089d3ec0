//! The server that is loaded where no URL is given: an echo, in a process of its own, so that its
//! work is not taken for the generator's.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdin, Command, Stdio},
};

use actix::{Actor, ActorContext as _, StreamHandler};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws;

/// The server's process, which ends with this value.
pub(crate) struct EmbeddedServer {
    child: Child,
    /// The server ends when this does.
    _stdin: Option<ChildStdin>,
    url: String,
}

/// Why there is no embedded server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoServer {
    #[error("cannot start the embedded server: {0}; give the URL of a server of yours")]
    Start(#[from] io::Error),
    #[error("the embedded server ended before it listened; give the URL of a server of yours")]
    Silent,
}

/// Messages up to this size are echoed.
const MAX_SIZE: usize = 16 * 1024 * 1024;

impl EmbeddedServer {
    /// Starts it, and waits until it says where it listens.
    pub(crate) fn start() -> Result<Self, NoServer> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for the generator, which still needs its server then.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let (stdin, mut url) = (child.stdin.take(), String::new());
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut url)?;
        }
        let server = Self { child, _stdin: stdin, url: url.trim_end().to_owned() };
        if server.url.is_empty() { Err(NoServer::Silent) } else { Ok(server) }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        // It is gone already where these fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Listens on loopback, prints the URL, and serves until stdin ends.
pub(crate) async fn serve() -> io::Result<()> {
    let app = || App::new().route("/", web::get().to(open));
    let server =
        HttpServer::new(app).workers(1).backlog(8_192).disable_signals().bind(("127.0.0.1", 0))?;
    let address = server.addrs().first().copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let server = server.run();
    println!("ws://{address}/");
    let handle = server.handle();
    std::thread::spawn(move || {
        // Whatever ends the wait, nobody is there any more to serve.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(handle.stop(false));
    });
    server.await
}

async fn open(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    ws::WsResponseBuilder::new(Echo, &request, body)
        .codec(actix_http::ws::Codec::new().max_size(MAX_SIZE))
        .start()
}

struct Echo;

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
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
