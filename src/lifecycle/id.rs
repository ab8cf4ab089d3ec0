use std::fmt;

use arcstr::ArcStr;

/// The name of a connection: unique within its supervisor, and shown in events, logs and errors.
///
/// Choose one that holds no secret. Cloning it is cheap, and a clone takes one word.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(ArcStr);

impl ConnectionId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str>> From<T> for ConnectionId {
    fn from(text: T) -> Self {
        Self(ArcStr::from(text.as_ref()))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_its_text_and_pads_it() {
        let id = ConnectionId::from("bot");
        assert_eq!(
            (id.to_string(), format!("{id:>5}"), format!("{id:?}")),
            ("bot".into(), "  bot".into(), "\"bot\"".into())
        );
        assert_eq!(id.as_str(), "bot");
    }
}
