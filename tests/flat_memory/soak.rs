//! Hundreds of connections and a server that flaps: nothing is left behind, however long it lasts.
//!
//! Everything is counted twice: while all connections are up, before and after the server flapped; and
//! when all is over. Tasks and timers are counted by what they allocate, for each takes some hundred bytes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use actix::prelude::*;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use wsvisor::{
    AccessPolicy, Backoff, Connection, ConnectionSpec, CountConnections, HostBreaker, Lifecycle,
    LifecycleEvent, Liveness, Received, SendString, Settings, Shutdown, StartConnection,
    Supervisor,
    testing::{ClientFrame, Peer, Server, frame},
};

use super::{ALONE, MEMORY, resident_bytes};

const CONNECTIONS: usize = 500;

/// Ten seconds of it.
#[test]
fn nothing_is_left_of_hundreds_of_connections_that_flap() {
    soak(Duration::from_millis(250), Duration::from_secs(8));
}

/// `cargo test --release --test flat_memory -- --ignored --nocapture ten_minutes`
#[test]
#[ignore = "takes ten minutes"]
fn nothing_is_left_after_ten_minutes() {
    soak(Duration::from_millis(1_500), Duration::from_mins(10));
}

fn soak(pace: Duration, time: Duration) {
    let _alone = ALONE.blocking_lock();
    raise_the_limit();
    // What is made once for a thread or a process is there after this.
    round(pace, Duration::ZERO);
    let before = Count::now();
    let told = round(pace, time);
    let after = Count::now();
    println!("before {before:?}\nafter  {after:?}\n{told:#?}");
    assert!(after.descriptors <= before.descriptors, "descriptors are left open");
    assert!(after.threads <= before.threads, "threads are left");
    let left = after.allocated.saturating_sub(before.allocated);
    assert!(left <= 16 << 10, "{left} bytes are left behind, by {CONNECTIONS} connections");
    if time > Duration::ZERO {
        assert!(told.sessions > 2 * CONNECTIONS, "it hardly flapped: {told:?}");
        assert!(told.ends.len() >= 5, "{told:?}");
    }
}

/// What there is at a time.
#[derive(Clone, Copy, Debug)]
struct Count {
    descriptors: usize,
    threads: usize,
    allocated: usize,
    /// For the record: the system gives it back when it likes.
    #[expect(dead_code, reason = "it is shown")]
    resident: u64,
}

impl Count {
    fn now() -> Self {
        let entries = |path| std::fs::read_dir(path).map_or(0, Iterator::count);
        Self {
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            allocated: MEMORY.current_usage(),
            resident: resident_bytes(),
        }
    }
}

/// What happened to the connections.
#[derive(Debug, Default)]
struct Told {
    sessions: usize,
    messages: usize,
    ends: BTreeMap<String, usize>,
}

/// All connections come up, live with a flapping server for so long, and go.
fn round(pace: Duration, time: Duration) -> Told {
    let server = Flapping::start(pace);
    let told = System::new().block_on(async {
        let subscriber = Subscriber::default().start();
        let supervisor = Supervisor::builder()
            .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1:*"]).unwrap())
            .host_breaker(HostBreaker::after(20).unwrap().dead_time(pace / 8, pace).unwrap())
            .start()
            .unwrap();
        let liveness = Liveness::default().ping_every(2 * pace).pong_within(pace);
        let settings = Arc::new(Settings::default().liveness(liveness));
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let spec = ConnectionSpec::string(format!("c{number}"), &server.url)
                .settings(Arc::clone(&settings))
                .backoff(Backoff::between(pace / 50, pace).unwrap())
                .subscribe(subscriber.clone().recipient::<Lifecycle>())
                .subscribe(subscriber.clone().recipient::<Received>());
            connections.push(supervisor.send(StartConnection(spec)).await.unwrap().unwrap());
        }
        all_up(&supervisor).await;
        talk(&connections).await;
        sleep(pace).await;
        let before = Count::now();

        server.calm.store(false, Relaxed);
        let over = Instant::now() + time;
        while Instant::now() < over {
            talk(&connections).await;
            sleep(pace).await;
        }
        server.calm.store(true, Relaxed);
        // What the server still means to end is over then, and dialled again.
        let settled = async {
            loop {
                all_up(&supervisor).await;
                talk(&connections).await;
                sleep(pace).await;
                if Count::now().descriptors == before.descriptors {
                    break;
                }
            }
        };
        let settled = timeout(PATIENCE, settled).await;
        let after = Count::now();
        println!("up     {before:?}\nagain  {after:?}");
        assert_eq!(settled, Ok(()), "descriptors while all are up: {before:?}, now {after:?}");
        let grown = after.allocated.saturating_sub(before.allocated) / CONNECTIONS;
        assert!(grown <= 1 << 10, "{grown} bytes more for each connection that is up");

        supervisor.send(Shutdown::gracefully()).await.unwrap();
        let ended = async {
            while connections.iter().any(Addr::connected) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, ended).await.expect("the connections' actors end");
        subscriber.send(Tell).await.unwrap()
    });
    server.stop();
    told
}

const PATIENCE: Duration = Duration::from_mins(1);

async fn all_up(supervisor: &Addr<Supervisor>) {
    let up = async {
        while supervisor.send(CountConnections).await.unwrap().connected < CONNECTIONS {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, up).await.expect("all connections are up");
}

/// Each sends something: for this session, until it is ready again, or whatever happens.
async fn talk(connections: &[Addr<Connection>]) {
    let mut fates = JoinSet::new();
    for (number, connection) in connections.iter().enumerate() {
        let message =
            SendString::new("0123456789".repeat(20)).expires_in(Duration::from_millis(100));
        let message = match number % 3 {
            0 => message,
            1 => message.until_ready(),
            _ => message.durable(),
        };
        fates.spawn_local(connection.send(message));
    }
    let fates = timeout(PATIENCE, fates.join_all()).await.expect("each message has a fate");
    assert_eq!(fates.into_iter().flatten().count(), CONNECTIONS);
}

/// What all connections tell.
#[derive(Default)]
struct Subscriber(Told);

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<Lifecycle> for Subscriber {
    type Result = ();

    fn handle(&mut self, told: Lifecycle, _: &mut Context<Self>) {
        match &told.event {
            LifecycleEvent::Connected { .. } => self.0.sessions += 1,
            LifecycleEvent::ConnectionError { reason, .. }
            | LifecycleEvent::Disconnected { reason, .. } => {
                *self.0.ends.entry(reason.to_string()).or_default() += 1;
            }
            LifecycleEvent::GaveUp { reason, .. } => panic!("given up: {reason}"),
            _ => {}
        }
    }
}

impl Handler<Received> for Subscriber {
    type Result = ();

    fn handle(&mut self, _: Received, _: &mut Context<Self>) {
        self.0.messages += 1;
    }
}

#[derive(Message)]
#[rtype(result = "Told")]
struct Tell;

impl Handler<Tell> for Subscriber {
    type Result = MessageResult<Tell>;

    fn handle(&mut self, _: Tell, _: &mut Context<Self>) -> MessageResult<Tell> {
        MessageResult(std::mem::take(&mut self.0))
    }
}

/// A server on a thread of its own. While it is calm it sends messages back; otherwise it ends every
/// session before long, in all ways that there are, and is gone from time to time.
struct Flapping {
    url: String,
    calm: Arc<AtomicBool>,
    end: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Flapping {
    fn start(pace: Duration) -> Self {
        let calm = Arc::new(AtomicBool::new(true));
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let is_calm = Arc::clone(&calm);
        let thread = thread::spawn(move || {
            System::new().block_on(async {
                let server = Server::on_loopback().await.unwrap();
                tell.send(server.url()).unwrap();
                tokio::select! {
                    () = flap(server, pace, is_calm) => {}
                    _ = ended => {}
                }
            });
        });
        Self { url: told.recv().unwrap(), calm, end, thread }
    }

    fn stop(self) {
        let _ = self.end.send(());
        self.thread.join().unwrap();
    }
}

async fn flap(mut server: Server, pace: Duration, calm: Arc<AtomicBool>) {
    let mut streams = JoinSet::new();
    let mut number = 0;
    loop {
        let until = Instant::now() + 8 * pace;
        while let Ok(peer) = timeout_at(until, server.accept()).await {
            number += 1;
            let number = if calm.load(Relaxed) { None } else { Some(number) };
            streams.spawn_local(async move {
                // However it ends, the next one is served.
                let _ = serve(peer, number, pace).await;
            });
            while streams.try_join_next().is_some() {}
        }
        if !calm.load(Relaxed) {
            server.stop();
            streams.abort_all();
            sleep(pace / 4).await;
            server.start().await.unwrap();
        }
    }
}

/// Serves one connection: for good, or as its number has it.
async fn serve(mut peer: Peer, number: Option<u32>, pace: Duration) -> std::io::Result<()> {
    let request = peer.try_request().await?;
    let way = number.map(|number| number % 9);
    match way {
        Some(0) => return peer.try_write("HTTP/1.1 503 Service Unavailable\r\n\r\n").await,
        Some(1) => return peer.into_stream().reset(),
        _ => peer.try_write(request.acceptance("")).await?,
    }
    let life = match number {
        None => Duration::MAX,
        Some(number) => pace * (number % 5 + 1),
    };
    let ended = timeout(life, echo(&mut peer)).await;
    let Err(_) = ended else { return ended.unwrap_or(Ok(())) };
    match way {
        Some(2 | 3) => peer.try_write(frame(0x88, 1001_u16.to_be_bytes())).await,
        Some(4) => peer.into_stream().reset(),
        Some(5) => peer.try_write([0x81, 100, b'h', b'a', b'l', b'f']).await,
        Some(6) => peer.half_close().await,
        // Until the client finds out.
        Some(7) => {
            sleep(5 * pace).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn echo(peer: &mut Peer) -> std::io::Result<()> {
    loop {
        let ClientFrame { opcode, payload } = peer.try_read().await?;
        match opcode {
            8 => return peer.try_write(frame(0x88, payload)).await,
            9 => peer.try_write(frame(0x8A, payload)).await?,
            _ => peer.try_write(frame(0x80 | opcode, payload)).await?,
        }
    }
}

/// Each connection has two ends in this process.
fn raise_the_limit() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}
