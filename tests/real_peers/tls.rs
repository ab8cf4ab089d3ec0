//! `wss`, by Python's and Node's own OpenSSL.

use wsvisor::{
    ConnectionSpec, DialError, ExitReason, Settings, Tls, TlsFailure,
    testing::{self, backoff_scheduled, connected, connection_error},
};

use crate::{
    authority::Authority,
    client::Client,
    server::{Program, Server},
};

against_both!(a_private_authority_is_trusted, an_unknown_authority_is_not);

fn trusting(server: &Server, authority: &Authority) -> ConnectionSpec {
    let tls = Tls::private_ca(authority.pem()).expect("the authority is valid");
    ConnectionSpec::string("client", server.url("/echo")).settings(Settings::default().tls(tls))
}

async fn a_private_authority_is_trusted(program: Program) {
    let authority = Authority::new();
    let server = Server::start_secure(program, authority.issue()).await;
    let mut client = Client::start(trusting(&server, &authority)).await;
    client.events.expect(connected()).await;
    // More than one TLS record, in both directions.
    let text = "0123456789abcdef".repeat(1 << 16);
    client.send_text(&text).await;
    client.events.expect(testing::text(text)).await;
}

async fn an_unknown_authority_is_not(program: Program) {
    let server = Server::start_secure(program, Authority::new().issue()).await;
    let mut client = Client::start(trusting(&server, &Authority::new())).await;
    let untrusted = |reason: &ExitReason| {
        let failure = TlsFailure::UnknownIssuer;
        matches!(reason, ExitReason::Dial(DialError::Tls { failure: told, .. }) if *told == failure)
    };
    client.events.expect(connection_error().because(untrusted)).await;
    client.events.expect(backoff_scheduled()).await;
}
