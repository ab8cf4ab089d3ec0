//! A test of a bot, without a network: the test is the server.

use wsvisor::testing::{Network, Recorder, Script, connected, text, virtual_time};
use wsvisor::{AccessPolicy, ConnectionSpec, SendString, StartConnection, Supervisor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    virtual_time(42, async {
        // The server drops its first client, and expects a greeting of the second.
        let network = Network::new();
        let server = network.listen("ws://bots.example.com").play([
            Script::new().accept().reset(),
            Script::new().accept().expect_text("hello").send_text("welcome").close(1001),
        ]);

        let policy = AccessPolicy::from_rules(["allow ws://bots.example.com"])?;
        let supervisor = Supervisor::builder().policy(policy).dialler(network).start()?;
        let mut recorder = Recorder::start();
        let spec = ConnectionSpec::string("bot", server.url())
            .subscribe(recorder.lifecycle())
            .subscribe(recorder.messages());
        let bot = supervisor.send(StartConnection(spec)).await??;

        recorder.until(connected().epoch(2)).await;
        bot.send(SendString::new("hello")).await??;
        recorder.until(text("welcome")).await;
        server.done().await;
        Ok(())
    })
}
