//! B14 to B20: what servers ask for, hosts that are down, and groups.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};
use wsvisor::{
    Backoff, CascadeOn, ConnectionSpec, DialGate, HostBreaker, Intensity, Jitter, Strategy,
    testing::{
        Peer, Recorder, Server, backoff_scheduled, connected, connection_error, disconnected,
        gave_up, virtual_time,
    },
};

use super::{Crashes, DELAY, builder, delay, exact, secs, start, watched};
use crate::support::{listen, network, quick};

#[test]
fn b14_close_1012_is_a_floor_of_the_delay() {
    virtual_time(1, async {
        let (supervisor, mut events) = watched(builder());
        for number in 0..20 {
            let server = listen();
            let id = format!("c{number}");
            let spec = ConnectionSpec::string(id.as_str(), server.url()).backoff(quick());
            start(&supervisor, spec).await;
            let mut peer = server.open().await;
            peer.close(1012).await;
            drop(peer);
            let delay = delay(events.until(backoff_scheduled().of(id)).await);
            assert!((secs(5)..=secs(30)).contains(&delay), "{delay:?}");
        }
    });
}

/// Refuses one attempt, with this header.
async fn refuse(server: &Server, status: &str, header: &str) {
    let mut peer = server.accept().await;
    peer.request().await;
    peer.write(format!("HTTP/1.1 {status}\r\n{header}\r\n\r\n")).await;
}

#[test]
fn b15_retry_after_is_a_floor_in_seconds_and_as_a_date() {
    virtual_time(1, async {
        // The calendar of virtual time begins with the year 2025.
        let new_year = SystemTime::UNIX_EPOCH + secs(1_735_689_600);
        for (status, header, least) in [
            ("503 Service Unavailable", "Retry-After: 120".to_owned(), 120),
            ("429 Too Many Requests", "Retry-After: 90".to_owned(), 90),
            (
                "503 Service Unavailable",
                "Retry-After: Wed, 01 Jan 2025 00:10:00 GMT".to_owned(),
                595,
            ),
            // No server may put a connection to sleep for a day.
            ("503 Service Unavailable", "Retry-After: 86400".to_owned(), 600),
        ] {
            let server = listen();
            let (supervisor, mut events) = watched(builder());
            let spec = ConnectionSpec::string("a", server.url()).backoff(quick());
            start(&supervisor, spec).await;
            refuse(&server, status, &header).await;
            let delay = delay(events.until(backoff_scheduled()).await);
            let most = secs(least + 10);
            assert!((secs(least)..=most).contains(&delay), "{header}: {delay:?}, {new_year:?}");
        }
    });
}

#[test]
fn b16_what_a_server_asks_of_one_connection_holds_all_to_it() {
    virtual_time(1, async {
        let (busy, other) = (listen(), listen());
        let (supervisor, mut events) = watched(builder());
        let spec =
            |id: &str, server: &Server| ConnectionSpec::string(id, server.url()).backoff(quick());
        // Once as Retry-After, and once as a close with 1013.
        start(&supervisor, spec("first", &busy)).await;
        refuse(&busy, "503 Service Unavailable", "Retry-After: 60").await;
        events.until(backoff_scheduled().of("first")).await;
        let began = Instant::now();
        start(&supervisor, spec("second", &busy)).await;
        start(&supervisor, spec("elsewhere", &other)).await;
        let _elsewhere = other.open().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "another host is not held");
        let mut peer = busy.open().await;
        assert!(began.elapsed() >= secs(60), "{:?}", began.elapsed());
        let _second = busy.open().await;

        let began = Instant::now();
        peer.close(1013).await;
        drop(peer);
        events.until(disconnected()).await;
        start(&supervisor, spec("third", &busy)).await;
        let _third = busy.open().await;
        assert!(began.elapsed() >= secs(5), "{:?}", began.elapsed());
    });
}

async fn start_fleet(supervisor: &actix::Addr<wsvisor::Supervisor>, connections: u64, url: &str) {
    for number in 0..connections {
        let spec = ConnectionSpec::string(format!("c{number}"), url);
        start(supervisor, spec.backoff(quick())).await;
    }
}

/// How long it takes until so many are connected.
async fn all_come(connections: u64, server: &Server, events: &mut Recorder) -> Duration {
    let began = Instant::now();
    let mut peers = Vec::new();
    for _ in 0..connections {
        peers.push(server.open().await);
        events.until(connected()).await;
    }
    began.elapsed()
}

#[test]
fn b17_while_a_host_is_down_one_connection_probes_it() {
    const FLEET: u64 = 200;
    virtual_time(1, async {
        let mut server = listen();
        let url = server.url();
        server.stop();
        let breaker = HostBreaker::after(5).unwrap().dead_time(secs(10), secs(10)).unwrap();
        let gate = DialGate::new(5, 50).unwrap();
        let (supervisor, mut events) = watched(builder().host_breaker(breaker).dial_gate(gate));
        start_fleet(&supervisor, FLEET, &url).await;
        sleep(secs(600)).await;
        let in_vain = network().dials(&url);
        // Five to find it down, those that were under way, and one in 5 to 10 s.
        assert!((60..=140).contains(&in_vain), "{in_vain} dials in ten minutes");
        // It delays and fails nobody: all are there once the host is.
        server.start().await.unwrap();
        let took = all_come(FLEET, &server, &mut events).await;
        assert!((secs(3)..=secs(20)).contains(&took), "released at 50 a second: {took:?}");
    });
}

/// Its dead time would be minutes by then.
#[test]
fn b17_a_host_that_was_down_and_asks_for_time_is_probed_when_it_said() {
    const FLEET: u64 = 20;
    virtual_time(1, async {
        let mut server = listen();
        let url = server.url();
        server.stop();
        let breaker = HostBreaker::after(5).unwrap().dead_time(secs(4), secs(600)).unwrap();
        let (supervisor, mut events) = watched(builder().host_breaker(breaker));
        start_fleet(&supervisor, FLEET, &url).await;
        sleep(secs(600)).await;
        server.start().await.unwrap();
        refuse(&server, "503 Service Unavailable", "Retry-After: 3").await;
        let took = all_come(FLEET, &server, &mut events).await;
        assert!((secs(3)..=secs(8)).contains(&took), "3 s were asked for: {took:?}");
    });
}

/// Three connections of a group, each with a server of its own.
async fn group(
    supervisor: &actix::Addr<wsvisor::Supervisor>,
    events: &mut Recorder,
    servers: &[Server; 3],
) -> [Option<Peer>; 3] {
    let mut peers = [None, None, None];
    for (index, id) in ["a", "b", "c"].into_iter().enumerate() {
        // Each has a backoff of its own.
        let delay = DELAY * (u32::try_from(index).unwrap() + 1);
        let backoff = Backoff::between(delay, delay).unwrap().jitter(Jitter::None);
        let spec = ConnectionSpec::string(id, servers[index].url()).backoff(backoff);
        start(supervisor, spec).await;
        peers[index] = Some(servers[index].open().await);
        events.expect(connected().of(id)).await;
    }
    peers
}

/// It is closed by us, and answers.
async fn answer_close(peer: &mut Option<Peer>) {
    let mut peer = peer.take().unwrap();
    peer.read_close().await;
    peer.close(1000).await;
}

#[test]
fn b18_a_group_waits_once_for_the_longest_of_its_backoffs() {
    virtual_time(1, async {
        let group_builder =
            builder().strategy(Strategy::OneForAll).cascade_on(CascadeOn::SessionLost);
        let (supervisor, mut events) = watched(group_builder);
        let servers = [listen(), listen(), listen()];
        let mut peers = group(&supervisor, &mut events, &servers).await;
        let began = Instant::now();
        peers[0].take().unwrap().reset();
        events.until(disconnected().of("a")).await;
        answer_close(&mut peers[2]).await;
        // While the group waits for `a`'s 3 s, `b` fails as well, whose backoff is 6 s.
        sleep(secs(1)).await;
        peers[1].take().unwrap().reset();
        for (index, id) in ["a", "b", "c"].into_iter().enumerate() {
            peers[index] = Some(servers[index].open().await);
            events.until(connected().of(id)).await;
            let waited = began.elapsed();
            assert!(waited <= secs(1) + DELAY * 2, "{id} after {waited:?}");
            assert!(waited >= DELAY, "{id} after {waited:?}");
        }
        events.expect_none(secs(10)).await;
    });
}

#[test]
fn b19_a_failure_of_a_group_counts_once() {
    virtual_time(1, async {
        let two = Intensity::new(2, secs(3600)).all_restarts().per_supervisor();
        let group_builder = builder().intensity(two).strategy(Strategy::OneForAll);
        let (supervisor, mut events) = watched(group_builder.cascade_on(CascadeOn::SessionLost));
        let servers = [listen(), listen(), listen()];
        let mut peers = group(&supervisor, &mut events, &servers).await;
        for _ in 0..2 {
            peers[1].take().unwrap().reset();
            events.until(disconnected().of("b")).await;
            answer_close(&mut peers[2]).await;
            answer_close(&mut peers[0]).await;
            for (index, id) in ["a", "b", "c"].into_iter().enumerate() {
                peers[index] = Some(servers[index].open().await);
                events.until(connected().of(id)).await;
            }
        }
        // The third is one too many; three of three would have been too many at the first.
        peers[1].take().unwrap().reset();
        events.expect(disconnected().of("b")).await;
        events.expect(gave_up().of("b")).await;
        events.expect_none(secs(10)).await;
    });
}

#[test]
fn b20_a_lost_session_fails_a_group_only_where_that_is_asked_for() {
    virtual_time(1, async {
        let (crashes, lost, other) = (Crashes::default(), listen(), listen());
        // By default a group fails by a crash.
        let group_builder = crashes.builder().strategy(Strategy::OneForAll);
        let (supervisor, mut events) = watched(group_builder);
        for (id, server) in [("lost", &lost), ("other", &other)] {
            start(&supervisor, ConnectionSpec::string(id, server.url()).backoff(exact())).await;
        }
        let mut other_peer = Some(other.open().await);
        lost.open().await.reset();
        let again = lost.open().await;
        events.until(connected().of("lost").epoch(2)).await;
        other_peer.as_mut().unwrap().ping("still there?").await;
        assert_eq!(other_peer.as_mut().unwrap().read().await.payload, b"still there?");

        crashes.next(1);
        again.reset();
        events.until(connection_error().of("lost").epoch(3)).await;
        answer_close(&mut other_peer).await;
        let _peers = [lost.open().await, other.open().await];
        events.until(connected().of("lost").epoch(4)).await;
        events.until(connected().of("other").epoch(2)).await;
    });
}
