//! Five thousand connections lose their server and get it back, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use wsvisor::{
    AccessPolicy, ConnectionSpec, CountConnections, DialGate, Liveness, Settings, StartConnection,
    Supervisor,
    testing::{Network, Peer, Recorder, Server, connected, virtual_time},
};

const FLEET: usize = 5_000;
const OTHERS: usize = 50;
const AT_ONCE: usize = 60;
const PER_SECOND: u32 = 400;
/// How long a server takes for an opening handshake.
const HANDSHAKE: Duration = Duration::from_millis(100);

/// A server that knows how many shake hands with it at once, and when they came.
#[derive(Default)]
struct Host {
    streams: RefCell<JoinSet<()>>,
    shaking: Cell<usize>,
    most: Cell<usize>,
    /// Arrivals in each second since a time.
    arrivals: RefCell<BTreeMap<u64, usize>>,
}

impl Host {
    fn serve(self: &Rc<Self>, server: Server, since: Instant) -> actix_rt::task::JoinHandle<()> {
        let host = Rc::clone(self);
        actix_rt::spawn(async move {
            loop {
                let peer = server.accept().await;
                *host.arrivals.borrow_mut().entry(since.elapsed().as_secs()).or_default() += 1;
                let shake = Rc::clone(&host).shake(peer);
                host.streams.borrow_mut().spawn_local(shake);
            }
        })
    }

    async fn shake(self: Rc<Self>, mut peer: Peer) {
        self.shaking.set(self.shaking.get() + 1);
        self.most.set(self.most.get().max(self.shaking.get()));
        sleep(HANDSHAKE).await;
        peer.shake_hands().await;
        self.shaking.set(self.shaking.get() - 1);
        // Nobody sends anything: this ends with the stream.
        let _ = peer.try_read().await;
    }
}

#[test]
fn five_thousand_connections_get_their_server_back() {
    virtual_time(1, async {
        let network = Network::new();
        let (big, small) = (Rc::new(Host::default()), Rc::new(Host::default()));
        let [big_url, small_url] = ["ws://big.test", "ws://small.test"];
        let began = Instant::now();
        let acceptor = big.serve(network.listen(big_url), began);
        let _small = small.serve(network.listen(small_url), began);

        let policy = AccessPolicy::from_rules(["allow ws://*.test"]).unwrap();
        let supervisor = Supervisor::builder()
            .policy(policy)
            .dialler(network.clone())
            .dial_gate(DialGate::new(AT_ONCE, PER_SECOND).unwrap())
            .start()
            .unwrap();
        let (mut fleet, mut others) = (Recorder::start(), Recorder::start());
        for number in 0..FLEET + OTHERS {
            let url = if number < FLEET { big_url } else { small_url };
            let recorder = if number < FLEET { &fleet } else { &others };
            // These servers answer no pings.
            let quiet = Settings::default().liveness(Liveness::off());
            let spec = ConnectionSpec::string(format!("c{number}"), url)
                .settings(quiet)
                .subscribe(recorder.lifecycle());
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        }
        for _ in 0..FLEET {
            fleet.expect(connected()).await;
        }
        let started_in = began.elapsed();
        for _ in 0..OTHERS {
            others.expect(connected()).await;
        }
        assert!(big.most.get() <= AT_ONCE, "{} dialled at once", big.most.get());

        // The server is killed, and comes back after two minutes.
        acceptor.abort();
        network.refuse(big_url);
        big.streams.borrow_mut().abort_all();
        big.shaking.set(0);
        big.most.set(0);
        let dials_before = network.dials(big_url);
        sleep(Duration::from_mins(2)).await;
        let vain = network.dials(big_url) - dials_before;
        // Without a breaker, each of them would have tried about eight times.
        assert!(vain < 500, "{vain} dials while the server was down");

        let back = Instant::now();
        big.arrivals.borrow_mut().clear();
        let _acceptor = big.serve(network.listen(big_url), back);
        for _ in 0..FLEET {
            fleet.until(connected()).await;
        }
        let returned_in = back.elapsed();
        assert!(returned_in < Duration::from_mins(3), "it took {returned_in:?}");
        let counts = supervisor.send(CountConnections).await.unwrap();
        assert_eq!((counts.specs, counts.connected), (FLEET + OTHERS, FLEET + OTHERS));
        let arrivals = big.arrivals.take();
        println!("{FLEET} started in {started_in:?}; {vain} dials in 120 s without the server");
        println!("back in {returned_in:?}; dials in each second after its return:");
        for (second, dials) in &arrivals {
            println!("{second:4} s {dials:5} {}", "#".repeat(dials / 8));
        }
        assert!(big.most.get() <= AT_ONCE, "{} dialled at once", big.most.get());
        let fastest = arrivals.values().copied().max().unwrap();
        let allowed = PER_SECOND as usize + AT_ONCE;
        assert!(fastest <= allowed, "{fastest} dials in a second, and {allowed} are allowed");
        assert_eq!(arrivals.values().sum::<usize>(), FLEET, "each dials once");
        assert_eq!(network.live(big_url), FLEET);
        // The other server's connections have not noticed anything.
        others.expect_none(Duration::ZERO).await;
        assert_eq!(network.dials(small_url), OTHERS as u64);
    });
}
