//! The processes of tinyproxy and microsocks.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tokio::{net::TcpStream, time::sleep};
use wsvisor::Settings;

use crate::{authority::new_folder, client::soon, proxy::free_port};

/// A proxy that wants `user:pass-word`, and writes down whom it connects to. It is killed when it is
/// dropped.
pub(crate) struct ForwardProxy {
    port: u16,
    child: Child,
    folder: PathBuf,
}

impl ForwardProxy {
    /// tinyproxy, which connects to this port alone.
    pub(crate) async fn tinyproxy(allowed_port: u16) -> Self {
        Self::start("tinyproxy", |command, port, config| {
            let lines = format!(
                "Listen 127.0.0.1\nPort {port}\nMaxClients 10\nTimeout 2\nLogLevel Connect\n\
                 BasicAuth user pass-word\nConnectPort {allowed_port}\n"
            );
            fs::write(config, lines).expect("the configuration is written");
            command.arg("-d").arg("-c").arg(config);
        })
        .await
    }

    pub(crate) async fn microsocks() -> Self {
        Self::start("microsocks", |command, port, _| {
            let port = port.to_string();
            command.args(["-i", "127.0.0.1", "-p", &port, "-u", "user", "-P", "pass-word"]);
        })
        .await
    }

    async fn start(program: &str, configure: impl FnOnce(&mut Command, u16, &Path)) -> Self {
        let (folder, port) = (new_folder(), free_port());
        let file = File::create(folder.join("log")).expect("the log is made");
        let mut command = Command::new(program);
        configure(&mut command, port, &folder.join("config"));
        let child = command
            // Debian keeps some where a user's path may not lead.
            .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a handle"))
            .stderr(file)
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

    /// These settings with the way through it; the credentials, if any, end with an `@`.
    pub(crate) fn through(&self, scheme: &str, credentials: &str) -> Settings {
        let url = format!("{scheme}://{credentials}127.0.0.1:{}", self.port);
        let proxy: wsvisor::Proxy = url.parse().expect("the proxy is valid");
        Settings::default().proxy(proxy)
    }

    /// Waits until it has written this down.
    pub(crate) async fn logs(&self, what: &str) {
        soon(what, async {
            while !self.log().contains(what) {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("the log is there")
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("the proxy said:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
