use std::{fmt, ops::Deref, sync::Arc};

/// The name of a subprotocol that a server picked (RFC 6455 §1.9).
///
/// Some services take a token there, so `Debug` tells its length only, and there is no `Display`.
///
/// ```
/// use wsvisor::Subprotocol;
///
/// let picked = Subprotocol::from("v2.chat");
/// assert_eq!(picked.as_str(), "v2.chat");
/// assert_eq!(format!("{picked:?}"), "Subprotocol(7 bytes)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Subprotocol(Arc<str>);

impl Subprotocol {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Subprotocol {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Subprotocol {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for Subprotocol {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subprotocol({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_name_and_shows_the_length_alone() {
        let picked = Subprotocol::from(String::from("v2.chat"));
        assert_eq!((picked.as_str(), &*picked), ("v2.chat", "v2.chat"));
        assert_eq!(format!("{picked:?}"), "Subprotocol(7 bytes)");
    }
}
