//! `wss`: trust, names, and a panic inside a session.

use std::sync::Arc;

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ClientConfig, ServerConfig,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    },
};
use wsvisor::{ConnectionSpec, GetStatus, SendString, StartConnection, State, Tls};

use wsvisor::testing::{Peer, Server};

use crate::support::{network, recorded, settings, supervisor};

/// A certificate authority, and a server that has a certificate of it for one name.
struct Authority {
    pem: String,
    acceptor: TlsAcceptor,
}

fn authority_for(name: &str) -> Authority {
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);

    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    // A server that would rather speak HTTP/2.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Authority { pem: ca_certificate.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
}

fn listen() -> Server {
    network().listen("wss://localhost:4433")
}

fn spec(server: &Server, tls: Tls) -> ConnectionSpec {
    ConnectionSpec::string("a", server.url()).settings(settings().tls(tls))
}

#[actix::test]
async fn a_private_authority_is_trusted_when_asked() {
    let authority = authority_for("localhost");
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server, Tls::private_ca(&authority.pem).unwrap()));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    let stream = authority.acceptor.accept(server.accept().await.into_stream()).await.unwrap();
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
async fn a_certificate_that_is_not_trusted_is_refused_and_retried_slowly() {
    let (theirs, ours) = (authority_for("localhost"), authority_for("localhost"));
    let other_name = authority_for("example.com");
    for (acceptor, pem) in [(&theirs.acceptor, &ours.pem), (&other_name.acceptor, &other_name.pem)]
    {
        let server = listen();
        let supervisor = supervisor();
        let (spec, mut events) = recorded(spec(&server, Tls::private_ca(pem).unwrap()));
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        assert!(acceptor.accept(server.accept().await.into_stream()).await.is_err());
        events
            .expect_all([
                "1 ConnectionError: cannot connect: TLS with localhost failed: invalid peer cert…",
                "1 BackoffScheduled: retry 1…",
            ])
            .await;
    }
}

#[actix::test]
async fn a_file_that_is_no_authority_is_an_error() {
    assert!(Tls::private_ca("").unwrap_err().to_string().contains("no certificate"));
    let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    assert!(Tls::private_ca(broken).unwrap_err().to_string().contains("not PEM"));
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(Tls::private_ca(empty).unwrap_err().to_string().contains("certificate 1"));
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
    let authority = authority_for("localhost");
    let server = listen();
    let supervisor = supervisor();
    let (spec, mut events) = recorded(spec(&server, Tls::from_config(config)));
    let connection = supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
    for attempt in 1..=3 {
        assert!(authority.acceptor.accept(server.accept().await.into_stream()).await.is_err());
        let error = format!(
            "{attempt} ConnectionError: the session's task panicked: the verifier panicked"
        );
        let backoff = format!("{attempt} BackoffScheduled: retry {attempt}…");
        events.expect_all([error.as_str(), backoff.as_str()]).await;
    }
    let status = connection.send(GetStatus).await.unwrap();
    assert!(matches!(status.state, State::BackingOff | State::Connecting), "{status:?}");
}
