//! From an allowed URL to bytes and back: dial, handshake, and the session's read and write loops.
//!
//! This room moves bytes and decides nothing: what a byte means stands in `protocol`, where one
//! may dial in `policy`, and what follows an end in `lifecycle`.

mod attempt;
mod backlog;
mod connect;
mod dialler;
mod gate;
mod greeting;
mod http;
mod link;
mod load;
mod proxy;
#[cfg(feature = "deflate")]
mod release;
mod reply;
mod resolver;
mod session;
mod shared_outbox;
mod standing;
mod tcp;
mod tls;
mod turnstile;
mod vitals;
mod workspace;
mod writer;

pub(crate) use attempt::{Memory, Occasion, Opened, Route, dial};
pub(crate) use dialler::SharedDialler;
pub use dialler::{BoxedStream, ByteStream, Dialler, Dialling, Target};
pub(crate) use gate::Gate;
pub(crate) use link::Link;
pub(crate) use reply::{BatchReply, Reply, ended, unwritten};
pub(crate) use resolver::SharedResolver;
pub use resolver::{Resolver, Resolving, SystemResolver};
pub(crate) use session::{Inbound, Session};
pub(crate) use shared_outbox::SharedOutbox;
pub(crate) use standing::Standing;
pub use tcp::Tcp;
pub use tls::{InvalidTls, KeyPin, Tls, TlsBuilder};
