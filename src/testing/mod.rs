//! For tests of programs that live on WebSocket connections: the test is the server.
//!
//! Everything runs in memory and in virtual time, over the whole way of the library: dial,
//! handshake, session, actors. A test writes what the server does ([`Script`]), starts the program
//! under test with a [`Network`] as its dialler, and awaits what it is told ([`Recorder`]) or what
//! the server saw ([`Played::done`]). An hour of backoff takes no time, and a seed gives the same
//! run again.
//!
//! ```
#![doc = include_str!("../../examples/testing.rs")]
//! ```
//!
//! | to | use |
//! | --- | --- |
//! | write what a server does with its connections | [`Script`], [`Server::play`] |
//! | be the server, step by step | [`Server::accept`], [`Peer`] |
//! | let the same script run over a real socket | [`Server::on_loopback`] |
//! | let a server be gone, come back, or never answer | [`Server::stop`], [`Server::start`], [`Network::swallow`] |
//! | put a bad network between: delay, loss, resets, corrupt bytes | [`Server::relay_to`], [`Faults`] |
//! | put a proxy between | [`Proxy`] |
//! | count sockets and dials | [`Network::live`], [`Network::dials`] |
//! | script what names lead to | [`Names`], [`Network::by_address`] |
//! | await events, and see the history when they do not come | [`Recorder`], [`Matcher`] |
//! | make waiting free and chance repeatable | [`virtual_time`] |
//! | let the machine sleep | [`suspend`] |
//!
//! The feature `testing` turns this module on; put it among the dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! wsvisor = { version = "0.1", features = ["testing"] }
//! ```

mod answer;
mod bug;
mod frame;
mod matcher;
mod names;
mod network;
mod patience;
mod peer;
mod pipe;
mod played;
mod proxy;
mod recorded;
mod recorder;
mod relay;
mod script;
mod server;
mod upgrade_request;
mod virtual_time;

pub use bug::Bug;
pub use frame::{ClientFrame, frame};
pub use matcher::{
    Matcher, backoff_scheduled, binary, connected, connection_error, disconnected, gave_up,
    lifecycle, message, text,
};
pub use names::{Lookup, Names};
pub use network::Network;
pub use peer::Peer;
pub use pipe::Pipe;
pub use played::Played;
pub use proxy::{Proxy, ProxyRequest};
pub use recorded::{Recorded, What};
pub use recorder::Recorder;
pub use relay::{End, Fault, Faults, Point, Relay};
pub use script::{Deviation, Script};
pub use server::{Server, Stream};
pub use upgrade_request::UpgradeRequest;
pub use virtual_time::{suspend, virtual_time};
