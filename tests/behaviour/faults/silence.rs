//! Addresses that are dead, and paths that fall silent: rows 3, 34, 35 and 40 of the list in [`super`].

use std::time::Duration;

use wsvisor::{
    AccessPolicy, ConnectionSpec, ExitReason, StartConnection, Supervisor, Verdict,
    testing::{
        Fault as Harm, Faults, Names, Network, Point, Recorder, Script, connected, suspend,
        virtual_time,
    },
};

use super::{
    ground::{Ground, Neighbour, Watchdog, echo},
    stage::{Fault, Next},
};
use crate::support::ms;

const SECOND: Duration = Duration::from_secs(1);

/// The first address refuses, or is silent: the second one is connected to all the same.
#[test]
fn fault_03_the_first_of_two_addresses_is_dead() {
    let _watchdog = Watchdog::start();
    for (is_silent, most) in [(false, ms(10)), (true, ms(300))] {
        virtual_time(1, async {
            let (names, network) = (Names::new(), Network::new().by_address());
            let policy = AccessPolicy::from_rules(["allow ws://*.example", "allow ws://8.8.8.8"]);
            let supervisor = Supervisor::builder()
                .policy(policy.unwrap())
                .dialler(network.clone())
                .resolver(names.clone())
                .start()
                .unwrap();
            let healthy = network.listen("ws://8.8.8.8");
            let url = healthy.url();
            actix_rt::spawn(echo(healthy));
            let neighbour = Neighbour::with_server(&supervisor, &url, ms(10)).await;

            names.set("two.example", ["9.9.9.9", "8.8.4.4"]);
            if is_silent {
                network.swallow("ws://9.9.9.9");
            }
            actix_rt::spawn(echo(network.listen("ws://8.8.4.4")));
            let mut events = Recorder::start();
            let spec = ConnectionSpec::string("victim", "ws://two.example");
            let began = tokio::time::Instant::now();
            supervisor
                .send(StartConnection(spec.subscribe(events.lifecycle())))
                .await
                .unwrap()
                .unwrap();
            events.expect(connected().epoch(1)).await;
            assert!(began.elapsed() <= most, "{:?}", began.elapsed());
            neighbour.end_well().await;
        });
    }
}

/// The path is gone, and nobody says so: a ping that goes out within 20 s is not answered within
/// another 20 s.
#[test]
fn fault_34_the_path_is_lost_in_silence() {
    let lost = || Harm::Stall(Point::Time(SECOND), None);
    for faults in [
        Faults::new().both(lost()),
        // One direction is enough.
        Faults::new().to_client(lost()),
        Faults::new().to_server(lost()),
    ] {
        let fault = Fault::of_network(faults).after_saying(&["one"]).after_hearing(&["one"]);
        fault.breaks(41 * SECOND, 1006, Next::Retries, |reason| {
            matches!(reason, ExitReason::Judged(Verdict::PingUnanswered { .. }))
        });
    }
}

/// It sends, and reads nothing. What it sends is delivered all the while; what waits for it has a
/// fate in the end. Its memory is bounded by the outbox: `what_a_server_does_not_read_is_bounded`.
#[test]
fn fault_35_the_server_does_not_read() {
    let script = Script::new().accept().send_text("before").pause(15 * SECOND);
    let script = script.send_text("still").vanish();
    let deaf = Faults::new().to_server(Harm::Stall(Point::Byte(60_000), None));
    let kilobytes = vec![&*"x".repeat(1_000).leak(); 800].leak();
    Fault::of(script)
        .through(deaf)
        .after_saying(kilobytes)
        .after_hearing(&["before", "still"])
        .breaks(41 * SECOND, 1006, Next::Retries, |reason| {
            matches!(
                reason,
                ExitReason::Judged(Verdict::PingUnanswered { .. } | Verdict::SendStalled { .. })
            )
        });
}

/// The machine sleeps for an hour, a hundred times: the session's peers are asked before they are
/// judged, intervals that were missed are not made up for, and the sessions go on.
#[test]
fn fault_40_the_clock_jumps() {
    let _watchdog = Watchdog::start();
    virtual_time(1, async {
        let ground = Ground::new(super::ground::Over::Memory);
        let neighbour = Neighbour::start(&ground).await;
        for _ in 0..100 {
            suspend(Duration::from_hours(1));
            tokio::time::sleep(SECOND).await;
        }
        neighbour.end_well().await;
    });
}
