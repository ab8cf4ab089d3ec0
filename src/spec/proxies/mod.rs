//! Which proxy leads to which server.

mod choice;
mod no_proxy;
mod proxy;

pub use choice::Proxies;
pub(crate) use proxy::{Dns, Login, ProxyKind};
pub use proxy::{InvalidProxy, Proxy};
