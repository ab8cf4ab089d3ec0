//! `wss`: trust, names, and a panic inside a session.

pub(crate) mod authority;
mod failures;

use std::sync::Arc;

use actix::Addr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ClientConfig,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::ring,
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};
use wsvisor::{
    AccessPolicy, ConnectionSpec, ExitReason, GetStatus, KeyPin, RedirectRefused, SendString,
    StartConnection, State, Supervisor, Tls,
    testing::{Peer, Server, connection_error, gave_up},
};

use self::authority::{Authority, Issued};
use crate::support::{network, next_port, recorded, settings, supervisor};

/// A server in a place of its own: connections of others may still dial where they did.
fn listen() -> Server {
    network().listen(&format!("wss://localhost:{}", next_port()))
}

fn spec(server: &Server, tls: Tls) -> ConnectionSpec {
    ConnectionSpec::string("a", server.url()).settings(settings().tls(tls))
}

#[actix::test]
async fn a_private_authority_is_trusted_when_asked() {
    let authority = Authority::new();
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server, Tls::private_ca(authority.pem()).unwrap()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let stream = authority
        .issue("localhost")
        .acceptor()
        .accept(server.accept().await.into_stream())
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let mut peer = Peer::over(stream);
    peer.shake_hands().await;
    events.expect_all(["1 Connected"]).await;
    connection.send(SendString::new("over TLS")).await.unwrap().unwrap();
    assert_eq!(peer.read().await.payload, b"over TLS");
    peer.text("back").await;
    events.expect_all(["1 text back"]).await;
    peer.close(1000).await;
    assert_eq!(peer.read_close().await, [0x03, 0xE8]);
    peer.read_end().await;
    drop(peer);
    events.expect_all(["1 Disconnected 1000 clean…"]).await;
}

#[actix::test]
async fn a_redirect_does_not_give_tls_up() {
    let authority = Authority::new();
    let server = listen();
    let in_the_clear = network().listen("ws://127.0.0.1:4434");
    let supervisor = supervisor();
    let spec = spec(&server, Tls::private_ca(authority.pem()).unwrap()).follow_redirects(5);
    let (spec, mut events) = recorded(spec.bearer_auth("canary"));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let acceptor = authority.issue("localhost").acceptor();
    let stream = acceptor.accept(server.accept().await.into_stream()).await.unwrap();
    let mut peer = Peer::over(stream);
    peer.request().await;
    let location = in_the_clear.url();
    peer.write(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n")).await;
    let downgrade = |reason: &ExitReason| {
        let refused = RedirectRefused::Downgrade { to: "ws://127.0.0.1:4434".parse().unwrap() };
        matches!(reason, ExitReason::Redirect { status: 302, refused: it } if *it == refused)
    };
    events.expect(connection_error().epoch(1).because(downgrade)).await;
    events.expect(gave_up().epoch(1)).await;
    assert_eq!(network().dials(&location), 0);
}

#[actix::test]
async fn a_client_certificate_is_shown() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let acceptor = authority.issue("localhost").acceptor_for_clients_of(&clients);
    let client = clients.issue("client");
    let tls = Tls::builder()
        .private_ca(authority.pem())
        .client_certificate(client.pem, client.key_pem)
        .build()
        .unwrap();
    let _peer = connected_over(listen(), &acceptor, tls, supervisor()).await;
}

#[actix::test]
async fn a_pinned_key_is_enough_among_several() {
    let authority = Authority::new();
    let (issued, another) = (authority.issue("localhost"), authority.issue("localhost"));
    let pin = KeyPin::of_certificate(&issued.pem).unwrap();
    let backup = KeyPin::of_certificate(&another.pem).unwrap();
    assert_ne!(pin, backup);
    let tls = Tls::builder().private_ca(authority.pem()).pin(backup).pin(pin).build().unwrap();
    let _peer = connected_over(listen(), &issued.acceptor(), tls, supervisor()).await;
}

/// A pin is no reason to trust what would not be trusted without it.
#[actix::test]
async fn a_pin_alone_is_not_enough() {
    let issued = Issued::by_itself("localhost");
    let pin = KeyPin::of_certificate(&issued.pem).unwrap();
    let tls = Tls::builder().private_ca(Authority::new().pem()).pin(pin).build().unwrap();
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server, tls));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    assert!(issued.acceptor().accept(server.accept().await.into_stream()).await.is_err());
    events.expect_all(["1 ConnectionError: cannot connect: TLS with localhost failed: the certificate's issuer…"]).await;
}

#[actix::test]
async fn what_a_list_does_not_revoke_is_trusted() {
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    let list = authority.revoke(rcgen::SerialNumber::from(42));
    let tls = Tls::builder().private_ca(authority.pem()).revocation_lists(list).build().unwrap();
    let _peer = connected_over(listen(), &issued.acceptor(), tls, supervisor()).await;
}

#[actix::test]
async fn addresses_are_names_too() {
    for address in ["127.0.0.1", "::1"] {
        let authority = Authority::new();
        let issued = authority.issue(address);
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let server = network().listen(&format!("wss://{host}:4433"));
        let rules = [format!("allow wss://{host}:4433")];
        let supervisor = Supervisor::builder()
            .policy(AccessPolicy::from_rules(rules).unwrap())
            .dialler(network())
            .start()
            .unwrap();
        let tls = Tls::private_ca(authority.pem()).unwrap();
        let mut peer = connected_over(server, &issued.acceptor(), tls, supervisor).await;
        peer.text("to an address").await;
    }
}

/// TLS without `close_notify`: the end of the stream, as without TLS.
#[actix::test]
async fn a_session_that_is_cut_ends_with_1006() {
    let authority = Authority::new();
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server, Tls::private_ca(authority.pem()).unwrap()));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let acceptor = authority.issue("localhost").acceptor();
    let stream = acceptor.accept(server.accept().await.into_stream()).await.unwrap();
    let mut peer = Peer::over(stream);
    peer.shake_hands().await;
    events.expect_all(["1 Connected"]).await;
    // Dropped, the stream below says nothing of TLS.
    drop(peer);
    events
        .expect_all([
            "1 Disconnected 1006 unclean: the peer ended the connection without a close frame",
        ])
        .await;
}

/// Before the answer, it is a failure of the attempt.
#[actix::test]
async fn a_stream_that_is_cut_before_the_answer_is_typed() {
    let authority = Authority::new();
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server, Tls::private_ca(authority.pem()).unwrap()));
    supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let acceptor = authority.issue("localhost").acceptor();
    drop(acceptor.accept(server.accept().await.into_stream()).await.unwrap());
    events
        .expect_all([
            "1 ConnectionError: cannot connect: the connection failed during the opening handshake…",
            "1 BackoffScheduled: retry 1…",
        ])
        .await;
}

/// Connects over TLS, and sends a message.
async fn connected_over(
    server: Server,
    acceptor: &TlsAcceptor,
    tls: Tls,
    supervisor: Addr<Supervisor>,
) -> Peer<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    let (spec, mut events) = recorded(spec(&server, tls));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let stream = acceptor.accept(server.accept().await.into_stream()).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let mut peer = Peer::over(stream);
    peer.shake_hands().await;
    events.expect_all(["1 Connected"]).await;
    connection.send(SendString::new("over TLS")).await.unwrap().unwrap();
    assert_eq!(peer.read().await.payload, b"over TLS");
    peer
}

#[test]
fn what_cannot_be_used_is_an_error_that_says_which_part() {
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let authority = Authority::new();
    let (client, another) = (authority.issue("client"), authority.issue("client"));
    let tls = || Tls::builder().private_ca(authority.pem());
    #[rustfmt::skip]
    let table = [
        (Tls::private_ca(""), "the CA file holds no certificate"),
        (Tls::private_ca(broken), "the CA file is not PEM"),
        (Tls::private_ca(empty), "certificate 1 of the CA file cannot be a root"),
        (tls().client_certificate("", client.key_pem.clone()).build(), "the client certificate cannot be used: there is no"),
        (tls().client_certificate(client.pem.clone(), "canary").build(), "the client certificate's key is not a private key"),
        (tls().client_certificate(client.pem.clone(), another.key_pem).build(), "the client certificate cannot be used"),
        (tls().revocation_lists("canary").build(), "the revocation list cannot be used: it holds no"),
    ];
    for (built, expected) in table {
        let error = built.err().unwrap().to_string();
        assert!(error.starts_with(expected) && !error.contains("canary"), "{error}");
    }
    let debug = format!("{:?}", tls().client_certificate(client.pem, client.key_pem));
    assert!(!debug.contains("PRIVATE"), "{debug}");
}

/// User code that panics inside the connection's task.
#[derive(Debug)]
struct Panics;

impl ServerCertVerifier for Panics {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        panic!("the verifier panicked");
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("the certificate comes first")
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("the certificate comes first")
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[actix::test]
async fn a_panic_in_the_task_is_an_exit_and_the_address_survives() {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Panics))
        .with_no_client_auth();
    let authority = Authority::new();
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server, Tls::from_config(config)));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for attempt in 1..=3 {
        assert!(
            authority
                .issue("localhost")
                .acceptor()
                .accept(server.accept().await.into_stream())
                .await
                .is_err()
        );
        let error = format!(
            "{attempt} ConnectionError: the session or its attempt panicked: the verifier panicked"
        );
        let backoff = format!("{attempt} BackoffScheduled: retry {attempt}…");
        events.expect_all([error.as_str(), backoff.as_str()]).await;
    }
    let status = connection.send(GetStatus).await.unwrap();
    assert!(matches!(status.state, State::BackingOff | State::Connecting), "{status:?}");
}
