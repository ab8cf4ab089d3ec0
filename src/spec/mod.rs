//! What a connection is asked to be.

mod connection;
mod headers;
mod settings;

pub use connection::ConnectionSpec;
pub(crate) use connection::check_id;
pub(crate) use headers::{Headers, check_subprotocols};
pub use settings::{Kind, Settings, Timeouts};
