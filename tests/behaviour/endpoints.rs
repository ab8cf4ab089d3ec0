//! Several endpoints, or a provider that is asked for one on every attempt.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use wsvisor::{
    AccessPolicy, Connect, ConnectError, ConnectionSpec, DialError, Endpoints, ExitReason, Explain,
    ProviderError, ProviderFailure, ProviderRequest, StartConnection, Supervisor, Timeouts,
    testing::{Script, backoff_scheduled, connected, disconnected, gave_up, virtual_time},
};

use crate::support::{listen, ms, network, recorded, settings, string, supervisor};

#[actix::test]
async fn the_next_is_dialled_when_one_is_refused_and_the_one_that_works_is_kept() {
    let (mut first, second) = (listen(), listen());
    first.stop();
    let supervisor = supervisor();
    let urls = [first.url(), second.url()];
    let (spec, mut events) = recorded(ConnectionSpec::string("a", urls));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let peer = second.open().await;
    events.expect_all(["1 ConnectionError: cannot connect…", "1 BackoffScheduled: retry 1…"]).await;
    events.expect(connected().epoch(2)).await;
    let explanation = connection.send(Explain).await.unwrap();
    assert!(explanation.to_string().contains(&second.url()), "{explanation}");

    // A session that was lost says nothing against its endpoint.
    first.start().await.unwrap();
    peer.reset();
    let _peer = second.open().await;
    events.until(connected().epoch(3)).await;
    assert_eq!(network().dials(&first.url()), 1);
}

#[test]
fn a_close_with_1013_leads_to_the_next_without_its_long_wait() {
    virtual_time(1, async {
        let (first, second) = (listen(), listen());
        let supervisor = supervisor();
        let urls = [first.url(), second.url()];
        let (spec, mut events) = recorded(ConnectionSpec::string("a", urls));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let first = first.play([Script::new().accept().close(1013)]);
        events.until(disconnected().code(1013)).await;
        let start = tokio::time::Instant::now();
        let _peer = second.open().await;
        events.until(connected().epoch(2)).await;
        assert!(start.elapsed() < ms(100), "{:?}", start.elapsed());
        first.done().await;
    });
}

#[test]
fn what_one_asks_for_does_not_bind_the_next() {
    virtual_time(1, async {
        let (first, second) = (listen(), listen());
        let supervisor = supervisor();
        let urls = [first.url(), second.url()];
        let (spec, mut events) = recorded(ConnectionSpec::string("a", urls));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let answer = "Retry-After: 60\r\nContent-Length: 0\r\n";
        let _first = first.play([Script::new().refuse("503 Service Unavailable", answer)]);
        let start = tokio::time::Instant::now();
        let _peer = second.open().await;
        events.until(connected().epoch(2)).await;
        assert!(start.elapsed() < ms(100), "{:?}", start.elapsed());
    });
}

#[actix::test]
async fn a_refusal_of_the_service_is_not_of_the_endpoint() {
    let (first, second) = (listen(), listen());
    let supervisor = supervisor();
    let urls = [first.url(), second.url()];
    let _first = first.play([Script::new().refuse("404 Not Found", "Content-Length: 0\r\n")]);
    let (spec, mut events) = recorded(ConnectionSpec::string("a", urls));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    events.until(gave_up()).await;
    assert_eq!(network().dials(&second.url()), 0);
}

#[actix::test]
async fn the_policy_must_allow_all_of_them() {
    let server = listen();
    let (connection, _events) = string();
    let blocked = Connect::to([server.url(), "ws://elsewhere.example".into()]);
    let refused = connection.send(blocked).await.unwrap().unwrap_err();
    assert!(matches!(&refused, ConnectError::UrlBlocked(_)), "{refused}");
    assert!(refused.to_string().contains("elsewhere.example"), "{refused}");
    let invalid = Connect::to([server.url(), "http://127.0.0.1".into()]);
    let refused = connection.send(invalid).await.unwrap().unwrap_err();
    assert!(matches!(refused, ConnectError::InvalidUrl(_)), "{refused}");
    let none = Connect::to(Vec::<String>::new());
    assert_eq!(connection.send(none).await.unwrap().unwrap_err(), ConnectError::NoEndpoint);
    assert_eq!(network().dials(&server.url()), 0);
}

#[actix::test]
async fn a_provider_is_asked_on_every_attempt() {
    let server = listen();
    let (url, asked) = (server.url(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let tickets = Endpoints::provided_by(move |request: ProviderRequest| {
        let ticket = format!("{url}/?ticket={}", count.fetch_add(1, Ordering::Relaxed));
        assert!(request.url.is_none());
        async move { Ok(ticket) }
    });
    let supervisor = supervisor();
    let (spec, mut events) = recorded(ConnectionSpec::string("a", tickets));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for attempt in 0..3 {
        let mut peer = server.accept().await;
        let request = peer.shake_hands().await;
        assert_eq!(request.request_line(), format!("GET /?ticket={attempt} HTTP/1.1"));
        events.until(connected()).await;
        peer.reset();
    }
}

#[actix::test]
async fn the_policy_judges_each_answer() {
    let server = listen();
    let supervisor = Supervisor::builder()
        .policy(AccessPolicy::from_rules(["allow ws://127.0.0.1:*/allowed"]).unwrap())
        .dialler(network())
        .start()
        .unwrap();
    let (url, asked) = (server.url(), AtomicUsize::new(0));
    let provider = move |_: ProviderRequest| {
        let path =
            if asked.fetch_add(1, Ordering::Relaxed) == 0 { "allowed" } else { "forbidden?canary" };
        let answer = format!("{url}/{path}");
        async move { Ok(answer) }
    };
    let (spec, mut events) =
        recorded(ConnectionSpec::string("a", Endpoints::provided_by(provider)));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    server.open().await.reset();
    let denied = |reason: &ExitReason| matches!(reason, ExitReason::PolicyDenied(_));
    let told = events.until(gave_up().because(denied)).await.to_string();
    assert!(told.contains("/forbidden?… is blocked"), "{told}");
    assert_eq!(network().dials(&server.url()), 1);
}

#[actix::test]
async fn an_answer_that_is_no_url_is_for_good() {
    let supervisor = supervisor();
    let provider = |_: ProviderRequest| async { Ok("https://canary.example".to_owned()) };
    let (spec, mut events) =
        recorded(ConnectionSpec::string("a", Endpoints::provided_by(provider)));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let invalid = |reason: &ExitReason| {
        matches!(reason, ExitReason::Dial(DialError::Endpoint(ProviderFailure::Url(_))))
    };
    let told = events.until(gave_up().because(invalid)).await.to_string();
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn a_provider_that_hangs_panics_or_fails_is_typed_and_tried_again() {
    virtual_time(1, async {
        let timeouts = Timeouts { provider: ms(300), ..Timeouts::default() };
        let asked = Arc::new(AtomicUsize::new(0));
        let server = listen();
        let url = server.url();
        let provider = move |_: ProviderRequest| {
            let (time, url) = (asked.fetch_add(1, Ordering::Relaxed), url.clone());
            async move {
                match time {
                    0 => std::future::pending().await,
                    1 => panic!("canary"),
                    2 => Err(ProviderError::retry("out of tickets")),
                    _ => Ok(url),
                }
            }
        };
        let supervisor = supervisor();
        let spec = ConnectionSpec::string("a", Endpoints::provided_by(provider))
            .settings(settings().timeouts(timeouts));
        let (spec, mut events) = recorded(spec);
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        for error in [
            "1 ConnectionError: cannot connect: the endpoint provider took longer than 300ms",
            "2 ConnectionError: cannot connect: no endpoint: the provider panicked",
            "3 ConnectionError: cannot connect: no endpoint: out of tickets",
        ] {
            events.expect_all([error]).await;
            events.expect(backoff_scheduled()).await;
        }
        let _peer = server.open().await;
        events.expect(connected().epoch(4)).await;
    });
}
