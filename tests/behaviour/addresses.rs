//! Where names lead: resolve, judge, dial. Names are scripted, servers are found by address, and those
//! that must not be dialled count.

use std::time::Duration;

use tokio::time::Instant;
use wsvisor::{
    AccessPolicy, AddressFate, ConnectError, ConnectionSpec, DialError, ExitClass, ExitReason,
    LifecycleEvent, ResolveError, Settings, StartConnection, StartError, Supervisor,
    testing::{Lookup, Recorder, Script, connected, connection_error, gave_up, virtual_time},
};

use crate::support::{World, ms, recorded};

const ALL: &str = "allow ws://*.example:*";

fn up() -> Script {
    Script::new().accept().expect_close()
}

/// The reason and the class of the first attempt's end.
async fn first_error(events: &mut Recorder) -> (DialError, ExitClass) {
    let event = events.expect(connection_error().epoch(1)).await;
    match event.lifecycle() {
        Some(LifecycleEvent::ConnectionError { reason: ExitReason::Dial(error), class }) => {
            (error.clone(), *class)
        }
        other => panic!("not a dial error: {other:?}"),
    }
}

#[test]
fn of_several_addresses_only_the_allowed_are_dialled() {
    virtual_time(1, async {
        let world = World::new([ALL], &[]);
        world
            .names
            .set("a.example", ["10.0.0.1", "127.0.0.1", "::1", "8.8.8.8", "169.254.169.254"]);
        let forbidden = ["ws://10.0.0.1", "ws://127.0.0.1", "ws://[::1]", "ws://169.254.169.254"];
        let _listening = forbidden.map(|url| world.serve(url, [up()]));
        let _server = world.serve("ws://8.8.8.8", [up()]);
        world.start("ws://a.example/feed").await.expect(connected().epoch(1)).await;
        assert_eq!(forbidden.map(|url| world.network.dials(url)), [0; 4]);
        assert_eq!(world.network.dials("ws://8.8.8.8"), 1);
        assert_eq!(world.names.lookups("a.example"), 1, "one resolution for an attempt");
    });
}

#[test]
fn a_name_that_leads_only_where_nobody_may_go_is_fatal() {
    for address in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.0.0.2",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ] {
        virtual_time(1, async {
            let world = World::new([ALL], &[]);
            world.names.set("a.example", [address]);
            let ip: std::net::IpAddr = address.parse().unwrap();
            let url = format!("ws://{}", std::net::SocketAddr::new(ip, 80));
            let _server = world.serve(&url, [up()]);
            let mut events = world.start("ws://a.example").await;
            let (error, class) = first_error(&mut events).await;
            assert!(matches!(error, DialError::AddressBlocked { .. }), "{address}: {error}");
            assert_eq!(class, ExitClass::Fatal, "{address}");
            events.expect(gave_up().epoch(1)).await;
            assert_eq!(world.network.dials(&url), 0, "{address}");
        });
    }
}

#[test]
fn a_name_that_is_rebound_is_judged_at_every_attempt() {
    virtual_time(1, async {
        let world = World::new([ALL], &[]);
        let answers = [["8.8.8.8"], ["8.8.4.4"], ["192.168.0.1"]];
        world.names.script("rebind.example", answers.map(Lookup::to));
        let first = world.serve("ws://8.8.8.8", [Script::new().accept().close(1001)]);
        let second = world.serve("ws://8.8.4.4", [Script::new().accept().reset()]);
        let _router = world.serve("ws://192.168.0.1", [up()]);
        let mut events = world.start("ws://rebind.example").await;
        events.until(connected().epoch(2)).await;
        let blocked = |reason: &ExitReason| matches!(reason, ExitReason::Dial(DialError::AddressBlocked { host, .. }) if host == "rebind.example");
        events.until(connection_error().epoch(3).because(blocked)).await;
        events.expect(gave_up().epoch(3)).await;
        first.done().await;
        second.done().await;
        assert_eq!(world.names.lookups("rebind.example"), 3);
        assert_eq!(world.network.dials("ws://192.168.0.1"), 0);
    });
}

#[test]
fn grants_and_deny_rules_hold_for_resolved_addresses() {
    virtual_time(1, async {
        let world = World::new([ALL, "deny ws://[8.8.8.0/24]:*"], &["10.0.0.0/8"]);
        world.names.set("a.example", ["8.8.8.8", "192.168.0.1", "10.0.0.7"]);
        let denied = ["ws://8.8.8.8", "ws://192.168.0.1"];
        let _listening = denied.map(|url| world.serve(url, [up()]));
        let _server = world.serve("ws://10.0.0.7", [up()]);
        world.start("ws://a.example").await.expect(connected().epoch(1)).await;
        assert_eq!(denied.map(|url| world.network.dials(url)), [0; 2]);
    });
}

#[test]
fn localhost_never_goes_to_dns() {
    for (rule, url) in [
        ("allow ws://localhost:9000", "ws://localhost:9000"),
        ("allow ws://app.localhost:9000", "ws://APP.localhost.:9000"),
    ] {
        virtual_time(1, async {
            let world = World::new([rule], &[]);
            // A resolver that would lead astray.
            for name in ["localhost", "app.localhost"] {
                world.names.set(name, ["8.8.8.8"]);
            }
            let _astray = world.serve("ws://8.8.8.8:9000", [up()]);
            let _server = world.serve("ws://[::1]:9000", [up()]);
            world.start(url).await.expect(connected().epoch(1)).await;
            let lookups = ["localhost", "app.localhost"].map(|name| world.names.lookups(name));
            assert_eq!((lookups, world.network.dials("ws://8.8.8.8:9000")), ([0; 2], 0), "{url}");
        });
    }
}

#[test]
fn localhost_by_a_wildcard_leads_nowhere() {
    virtual_time(1, async {
        let world = World::new(["allow ws://*:*"], &[]);
        let _server = world.serve("ws://127.0.0.1:9000", [up()]);
        let (error, class) = first_error(&mut world.start("ws://localhost:9000").await).await;
        assert!(matches!(error, DialError::AddressBlocked { .. }), "{error}");
        assert_eq!(class, ExitClass::Fatal);
        assert_eq!(world.network.dials("ws://127.0.0.1:9000"), 0);
    });
}

#[test]
fn what_the_resolver_says_is_told_apart() {
    type Check = fn(&DialError) -> bool;
    let cases: [(&str, Lookup, ExitClass, Check); 5] = [
        ("gone", Lookup::NotFound, ExitClass::RETRY_SLOW, |error| {
            matches!(error, DialError::Resolve { source: ResolveError::NotFound, .. })
        }),
        ("empty", Lookup::Found(vec![]), ExitClass::RETRY_SLOW, |error| {
            matches!(error, DialError::NoAddress { .. })
        }),
        ("broken", Lookup::Unavailable, ExitClass::RETRY, |error| {
            matches!(error, DialError::Resolve { source: ResolveError::Unavailable, .. })
        }),
        ("silent", Lookup::Silence, ExitClass::RETRY, |error| {
            matches!(error, DialError::Resolve { source: ResolveError::TimedOut(_), .. })
        }),
        ("slow", Lookup::to(["8.8.8.8"]).after(ms(5_001)), ExitClass::RETRY, |error| {
            matches!(error, DialError::Resolve { source: ResolveError::TimedOut(_), .. })
        }),
    ];
    for (name, lookup, expected, check) in cases {
        virtual_time(1, async {
            let world = World::new([ALL], &[]);
            world.names.script(format!("{name}.example"), [lookup]);
            let start = Instant::now();
            let mut events = world.start(&format!("ws://{name}.example")).await;
            let (error, class) = first_error(&mut events).await;
            assert!(check(&error), "{name}: {error}");
            assert_eq!(class, expected, "{name}");
            assert!(error.to_string().contains(&format!("{name}.example")), "{error}");
            assert!(start.elapsed() <= ms(5_010), "{name} took {:?}", start.elapsed());
        });
    }
}

#[test]
fn a_slow_resolver_is_waited_for() {
    virtual_time(1, async {
        let world = World::new([ALL], &[]);
        world.names.script("a.example", [Lookup::to(["8.8.8.8"]).after(ms(4_900))]);
        let _server = world.serve("ws://8.8.8.8", [up()]);
        world.start("ws://a.example").await.expect(connected().epoch(1)).await;
    });
}

/// How long the first connection takes when these addresses do so.
fn time_to_connect(addresses: &[&str], silent: &[&str], server: &str) -> Duration {
    virtual_time(1, async {
        let world = World::new([ALL], &[]);
        world.names.set("a.example", addresses);
        for url in silent {
            world.network.swallow(url);
        }
        let _server = world.serve(server, [up()]);
        let start = Instant::now();
        let mut events = world.start("ws://a.example").await;
        events.expect(connected().epoch(1)).await;
        start.elapsed()
    })
}

/// RFC 8305 §5: the next address after 250 ms, or as soon as one has failed.
#[test]
fn a_dead_address_costs_a_quarter_of_a_second() {
    let v6 = ["2606:4700::1", "2606:4700::2"];
    let addresses = [v6[0], v6[1], "8.8.8.8", "8.8.4.4"];
    let is = |took: Duration, expected: u64| {
        assert!(took >= ms(expected) && took < ms(expected + 20), "{took:?}, not {expected} ms");
    };
    // Refused addresses cost nothing.
    is(time_to_connect(&addresses, &[], "ws://8.8.4.4"), 0);
    // The families alternate: the second address is of the other one.
    is(time_to_connect(&addresses, &["ws://[2606:4700::1]"], "ws://8.8.8.8"), 250);
    let silent = ["ws://[2606:4700::1]", "ws://8.8.8.8"];
    is(time_to_connect(&addresses, &silent, "ws://[2606:4700::2]"), 500);
    let silent = ["ws://[2606:4700::1]", "ws://8.8.8.8", "ws://[2606:4700::2]"];
    is(time_to_connect(&addresses, &silent, "ws://8.8.4.4"), 750);
}

#[test]
fn the_error_says_what_happened_with_each_address() {
    virtual_time(1, async {
        let world = World::new([ALL], &[]);
        world.names.set("a.example", ["8.8.8.8", "10.0.0.1", "2606:4700::1"]);
        world.network.swallow("ws://8.8.8.8");
        let start = Instant::now();
        let mut events = world.start("ws://a.example/?token=canary").await;
        let (error, class) = first_error(&mut events).await;
        assert_eq!(class, ExitClass::RETRY);
        assert_eq!(
            error.to_string(),
            "cannot connect to a.example: 10.0.0.1 is in 10.0.0.0/8 (private, RFC 1918), where a name must \
             not lead; if it is meant to, grant its network to resolved names or allow the address itself; \
             8.8.8.8:80: no answer in time; [2606:4700::1]:80: connection refused"
        );
        // All of them share one limit.
        assert_eq!(start.elapsed().as_secs(), 10);
        let DialError::Tcp { addresses, .. } = error else { panic!("{error}") };
        assert!(matches!(addresses.iter().next().unwrap().fate, AddressFate::Blocked(_)));
    });
}

#[test]
fn many_addresses_are_not_all_tried() {
    virtual_time(1, async {
        let world = World::new([ALL], &[]);
        let many: Vec<_> = (0..200).map(|last| format!("8.8.8.{last}")).collect();
        world.names.set("a.example", &many);
        let mut events = world.start("ws://a.example").await;
        let (error, _) = first_error(&mut events).await;
        let DialError::Tcp { addresses, .. } = error else { panic!("{error}") };
        let tried = addresses.iter().filter(|it| matches!(it.fate, AddressFate::Failed(_))).count();
        assert_eq!((tried, addresses.iter().count()), (16, 64));
        let dialled = many.iter().filter(|ip| world.network.dials(&format!("ws://{ip}")) > 0);
        assert_eq!(dialled.count(), 16);
    });
}

#[actix::test]
async fn the_systems_resolver_finds_and_does_not_find() {
    let policy = AccessPolicy::from_rules(["allow ws://*:*"]).unwrap();
    let supervisor = Supervisor::builder().policy(policy).start().unwrap();
    // RFC 6761 §6.4: this name never exists. Some resolvers are not reached where tests run.
    let (spec, mut events) = recorded(ConnectionSpec::string("a", "ws://nothing.invalid"));
    let settings = Settings::default();
    supervisor.send(StartConnection(spec.settings(settings))).await.unwrap().unwrap();
    let (error, _) = first_error(&mut events).await;
    assert!(
        matches!(
            &error,
            DialError::Resolve { host, source: ResolveError::NotFound | ResolveError::Unavailable
                | ResolveError::TimedOut(_) } if host == "nothing.invalid"
        ),
        "{error:?}"
    );
}

/// Texts that lead to this machine or its network while a look at them tells something else.
#[test]
fn no_spelling_of_an_inner_address_gets_past_the_policy() {
    virtual_time(1, async {
        let world = World::new(["allow ws://*:*", "allow wss://*:*"], &[]);
        let inner = ["ws://127.0.0.1", "ws://0.0.0.0", "ws://[::1]", "ws://169.254.169.254"];
        let _listening = inner.map(|url| world.serve(url, [up()]));
        for (index, url) in [
            "ws://127.0.0.1",
            "ws://2130706433",
            "ws://0x7f000001",
            "ws://0x7f.1",
            "ws://0177.0.0.1",
            "ws://127.1",
            "ws://0",
            "ws://0.0.0.0",
            "ws://127.0.0.1.",
            "ws://%31%32%37.0.0.1",
            "ws://127。0。0。1",
            "ws://[::1]",
            "ws://[::]",
            "ws://[0:0::1]",
            "ws://[::ffff:127.0.0.1]",
            "ws://[::ffff:7f00:1]",
            "ws://[::ffff:a9fe:a9fe]",
            "ws://[64:ff9b::7f00:1]",
            "ws://[2002:7f00:1::]",
            "ws://[fd00:ec2::254]",
            "ws://[fe80::1]",
            "ws://169.254.169.254",
            "ws://2852039166",
            "ws://[fe80::1%lo]",
            "ws://[fe80::1%25lo]",
            "ws://a.example@127.0.0.1",
            r"ws://a.example\@127.0.0.1",
            "ws://127.0.0.1#@a.example",
            " ws://127.0.0.1",
            "ws:127.0.0.1",
            "ws:///127.0.0.1",
            "ws://127.0.0.1:0",
            "ws://a.example:80@127.0.0.1",
            "wss+insecure://127.0.0.1",
            "http://127.0.0.1",
            "ws://127.0.0.1\r\n@a.example",
        ]
        .into_iter()
        .enumerate()
        {
            let spec = ConnectionSpec::string(format!("c{index}"), url);
            let started = world.supervisor.send(StartConnection(spec)).await.unwrap();
            assert!(
                matches!(
                    &started,
                    Err(StartError::Connect {
                        source: ConnectError::UrlBlocked(_) | ConnectError::InvalidUrl(_),
                        ..
                    })
                ),
                "{url}: {started:?}"
            );
        }
        assert_eq!(inner.map(|url| world.network.dials(url)), [0; 4]);
    });
}
