//! Handshakes of TLS that fail: each is typed and bounded, and nothing of ours is sent.

use actix::Addr;
use rcgen::{SerialNumber, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use wsvisor::{
    ConnectionSpec, DialError, DialPhase, ExitClass, ExitReason, KeyPin, LifecycleEvent,
    StartConnection, Supervisor, Timeouts, Tls, TlsFailure,
    testing::{
        Recorder, Stream, backoff_scheduled, connection_error, gave_up, lifecycle, virtual_time,
    },
};

use super::{
    authority::{Authority, Issued},
    listen, spec,
};
use crate::support::{ms, recorded, settings, supervisor};

fn failed_as(expected: TlsFailure) -> impl Fn(&ExitReason) -> bool {
    move |reason| matches!(reason, ExitReason::Dial(DialError::Tls { failure, .. }) if *failure == expected)
}

/// Starts a connection with this trust against this server, whose handshake must fail.
async fn refused(acceptor: &TlsAcceptor, tls: Tls) -> (Recorder, (Addr<Supervisor>, Stream)) {
    let server = listen();
    let supervisor = supervisor();
    let (spec, events) = recorded(spec(&server, tls));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    // A handshake that is not finished cannot have carried a byte of an application.
    let stream = server.accept().await.into_stream();
    let Err((_, stream)) = acceptor.accept(stream).into_fallible().await else {
        panic!("the handshake succeeded");
    };
    // As long as both are there, the client can read the alert, and goes on.
    (events, (supervisor, stream))
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_apart_and_retried_slowly() {
    virtual_time(1, async {
        let authority = Authority::new();
        let trusting = || Tls::private_ca(authority.pem()).unwrap();
        let name = "localhost";
        let serial = SerialNumber::from(42);
        let expired = authority.issue_with(name, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        });
        let not_yet = authority.issue_with(name, |params| {
            params.not_before = date_time_ymd(2100, 1, 1);
            params.not_after = date_time_ymd(2101, 1, 1);
        });
        let revoked = authority.issue_with(name, |p| p.serial_number = Some(serial.clone()));
        let valid = authority.issue(name);
        let another = KeyPin::of_certificate(authority.issue(name).pem).unwrap();
        let pinning = Tls::builder().private_ca(authority.pem()).pin(another).build().unwrap();
        let checking =
            Tls::builder().private_ca(authority.pem()).revocation_lists(authority.revoke(serial));
        #[rustfmt::skip]
        let table = [
            (expired, trusting(), TlsFailure::Expired),
            (not_yet, trusting(), TlsFailure::NotYetValid),
            (authority.issue("example.com"), trusting(), TlsFailure::WrongName),
            // The name below the one in the URL is another name, and so is the address.
            (authority.issue("a.localhost"), trusting(), TlsFailure::WrongName),
            (authority.issue("127.0.0.1"), trusting(), TlsFailure::WrongName),
            (Authority::new().issue(name), trusting(), TlsFailure::UnknownIssuer),
            (Issued::by_itself(name), trusting(), TlsFailure::UnknownIssuer),
            (Issued::by_itself(name), Tls::public().unwrap(), TlsFailure::UnknownIssuer),
            (revoked, checking.build().unwrap(), TlsFailure::Revoked),
            (valid, pinning, TlsFailure::PinMismatch),
        ];
        for (issued, tls, expected) in table {
            let (mut events, _alive) = refused(&issued.acceptor(), tls).await;
            let slow = lifecycle("a slow retry", move |event| {
                matches!(event, LifecycleEvent::ConnectionError { class, .. }
                    if *class == ExitClass::RETRY_SLOW)
            });
            let told = events.expect(slow.because(failed_as(expected))).await.to_string();
            assert!(told.contains(&format!("TLS with localhost failed: {expected} (")), "{told}");
            assert!(expected.is_of_certificate());
            events.expect(backoff_scheduled()).await;
        }
    });
}

#[test]
fn a_server_that_speaks_http_2_alone_is_given_up() {
    virtual_time(1, async {
        let server = listen();
        let supervisor = supervisor();
        let (spec, mut events) = recorded(spec(&server, Tls::public().unwrap()));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut stream = server.accept().await.into_stream();
        // The alert no_application_protocol.
        stream.write_all(&[0x15, 0x03, 0x03, 0, 2, 2, 120]).await.unwrap();
        events.until(gave_up().because(failed_as(TlsFailure::NoHttp11))).await;
    });
}

#[test]
fn a_server_that_wants_a_certificate_says_so() {
    virtual_time(1, async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let acceptor = authority.issue("localhost").acceptor_for_clients_of(&clients);
        let stranger = Authority::new().issue("client");
        let with_another = Tls::builder()
            .private_ca(authority.pem())
            .client_certificate(stranger.pem, stranger.key_pem)
            .build()
            .unwrap();
        for tls in [Tls::private_ca(authority.pem()).unwrap(), with_another] {
            let (mut events, _alive) = refused(&acceptor, tls).await;
            events
                .expect(connection_error().because(failed_as(TlsFailure::ClientCertificate)))
                .await;
            events.expect(backoff_scheduled()).await;
        }
    });
}

/// What a server says that speaks no TLS, or ends it.
#[test]
fn what_is_no_handshake_is_typed_and_nothing_is_sent() {
    virtual_time(1, async {
        #[rustfmt::skip]
        let table: [(&[u8], TlsFailure); 9] = [
            (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", TlsFailure::NotTls),
            (b"SSH-2.0-OpenSSH_9.2p1\r\n", TlsFailure::NotTls),
            (&[0x16, 0x03, 0x03, 0xFF, 0xFF, 0x02], TlsFailure::NotTls),
            // Alerts: protocol_version, handshake_failure, close_notify, internal_error.
            (&[0x15, 0x03, 0x01, 0, 2, 2, 70], TlsFailure::Incompatible),
            (&[0x15, 0x03, 0x03, 0, 2, 2, 40], TlsFailure::Incompatible),
            (&[0x15, 0x03, 0x03, 0, 2, 1, 0], TlsFailure::Stream),
            (&[0x15, 0x03, 0x03, 0, 2, 2, 80], TlsFailure::Alert),
            // A message of a handshake that is long over.
            (&[0x16, 0x03, 0x03, 0, 4, 20, 0, 0, 0], TlsFailure::Protocol),
            (b"", TlsFailure::Stream),
        ];
        for (answer, expected) in table {
            let server = listen();
            let supervisor = supervisor();
            let spec = spec(&server, Tls::public().unwrap()).header("x-canary", "canary");
            let (spec, mut events) = recorded(spec);
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
            let mut stream = server.accept().await.into_stream();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            events.expect(connection_error().because(failed_as(expected))).await;
            let mut sent = Vec::new();
            // It may have been reset.
            let _ = stream.read_to_end(&mut sent).await;
            let sent = String::from_utf8_lossy(&sent);
            assert!(!sent.contains("canary") && !sent.contains("GET "), "{sent:?}");
            events.expect(backoff_scheduled()).await;
        }
    });
}

#[test]
fn a_handshake_that_stalls_is_bounded() {
    virtual_time(1, async {
        let server = listen();
        let supervisor = supervisor();
        let timeouts = Timeouts { tls: ms(300), ..Timeouts::default() };
        let spec = ConnectionSpec::string("a", server.url())
            .settings(settings().tls(Tls::public().unwrap()).timeouts(timeouts));
        let (spec, mut events) = recorded(spec);
        let start = tokio::time::Instant::now();
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        let mut stream = server.accept().await.into_stream();
        // The head of a record, whose rest never comes.
        stream.write_all(&[0x16, 0x03, 0x03, 0x10, 0x00, 0x02]).await.unwrap();
        let slow = |reason: &ExitReason| {
            matches!(reason, ExitReason::Dial(DialError::Timeout { phase: DialPhase::Tls, .. }))
        };
        events.expect(connection_error().because(slow)).await;
        assert!(start.elapsed() < ms(320), "{:?}", start.elapsed());
    });
}
