use std::{cell::Cell, sync::Arc};

use bytes::Bytes;

use crate::{
    policy::{AccessPolicy, Allowed},
    spec::{Headers, Settings},
    transport::{BoxedStream, gate::Gate},
};

/// All that an attempt needs to know. It was checked before: the URL is allowed, and the headers
/// and subprotocols can be written.
pub(crate) struct Route {
    pub(crate) allowed: Allowed,
    pub(crate) policy: AccessPolicy,
    pub(crate) headers: Headers,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) settings: Arc<Settings>,
    /// The supervisor's; absent for a connection that is used alone.
    pub(crate) gate: Option<Gate>,
    /// An attempt is under way that the gate has not let through.
    pub(crate) waits_for_turn: Cell<bool>,
}

/// A stream on which the opening handshake is done.
pub(crate) struct Opened {
    pub(in crate::transport) io: BoxedStream,
    pub(in crate::transport) rest: Bytes,
    pub(crate) subprotocol: Option<Arc<str>>,
}
