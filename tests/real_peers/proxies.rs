//! Behind nginx and HAProxy: what they answer themselves, and how they end sessions.

use std::time::Duration;

use wsvisor::{
    ConnectionSpec, DialError, DialPhase, Disconnect, ExitReason, HandshakeError, LifecycleEvent,
    Liveness, Settings, Timeouts,
    testing::{connected, connection_error, disconnected, gave_up, lifecycle, text},
};

use crate::{
    client::Client,
    proxy::{Kind, Proxy},
    server::{Program, Server},
};

macro_rules! behind_both {
    ($($scenario:ident),+ $(,)?) => {
        mod nginx { behind_both!(@tests Nginx $($scenario)+); }
        mod haproxy { behind_both!(@tests Haproxy $($scenario)+); }
    };
    (@tests $kind:ident $($scenario:ident)+) => {$(
        #[actix::test]
        #[ignore = "needs the servers that .ci/install-peers installs"]
        async fn $scenario() {
            let server = crate::server::Server::start(crate::server::Program::Python).await;
            let proxy = crate::proxy::Proxy::before(&server, crate::proxy::Kind::$kind).await;
            super::$scenario(&proxy).await;
        }
    )+};
}

behind_both!(
    messages_pass,
    an_idle_session_is_cut_without_a_close_frame,
    pings_keep_an_idle_session,
    a_server_that_is_down_is_tried_again,
);

fn quiet(url: String, liveness: Liveness) -> ConnectionSpec {
    ConnectionSpec::string("client", url).settings(Settings::default().liveness(liveness))
}

async fn messages_pass(proxy: &Proxy) {
    let mut client = Client::connected(proxy.url("/echo")).await;
    client.send_text("hello").await;
    client.events.expect(text("hello")).await;
    client.disconnect(Disconnect::normally()).await;
    client.events.expect(disconnected().code(1000).clean(true)).await;
}

/// Their time-outs end a session with a bare FIN.
async fn an_idle_session_is_cut_without_a_close_frame(proxy: &Proxy) {
    let mut client = Client::start(quiet(proxy.url("/echo"), Liveness::off())).await;
    client.events.expect(connected().epoch(1)).await;
    let eof = |reason: &ExitReason| matches!(reason, ExitReason::Eof { mid_message: false });
    client.events.expect(disconnected().code(1006).clean(false).because(eof)).await;
    client.events.until(connected().epoch(2)).await;
    client.send_text("again").await;
    client.events.expect(text("again")).await;
}

async fn pings_keep_an_idle_session(proxy: &Proxy) {
    let often = Liveness::default().ping_every(Duration::from_millis(500));
    let mut client = Client::start(quiet(proxy.url("/echo"), often)).await;
    client.events.expect(connected().epoch(1)).await;
    client.events.expect_none(Duration::from_secs(5)).await;
    client.send_text("still here").await;
    client.events.expect(text("still here")).await;
}

async fn a_server_that_is_down_is_tried_again(proxy: &Proxy) {
    let mut client = Client::start(ConnectionSpec::string("client", proxy.url("/down"))).await;
    let gateway = |reason: &ExitReason| is_status(reason, 500..=599);
    client.events.expect(connection_error().epoch(1).because(gateway)).await;
    client.events.until(connection_error().epoch(2)).await;
}

fn is_status(reason: &ExitReason, codes: std::ops::RangeInclusive<u16>) -> bool {
    match reason {
        ExitReason::Handshake(HandshakeError::Status { code, .. })
        | ExitReason::Redirect { status: code, .. } => codes.contains(code),
        _ => false,
    }
}

/// The first attempt is refused with this status, and another follows or not.
async fn refused(url: String, code: u16, again: Option<Duration>) {
    let mut client = Client::start(ConnectionSpec::string("client", url)).await;
    let wanted = move |reason: &ExitReason| is_status(reason, code..=code);
    client.events.expect(connection_error().because(wanted)).await;
    match again {
        None => client.events.expect(gave_up()).await,
        Some(least) => {
            let waits = move |event: &LifecycleEvent| matches!(event, LifecycleEvent::BackoffScheduled { delay, .. } if *delay >= least);
            client.events.expect(lifecycle("BackoffScheduled", waits)).await
        }
    };
}

const SEVEN_SECONDS: Duration = Duration::from_secs(7);

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn what_nginx_answers_itself() {
    let server = Server::start(Program::Python).await;
    let proxy = Proxy::before(&server, Kind::Nginx).await;
    refused(proxy.url("/moved"), 302, None).await;
    refused(proxy.url("/forbidden"), 403, None).await;
    refused(proxy.url("/page"), 200, None).await;
    // The server behind it gets no upgrade request.
    refused(proxy.url("/stripped"), 426, None).await;
    refused(proxy.url("/busy"), 503, Some(SEVEN_SECONDS)).await;
}

#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn what_haproxy_answers_itself() {
    let server = Server::start(Program::Python).await;
    let proxy = Proxy::before(&server, Kind::Haproxy).await;
    refused(proxy.url("/deny"), 429, Some(SEVEN_SECONDS)).await;
    refused(proxy.url("/tarpit"), 500, Some(Duration::ZERO)).await;

    let mut client =
        Client::start(ConnectionSpec::string("client", proxy.url("/reject-all"))).await;
    let hung_up = |reason: &ExitReason| matches!(reason, ExitReason::Dial(DialError::Upgrade(_)));
    client.events.expect(connection_error().because(hung_up)).await;

    let timeouts = Timeouts { handshake: Duration::from_secs(1), ..Timeouts::default() };
    let settings = Settings::default().timeouts(timeouts);
    let spec = ConnectionSpec::string("client", proxy.url("/drop")).settings(settings);
    let mut client = Client::start(spec).await;
    let silent = |reason: &ExitReason| {
        let phase = DialPhase::Handshake;
        matches!(reason, ExitReason::Dial(DialError::Timeout { phase: p, .. }) if *p == phase)
    };
    client.events.expect(connection_error().because(silent)).await;
}

/// Where one session is all that the server gets, the next waits in a queue, and then is refused.
#[actix::test]
#[ignore = "needs the servers that .ci/install-peers installs"]
async fn a_queue_is_waited_in_and_left() {
    let server = Server::start(Program::Python).await;
    let proxy = Proxy::before(&server, Kind::Haproxy).await;
    let often = || Liveness::default().ping_every(Duration::from_millis(500));
    let mut first = Client::start(quiet(proxy.url("/one"), often())).await;
    first.events.expect(connected()).await;
    let mut second = Client::start(quiet(proxy.url("/one"), often())).await;
    let full = |reason: &ExitReason| is_status(reason, 503..=503);
    second.events.expect(connection_error().epoch(1).because(full)).await;
    first.disconnect(Disconnect::normally()).await;
    first.events.expect(disconnected().code(1000)).await;
    second.events.until(connected()).await;
}
