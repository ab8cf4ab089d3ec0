//! What this machine lacks: row 49 of the list in [`super`].

use std::sync::{
    Arc,
    atomic::{AtomicI32, AtomicU32, Ordering::SeqCst},
};

use tokio::time::sleep;
use wsvisor::{
    AccessPolicy, ConnectionSpec, DialError, Dialler, Dialling, ExitClass, ExitReason,
    ExplainConnection, LifecycleEvent, LocalFailure, StartConnection, Supervisor, Target,
    testing::{Matcher, Network, Recorder, lifecycle, virtual_time},
};

use super::ground::{Ground, Neighbour, Watchdog, echo};
use crate::support::ms;

const EMFILE: i32 = 24;
const CONNECTIONS: usize = 50;

/// A network, on a machine that may have no sockets.
#[derive(Clone)]
struct Machine {
    network: Network,
    /// What the system says to a dial; 0 where all is well.
    lacks: Arc<AtomicI32>,
    refused: Arc<AtomicU32>,
}

impl Dialler for Machine {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        match self.lacks.load(SeqCst) {
            0 => self.network.dial(target),
            number => {
                self.refused.fetch_add(1, SeqCst);
                let error = std::io::Error::from_raw_os_error(number);
                Box::pin(async move { Err(target.failed(error)) })
            }
        }
    }
}

/// An attempt failed for want of a descriptor: as this machine's fault, slowly retried, and with a text
/// that says what to do.
fn out_of_descriptors() -> Matcher {
    lifecycle("ConnectionError for want of a descriptor", |event| {
        let LifecycleEvent::ConnectionError { reason, class } = event else { return false };
        assert_eq!(*class, ExitClass::RETRY_SLOW);
        assert!(reason.to_string().contains("ulimit -n"), "{reason}");
        let failure = LocalFailure::ProcessDescriptors;
        matches!(reason, ExitReason::Dial(DialError::Local { failure: f, .. }) if *f == failure)
    })
}

/// Fifty connections want to dial for ten minutes. A few attempts are made in that time, one after the
/// other, and no host counts as down for it. Who is connected stays so; and when there are sockets
/// again, all connect.
#[test]
fn fault_49_no_descriptor_is_left() {
    let _watchdog = Watchdog::start();
    virtual_time(1, async {
        let network = Network::new();
        let lacks = Arc::new(AtomicI32::new(0));
        let machine = Machine {
            network: network.clone(),
            lacks: Arc::clone(&lacks),
            refused: Arc::default(),
        };
        let refused = Arc::clone(&machine.refused);
        let supervisor = Supervisor::builder()
            .policy(AccessPolicy::from_rules(["allow ws://*.test"]).unwrap())
            .dialler(machine)
            .start()
            .unwrap();
        let ground = Ground { network: Some(network), supervisor };
        let neighbour = Neighbour::start(&ground).await;
        let server = ground.listen("server").await;
        let url = server.url();
        actix_rt::spawn(echo(server));

        lacks.store(EMFILE, SeqCst);
        let mut events = Recorder::start();
        for number in 0..CONNECTIONS {
            let spec = ConnectionSpec::string(format!("{number}"), &url);
            let spec = spec.subscribe(events.lifecycle());
            ground.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        }
        events.expect(out_of_descriptors()).await;
        sleep(ms(100)).await;
        let explained =
            ground.supervisor.send(ExplainConnection("49".into())).await.unwrap().unwrap();
        assert!(explained.to_string().contains("this machine had no socket left"), "{explained}");
        sleep(ms(600_000)).await;
        let attempts = refused.load(SeqCst);
        assert!((12..40).contains(&attempts), "{attempts} attempts of {CONNECTIONS}");

        lacks.store(0, SeqCst);
        let mut up = 0;
        while up < CONNECTIONS {
            let told = events.next().await;
            up += usize::from(matches!(told.lifecycle(), Some(LifecycleEvent::Connected { .. })));
        }
        neighbour.end_well().await;
    });
}

/// The same with the real limit, in a process of its own; its servers are in this one.
#[cfg(target_os = "linux")]
mod by_the_system {
    use std::{env, process::Command};

    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::*;
    use crate::{
        faults::overload::Elsewhere,
        support::{loopback_policy, quick},
    };

    const SERVER: &str = "WSVISOR_TEST_SERVER";

    #[test]
    fn fault_49_a_process_reaches_its_limit() {
        let server = Elsewhere::start();
        let name = "faults::shortage::by_the_system::a_process_at_its_limit";
        let process = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env(SERVER, &server.url)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&process.stdout);
        let errors = String::from_utf8_lossy(&process.stderr);
        assert!(process.status.success() && told.contains("1 passed"), "{told}\n{errors}");
    }

    fn open_descriptors() -> u64 {
        std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
    }

    /// Four connections more than the limit allows: those that are up stay up and talk, and when the limit
    /// is raised the others connect as well.
    #[actix::test]
    #[ignore = "the test above runs it in a process of its own"]
    async fn a_process_at_its_limit() {
        let Ok(url) = env::var(SERVER) else { return };
        let supervisor = Supervisor::builder().policy(loopback_policy()).start().unwrap();
        let neighbour = Neighbour::with_server(&supervisor, &url, ms(5_000)).await;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        // One is the directory that was read.
        setrlimit(Resource::RLIMIT_NOFILE, open_descriptors() - 1 + 4, hard).unwrap();
        let mut events = Recorder::start();
        for number in 0..8 {
            let spec = ConnectionSpec::string(format!("{number}"), &url).backoff(quick());
            let spec = spec.subscribe(events.lifecycle());
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        }
        events.until(out_of_descriptors()).await;
        let is_up = |told: &&wsvisor::testing::Recorded| {
            matches!(told.lifecycle(), Some(LifecycleEvent::Connected { .. }))
        };
        let mut up = events.history().iter().filter(is_up).count();
        assert!(up < 8, "all are up");
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        while up < 8 {
            up += usize::from(is_up(&events.next().await));
        }
        neighbour.end_well().await;
    }
}
