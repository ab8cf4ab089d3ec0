use std::fmt;

use super::{SendBinary, SendJson, SendString};
use crate::{lifecycle::Terms, protocol::OwnedPayload};

/// A message of any kind, for a [`Greeting`](crate::Greeting) or a [`Request`](crate::Request): made
/// of a [`SendJson`], a [`SendString`] or a [`SendBinary`]. A JSON connection takes the first only.
#[derive(Clone)]
pub struct Outgoing {
    pub(crate) payload: OwnedPayload,
    pub(crate) is_json: bool,
    pub(crate) terms: Option<Box<Terms>>,
}

impl From<SendJson> for Outgoing {
    fn from(SendJson { text, terms }: SendJson) -> Self {
        Self { payload: OwnedPayload::Text(text), is_json: true, terms }
    }
}

impl From<SendString> for Outgoing {
    fn from(SendString { text, terms }: SendString) -> Self {
        Self { payload: OwnedPayload::Text(text), is_json: false, terms }
    }
}

impl From<SendBinary> for Outgoing {
    fn from(SendBinary { bytes, terms }: SendBinary) -> Self {
        Self { payload: OwnedPayload::Binary(bytes), is_json: false, terms }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A payload may hold a secret.
        write!(f, "Outgoing({} bytes)", self.payload.len())
    }
}
