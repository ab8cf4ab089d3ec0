use std::time::Duration;

/// When a session counts as stable, so that the backoff starts again from its minimum.
///
/// Being connected is not enough: a server that accepts and then drops would be dialled at the
/// minimum delay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StableAfter {
    /// It was connected for this long.
    Uptime(Duration),
    /// The application sent [`MarkReady`](crate::MarkReady).
    Ready,
}

impl Default for StableAfter {
    /// 30 seconds connected.
    fn default() -> Self {
        Self::Uptime(Duration::from_secs(30))
    }
}
