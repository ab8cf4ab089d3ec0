//! Connections to servers that others wrote: Python's `websockets` and Node's `ws`, installed by
//! `.ci/install-peers`. Each scenario is written once and runs against both. nginx and HAProxy stand
//! before them as reverse proxies; tinyproxy and microsocks lead to them.
//!
//! ```sh
//! .ci/install-peers && cargo test --test real_peers -- --ignored
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// Makes two tests of each scenario: one against each server.
macro_rules! against_both {
    ($($scenario:ident),+ $(,)?) => {
        mod python { against_both!(@tests Python $($scenario)+); }
        mod node { against_both!(@tests Node $($scenario)+); }
    };
    (@tests $program:ident $($scenario:ident)+) => {$(
        #[actix::test]
        #[ignore = "needs the servers that .ci/install-peers installs"]
        async fn $scenario() {
            super::$scenario(crate::server::Program::$program).await;
        }
    )+};
}

mod authority;
mod client;
mod closing;
mod forward_proxies;
mod forward_proxy;
mod graphql;
mod handshake;
#[cfg(unix)]
mod kills;
mod messages;
mod proxies;
mod proxy;
mod restart;
mod server;
mod tls;
