//! What proves who connects: given once, or by a provider that is asked on every attempt.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use wsvisor::{
    AttemptCause, Connect, ConnectError, ConnectionSpec, CredentialProvider, Credentials,
    DialError, ExitClass, ExitReason, GetStatus, InvalidHeader, PlatformAuth, ProviderError,
    ProviderFailure, ProviderRequest, Providing, RefusedCredential, Scope, StartConnection, State,
    Timeouts,
    testing::{
        Script, Server, backoff_scheduled, connected, connection_error, gave_up, virtual_time,
    },
};

use crate::support::{listen, ms, recorded, settings, string, supervisor};

/// Hands out tokens in order, the last one again and again, and keeps what it was told.
#[derive(Clone, Default)]
struct Tokens(Arc<Mutex<(VecDeque<&'static str>, Vec<ProviderRequest>)>>);

impl Tokens {
    fn of<const N: usize>(tokens: [&'static str; N]) -> Self {
        Self(Arc::new(Mutex::new((tokens.into(), Vec::new()))))
    }

    fn causes(&self) -> Vec<AttemptCause> {
        self.0.lock().unwrap().1.iter().map(|request| request.cause).collect()
    }

    fn last_failures(&self) -> Vec<Option<String>> {
        let text =
            |request: &ProviderRequest| request.last_failure.as_ref().map(ToString::to_string);
        self.0.lock().unwrap().1.iter().map(text).collect()
    }
}

impl CredentialProvider for Tokens {
    fn credentials(&self, request: ProviderRequest) -> Providing<'_, Credentials> {
        let (tokens, told) = &mut *self.0.lock().unwrap();
        told.push(request);
        let token = if tokens.len() > 1 { tokens.pop_front() } else { tokens.front().copied() };
        Box::pin(async move { Ok(Credentials::bearer(token.unwrap())) })
    }
}

fn spec(server: &Server) -> ConnectionSpec {
    ConnectionSpec::string("a", server.url())
}

/// The `Authorization` of the next connection, which is answered with `answer`.
async fn refuse(server: &Server, answer: &str) -> String {
    let mut peer = server.accept().await;
    let authorization = peer.request().await.header("authorization").unwrap().to_owned();
    peer.write(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n")).await;
    authorization
}

#[actix::test]
async fn what_is_given_once_is_sent_with_each_attempt() {
    type Prove = fn(Connect) -> Connect;
    #[rustfmt::skip]
    let table: [(Prove, &str, &str); 4] = [
        (|c| c.bearer_auth("abc"), "authorization", "Bearer abc"),
        (|c| c.basic_auth("Aladdin", "open sesame"), "authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (|c| c.credentials(Credentials::header("x-api-key", "k")), "x-api-key", "k"),
        (|c| c.header("Cookie", "session=1"), "cookie", "session=1"),
    ];
    for (prove, name, value) in table {
        let server = listen();
        let (connection, _events) = string();
        connection.send(prove(Connect::to(server.url()))).await.unwrap().unwrap();
        let mut peer = server.accept().await;
        assert_eq!(peer.request().await.header(name), Some(value));
    }
}

#[actix::test]
async fn what_cannot_be_sent_is_refused_at_once() {
    let server = listen();
    let url = server.url();
    #[rustfmt::skip]
    let table = [
        (Connect::to(&url).basic_auth("a:b", "c"), InvalidHeader::BasicUser),
        (Connect::to(&url).basic_auth("a", "b\r\nX: 1"), InvalidHeader::BasicControl),
        (Connect::to(&url).bearer_auth("a\n"),
            InvalidHeader::Value { name: "Authorization".into(), at: 8 }),
        (Connect::to(&url).header("authorization", "mine").bearer_auth("a"),
            InvalidHeader::Repeated("authorization".into())),
        (Connect::to(&url).header("authorization", "mine").auth(Tokens::default()),
            InvalidHeader::SetByProvider("authorization".into())),
        (Connect::to(&url).header("X-M2-World-Id", "mine").auth(platform()),
            InvalidHeader::SetByProvider("x-m2-world-id".into())),
    ];
    for (connect, expected) in table {
        let (connection, _events) = string();
        let refused = connection.send(connect).await.unwrap().unwrap_err();
        assert_eq!(refused, ConnectError::InvalidHeaders(expected));
    }
    assert_eq!(crate::support::network().dials(&url), 0);
}

/// The lifetime of the platform's tokens is five minutes: what was valid at `Connect` is not at a
/// reconnect.
#[test]
fn a_token_is_asked_for_on_every_attempt_and_told_why() {
    virtual_time(1, async {
        let server = listen();
        let tokens = Tokens::of(["first", "second", "third"]);
        let supervisor = supervisor();
        let (spec, mut events) = recorded(spec(&server).auth(tokens.clone()));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();

        let mut peer = server.accept().await;
        assert_eq!(peer.shake_hands().await.header("authorization"), Some("Bearer first"));
        events.until(connected()).await;
        peer.pause(Duration::from_mins(6)).await;
        peer.reset();
        // The first token has expired meanwhile.
        let peer = &mut server.accept().await;
        assert_eq!(peer.shake_hands().await.header("authorization"), Some("Bearer second"));
        events.until(connected().epoch(2)).await;
        peer.close(1001).await;
        let mut peer = server.accept().await;
        assert_eq!(peer.shake_hands().await.header("authorization"), Some("Bearer third"));

        assert_eq!(
            tokens.causes(),
            [AttemptCause::First, AttemptCause::Reconnect, AttemptCause::Reconnect]
        );
        let failures = tokens.last_failures();
        assert_eq!(failures[0], None);
        assert!(failures[1].as_deref().unwrap().starts_with("the connection was lost"));
        assert!(failures[2].as_deref().unwrap().starts_with("closed by the peer with 1001"));
    });
}

#[test]
fn a_refusal_asks_for_another_credential_at_once() {
    virtual_time(1, async {
        for answer in ["401 Unauthorized", "403 Forbidden"] {
            let server = listen();
            let tokens = Tokens::of(["stale", "fresh"]);
            let supervisor = supervisor();
            let (spec, mut events) = recorded(spec(&server).auth(tokens.clone()));
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            assert_eq!(refuse(&server, answer).await, "Bearer stale");
            let at = tokio::time::Instant::now();
            let mut peer = server.accept().await;
            assert!(at.elapsed() < ms(1), "not at once but after {:?}", at.elapsed());
            assert_eq!(peer.shake_hands().await.header("authorization"), Some("Bearer fresh"));
            let first = |reason: &ExitReason| {
                matches!(
                    reason,
                    ExitReason::Unauthorized { credential: RefusedCredential::First, .. }
                )
            };
            events.expect(connection_error().because(first)).await;
            events.expect(backoff_scheduled()).await;
            events.expect(connected()).await;
            let status = answer[..3].parse().unwrap();
            assert_eq!(tokens.causes(), [AttemptCause::First, AttemptCause::Refused { status }]);
        }
    });
}

#[actix::test]
async fn the_same_refusal_of_the_same_credential_is_for_good() {
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server).auth(Tokens::of(["the only one"])));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for _ in 0..2 {
        refuse(&server, "401 Unauthorized").await;
    }
    let unchanged = |reason: &ExitReason| {
        matches!(reason, ExitReason::Unauthorized { credential: RefusedCredential::Unchanged, .. })
    };
    let told = events.until(gave_up().because(unchanged)).await.to_string();
    assert!(told.contains("the provider gave the same as before"), "{told}");
    assert_eq!(connection.send(GetStatus).await.unwrap().state, State::Failed);
    assert_eq!(crate::support::network().dials(&server.url()), 2);
}

#[actix::test]
async fn a_credential_that_has_changed_is_tried_again_after_the_backoff() {
    let server = listen();
    let tokens = Tokens::of(["a", "b", "c", "d", "e"]);
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server).auth(tokens));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for expected in ["Bearer a", "Bearer b", "Bearer c", "Bearer d"] {
        assert_eq!(refuse(&server, "403 Forbidden").await, expected);
        events.expect(connection_error()).await;
        events.expect(backoff_scheduled()).await;
    }
    let _peer = server.open().await;
    events.expect(connected().epoch(5)).await;
}

#[actix::test]
async fn credentials_that_were_given_once_are_refused_for_good() {
    let server = listen().play([Script::new().refuse("401 Unauthorized", "Content-Length: 0\r\n")]);
    let supervisor = supervisor();
    let spec = ConnectionSpec::string("a", server.url()).bearer_auth("abc");
    let (spec, mut events) = recorded(spec);
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    events.until(gave_up()).await;
    server.done().await;
}

#[test]
fn a_provider_that_hangs_is_bounded() {
    virtual_time(1, async {
        let server = listen();
        let supervisor = supervisor();
        let timeouts = Timeouts { provider: ms(300), ..Timeouts::default() };
        let hangs = |_: ProviderRequest| pending::<Result<Credentials, ProviderError>>();
        let (spec, mut events) =
            recorded(spec(&server).settings(settings().timeouts(timeouts)).auth(hangs));
        let start = tokio::time::Instant::now();
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        events
            .expect_all([
                "1 ConnectionError: cannot connect: the credential provider took longer than 300ms",
                "1 BackoffScheduled: retry 1…",
            ])
            .await;
        assert!(start.elapsed() < ms(320));
        assert_eq!(crate::support::network().dials(&server.url()), 0);
    });
}

#[actix::test]
async fn a_provider_that_panics_ends_the_attempt_alone() {
    let server = listen();
    let supervisor = supervisor();
    let panics = |request: ProviderRequest| async move {
        assert!(request.cause == AttemptCause::Reconnect, "canary");
        Ok(Credentials::bearer("abc"))
    };
    let (spec, mut events) = recorded(spec(&server).auth(panics));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let panicked = |reason: &ExitReason| {
        matches!(reason, ExitReason::Dial(DialError::Credentials(ProviderFailure::Panicked)))
    };
    let told = events.expect(connection_error().because(panicked)).await.to_string();
    assert!(told.contains("the provider panicked") && !told.contains("canary"), "{told}");
    events.expect(backoff_scheduled()).await;
    let mut peer = server.accept().await;
    assert_eq!(peer.shake_hands().await.header("authorization"), Some("Bearer abc"));
    events.expect(connected().epoch(2)).await;
}

#[actix::test]
async fn a_provider_says_whether_asking_again_may_help() {
    for (error, class) in [
        (ProviderError::retry("the token service is down"), ExitClass::RETRY),
        (ProviderError::fatal("the account is closed"), ExitClass::Fatal),
    ] {
        let server = listen();
        let (connection, mut events) = string();
        let text = error.to_string();
        let provider = move |_: ProviderRequest| {
            let error = error.clone();
            async move { Err(error) }
        };
        connection.send(Connect::to(server.url()).auth(provider)).await.unwrap().unwrap();
        let told = events.expect(connection_error()).await;
        let expected = format!("1 ConnectionError: cannot connect: no credentials: {text}");
        assert_eq!(told.to_string(), expected);
        let status = connection.send(GetStatus).await.unwrap();
        let is_fatal = status.state == State::Failed;
        assert_eq!(is_fatal, class == ExitClass::Fatal, "{status:?}");
    }
}

#[actix::test]
async fn an_answer_that_cannot_be_sent_is_for_good() {
    let answers: [(fn() -> Credentials, InvalidHeader); 3] = [
        (
            || Credentials::bearer("two\r\nlines"),
            InvalidHeader::Value { name: "Authorization".into(), at: 10 },
        ),
        (|| Credentials::header("Host", "x"), InvalidHeader::Reserved("Host".into())),
        // It did not announce this one, which the caller sets.
        (|| Credentials::header("x-mine", "x"), InvalidHeader::Repeated("x-mine".into())),
    ];
    for (answer, expected) in answers {
        let server = listen();
        let supervisor = supervisor();
        let provider = move |_: ProviderRequest| async move { Ok(answer()) };
        let (spec, mut events) = recorded(spec(&server).header("X-Mine", "1").auth(provider));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let unsendable = move |reason: &ExitReason| {
            matches!(reason, ExitReason::Dial(DialError::Credentials(ProviderFailure::Header(header)))
                if header.to_string().eq_ignore_ascii_case(&expected.to_string()))
        };
        events.until(gave_up().because(unsendable)).await;
        assert_eq!(crate::support::network().dials(&server.url()), 0);
    }
}

fn platform() -> PlatformAuth {
    let scope = Scope::World { organization: "o".into(), project: "p".into(), world: "w".into() };
    PlatformAuth::delegated(scope, |scope: Scope| async move {
        assert!(matches!(scope, Scope::World { .. }));
        Ok("a token of the platform".to_owned())
    })
}

#[actix::test]
async fn the_platforms_kinds_and_scopes() {
    let (organization, project) = ("o".to_owned(), "p".to_owned());
    let token = |_: Scope| async { Ok("jwt") };
    let ids = ["organization", "project", "world", "launch-context"];
    #[rustfmt::skip]
    let table = [
        (Scope::None, [None, None, None, None]),
        (Scope::Organization { organization: organization.clone() }, [Some("o"), None, None, None]),
        (Scope::Project { organization: organization.clone(), project: project.clone() },
            [Some("o"), Some("p"), None, None]),
        (Scope::World { organization: organization.clone(), project: project.clone(), world: "w".into() },
            [Some("o"), Some("p"), Some("w"), None]),
        (Scope::LaunchContext { organization, project, launch_context: "l".into() },
            [Some("o"), Some("p"), None, Some("l")]),
    ];
    for (scope, expected) in table {
        for (auth, name, value) in [
            (PlatformAuth::delegated(scope.clone(), token), "authorization", "Bearer jwt"),
            (PlatformAuth::web_platform(scope.clone(), "key"), "x-api-key", "key"),
        ] {
            let server = listen();
            let (connection, _events) = string();
            connection.send(Connect::to(server.url()).auth(auth)).await.unwrap().unwrap();
            let request = server.accept().await.request().await;
            assert_eq!(request.header(name), Some(value));
            let sent = ids.map(|id| request.header(&format!("x-m2-{id}-id")));
            assert_eq!(sent, expected, "{scope:?}");
        }
    }
}
