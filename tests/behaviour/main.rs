//! What a connection and a supervisor do, seen from outside: through the public API, and through
//! the bytes that a server reads and writes. The servers are those of `wsvisor::testing`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod addresses;
mod administration;
mod arbiters;
mod batches;
mod beyond_otp;
mod compression;
mod credentials;
mod delivery;
mod endpoints;
mod expectations;
mod faults;
mod floods;
mod greetings;
mod groups;
mod liveness;
mod masking;
mod one_by_one;
mod own_commands;
mod proxies;
mod readiness;
mod redirects;
mod replies;
mod requests;
mod rotation;
mod secrets;
mod send_limits;
mod senders;
mod set_policy;
mod significance;
mod standalone_close;
mod standalone_connect;
mod standalone_messages;
mod subscribers;
mod supervised;
mod supervisor_commands;
mod support;
mod tls;
mod trees;
