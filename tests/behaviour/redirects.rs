//! Redirects: not followed unless that is asked for, and each hop judged then.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use wsvisor::{
    ConnectionSpec, Credentials, DialError, ExitClass, ExitReason, LifecycleEvent, ProviderRequest,
    RedirectRefused, StartConnection,
    testing::{Recorder, Script, connected, connection_error, gave_up, virtual_time},
};

use crate::support::{World, recorded};

/// Three hosts; a router in the private network; and a rule for each thing that may go wrong.
fn world() -> World {
    let world = World::new(["allow ws://*.example:*", "deny ws://denied.example:*"], &[]);
    for (name, address) in [
        ("a.example", "8.8.8.1"),
        ("b.example", "8.8.8.2"),
        ("denied.example", "8.8.8.3"),
        ("inside.example", "10.0.0.1"),
    ] {
        world.names.set(name, [address]);
    }
    world
}

fn sent_to(status: &str, location: &str) -> Script {
    Script::new().refuse(status, format!("Location: {location}\r\n"))
}

async fn start(world: &World, spec: ConnectionSpec) -> Recorder {
    let (spec, events) = recorded(spec);
    world.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    events
}

/// How the first attempt ended.
async fn first_end(events: &mut Recorder) -> (ExitReason, ExitClass) {
    let event = events.expect(connection_error().epoch(1)).await;
    match event.lifecycle() {
        Some(LifecycleEvent::ConnectionError { reason, class }) => (reason.clone(), *class),
        other => panic!("{other:?}"),
    }
}

fn refused(reason: ExitReason) -> (u16, RedirectRefused) {
    match reason {
        ExitReason::Redirect { status, refused } => (status, refused),
        other => panic!("not a redirect: {other}"),
    }
}

#[test]
fn they_are_not_followed_unless_that_is_asked_for() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        virtual_time(1, async {
            let world = world();
            let _a =
                world.serve("ws://8.8.8.1", [sent_to(status, "ws://b.example/feed?token=canary")]);
            let _b = world.serve("ws://8.8.8.2", [Script::new().accept()]);
            let mut events = start(&world, ConnectionSpec::string("a", "ws://a.example")).await;
            let (reason, class) = first_end(&mut events).await;
            assert_eq!(class, ExitClass::Fatal);
            let shown = format!("{reason} {reason:?}");
            assert!(
                shown.contains("ws://b.example/feed?…") && !shown.contains("canary"),
                "{shown}"
            );
            assert!(matches!(refused(reason), (301..=308, RedirectRefused::NotFollowed { .. })));
            events.expect(gave_up().epoch(1)).await;
            assert_eq!(world.names.lookups("b.example"), 0);
            assert_eq!(world.network.dials("ws://8.8.8.2"), 0);
        });
    }
}

#[test]
fn other_answers_are_no_redirects() {
    virtual_time(1, async {
        let world = world();
        let _a = world.serve("ws://8.8.8.1", [sent_to("304 Not Modified", "ws://b.example")]);
        let spec = ConnectionSpec::string("a", "ws://a.example").follow_redirects(5);
        let (reason, class) = first_end(&mut start(&world, spec).await).await;
        assert!(matches!(reason, ExitReason::Handshake(_)), "{reason}");
        assert_eq!((class, world.network.dials("ws://8.8.8.2")), (ExitClass::Fatal, 0));
    });
}

/// With every kind of credential; what the server is sent that accepts at last.
async fn headers_after(hops: &[(&str, &str)], last: &str) -> Vec<(&'static str, Option<String>)> {
    let world = world();
    let servers: Vec<_> = hops
        .iter()
        .map(|(at, location)| world.serve(at, [sent_to("307 Temporary", location)]))
        .collect();
    let server = world.network.listen(last);
    let spec = ConnectionSpec::string("a", "ws://a.example")
        .follow_redirects(4)
        .bearer_auth("canary-token")
        .header("Cookie", "canary=1")
        .header("x-api-key", "canary")
        .header("User-Agent", "bot/1")
        .header("Origin", "https://bots.example")
        .subprotocol("v1.chat");
    let mut events = start(&world, spec).await;
    let mut peer = server.accept().await;
    let request = peer.shake_hands_with("Sec-WebSocket-Protocol: v1.chat\r\n").await;
    events.expect(connected().epoch(1)).await;
    for server in servers {
        server.done().await;
    }
    [
        "authorization",
        "cookie",
        "x-api-key",
        "user-agent",
        "origin",
        "sec-websocket-protocol",
        "host",
    ]
    .map(|name| (name, request.header(name).map(str::to_owned)))
    .to_vec()
}

#[test]
fn credentials_go_along_within_an_origin() {
    virtual_time(1, async {
        // The same origin plays both parts.
        let world = world();
        let server = world.network.listen("ws://8.8.8.1");
        let spec = ConnectionSpec::string("a", "ws://a.example/old")
            .follow_redirects(1)
            .bearer_auth("canary")
            .header("x-api-key", "canary");
        let mut events = start(&world, spec).await;
        let mut peer = server.accept().await;
        let request = peer.request().await;
        assert_eq!(request.request_line(), "GET /old HTTP/1.1");
        peer.write("HTTP/1.1 308 Permanent\r\nLocation: /new?q\r\n\r\n").await;
        let mut peer = server.accept().await;
        let request = peer.shake_hands().await;
        assert_eq!(request.request_line(), "GET /new?q HTTP/1.1");
        assert_eq!(request.header("authorization"), Some("Bearer canary"));
        assert_eq!(request.header("x-api-key"), Some("canary"));
        events.expect(connected().epoch(1)).await;
    });
}

#[test]
fn credentials_are_dropped_across_origins() {
    let stripped = |host: &str| {
        [
            ("authorization", None),
            ("cookie", None),
            ("x-api-key", None),
            ("user-agent", Some("bot/1")),
            ("origin", Some("https://bots.example")),
            ("sec-websocket-protocol", Some("v1.chat")),
            ("host", Some(host)),
        ]
        .map(|(name, value)| (name, value.map(str::to_owned)))
    };
    virtual_time(1, async {
        // Another host, and another port of the same one; and back again.
        let hops = [("ws://8.8.8.1", "//b.example/")];
        assert_eq!(headers_after(&hops, "ws://8.8.8.2").await, stripped("b.example"));
        let hops = [("ws://8.8.8.1", "//a.example:81/")];
        assert_eq!(headers_after(&hops, "ws://8.8.8.1:81").await, stripped("a.example:81"));
        let hops = [
            ("ws://8.8.8.1", "//b.example/"),
            ("ws://8.8.8.2", "//a.example:81/x"),
            ("ws://8.8.8.1:81", "y"),
        ];
        let world_end = headers_after(&hops[..2], "ws://8.8.8.1:81").await;
        assert_eq!(world_end, stripped("a.example:81"));
    });
}

#[test]
fn a_provider_is_not_asked_on_behalf_of_a_stranger() {
    virtual_time(1, async {
        let world = world();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let provider = move |_: ProviderRequest| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(Credentials::bearer("canary")) }
        };
        let _a = world.serve(
            "ws://8.8.8.1",
            [sent_to("302 Found", "https://b.example/"), sent_to("302 Found", "http://b.example/")],
        );
        let server = world.network.listen("ws://8.8.8.2");
        let spec = ConnectionSpec::string("a", "ws://a.example").follow_redirects(1).auth(provider);
        let mut events = start(&world, spec).await;
        // `wss` is not allowed there, and so nothing is dialled.
        let (reason, _) = first_end(&mut events).await;
        assert!(matches!(refused(reason), (302, RedirectRefused::Denied(_))));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        drop(events);
        let provider = |_: ProviderRequest| async { Ok(Credentials::bearer("canary")) };
        let spec = ConnectionSpec::string("b", "ws://a.example").follow_redirects(1).auth(provider);
        let mut events = start(&world, spec).await;
        let mut peer = server.accept().await;
        let request = peer.request().await;
        assert_eq!(request.header("authorization"), None);
        // That it wants credentials says nothing of those that it was not shown.
        peer.write("HTTP/1.1 401 Unauthorized\r\n\r\n").await;
        let (reason, class) = first_end(&mut events).await;
        assert!(matches!(reason, ExitReason::Handshake(_)), "{reason}");
        assert_eq!(class, ExitClass::Fatal);
    });
}

#[test]
fn a_hop_that_nobody_may_take_is_not_taken() {
    for (location, untouched) in [
        ("ws://denied.example/", "ws://8.8.8.3"),
        ("ws://8.8.8.3/", "ws://8.8.8.3"),
        ("ws://127.0.0.1/", "ws://127.0.0.1"),
        ("ws://0x7f.1/", "ws://127.0.0.1"),
        ("ws://localhost/", "ws://127.0.0.1"),
        ("ws://elsewhere.net/", "ws://8.8.8.3"),
    ] {
        virtual_time(1, async {
            let world = world();
            let _a = world.serve("ws://8.8.8.1", [sent_to("302 Found", location)]);
            let _there = world.serve(untouched, [Script::new().accept()]);
            let spec = ConnectionSpec::string("a", "ws://a.example").follow_redirects(5);
            let mut events = start(&world, spec).await;
            let (reason, class) = first_end(&mut events).await;
            assert!(matches!(refused(reason), (302, RedirectRefused::Denied(_))), "{location}");
            assert_eq!(class, ExitClass::Fatal);
            events.expect(gave_up()).await;
            assert_eq!(world.network.dials(untouched), 0, "{location}");
        });
    }
}

#[test]
fn the_guard_judges_each_hop() {
    virtual_time(1, async {
        let world = world();
        let _a = world.serve("ws://8.8.8.1", [sent_to("302 Found", "//inside.example/")]);
        let _inside = world.serve("ws://10.0.0.1", [Script::new().accept()]);
        let spec = ConnectionSpec::string("a", "ws://a.example").follow_redirects(5);
        let (reason, class) = first_end(&mut start(&world, spec).await).await;
        assert!(matches!(reason, ExitReason::Dial(DialError::AddressBlocked { .. })), "{reason}");
        assert_eq!((class, world.network.dials("ws://10.0.0.1")), (ExitClass::Fatal, 0));
    });
}

#[test]
fn a_loop_ends_at_the_bound() {
    virtual_time(1, async {
        let world = world();
        let _a = world.serve("ws://8.8.8.1", vec![sent_to("302 Found", "//b.example/"); 9]);
        let _b = world.serve("ws://8.8.8.2", vec![sent_to("302 Found", "//a.example/"); 9]);
        let spec = ConnectionSpec::string("a", "ws://a.example").follow_redirects(3);
        let (reason, class) = first_end(&mut start(&world, spec).await).await;
        let (_, why) = refused(reason);
        assert!(matches!(why, RedirectRefused::TooMany { limit: 3, .. }), "{why}");
        assert_eq!(class, ExitClass::Fatal);
        let dials = ["ws://8.8.8.1", "ws://8.8.8.2"].map(|url| world.network.dials(url));
        assert_eq!(dials, [2, 2]);
    });
}

#[test]
fn every_attempt_begins_at_the_url_that_was_given() {
    virtual_time(1, async {
        let world = world();
        let a = world.serve(
            "ws://8.8.8.1",
            [sent_to("301 Moved", "//b.example/"), Script::new().accept().expect_close()],
        );
        let b = world.serve("ws://8.8.8.2", [Script::new().accept().close(1001)]);
        let spec = ConnectionSpec::string("a", "ws://a.example").follow_redirects(1);
        let mut events = start(&world, spec).await;
        events.until(connected().epoch(2)).await;
        b.done().await;
        drop(a);
    });
}

#[test]
fn a_location_that_is_missing_or_wrong_is_told() {
    for (headers, check) in [
        ("", "one Location, and has 0"),
        ("Location: /a\r\nLocation: /b\r\n", "one Location, and has 2"),
        ("Location: ws://canary:canary@b.example/\r\n", "userinfo: "),
        ("Location: ftp://b.example/\r\n", "scheme: "),
        ("Location: /a\\b\r\n", "backslash: "),
    ] {
        virtual_time(1, async {
            let world = world();
            let _a = world.serve("ws://8.8.8.1", [Script::new().refuse("302 Found", headers)]);
            let spec = ConnectionSpec::string("a", "ws://a.example").follow_redirects(5);
            let (reason, class) = first_end(&mut start(&world, spec).await).await;
            let shown = format!("{reason} {reason:?}");
            assert!(shown.contains(check) && !shown.contains("canary"), "{headers}: {shown}");
            assert_eq!(class, ExitClass::Fatal);
        });
    }
}
