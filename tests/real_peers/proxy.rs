//! nginx and HAProxy as reverse proxies.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{net::TcpStream, time::sleep};

use crate::{authority::new_folder, client::soon, server::Server};

/// Which proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

/// A proxy before a server. It is killed when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    child: Child,
    folder: PathBuf,
}

impl Proxy {
    pub(crate) async fn before(server: &Server, kind: Kind) -> Self {
        let folder = new_folder();
        let port = free_port();
        let (file, program) = match kind {
            Kind::Nginx => ("nginx.conf", "nginx"),
            Kind::Haproxy => ("haproxy.cfg", "haproxy"),
        };
        let template =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_peers/peers").join(file);
        let config = fs::read_to_string(template)
            .expect("the template is there")
            .replace("@PORT@", &port.to_string())
            .replace("@UPSTREAM@", &server.port().to_string())
            .replace("@FOLDER@", folder.to_str().expect("the path is text"));
        let path = folder.join(file);
        fs::write(&path, config).expect("the configuration is written");
        let mut command = Command::new(program);
        match kind {
            Kind::Nginx => command.arg("-p").arg(&folder).arg("-c").arg(&path),
            Kind::Haproxy => command.arg("-f").arg(&path),
        };
        let child = command
            // Debian keeps both where a user's path may not lead.
            .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; run .ci/install-peers"));
        let proxy = Self { port, child, folder };
        soon(program, async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        proxy
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx has a worker, which ends when it is told to, and not when its master is killed.
        let told = Command::new("kill").arg(self.child.id().to_string()).status();
        if told.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody listened on a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}
