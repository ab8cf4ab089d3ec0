use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

/// The head of a client's upgrade request (RFC 6455 §4.1).
#[derive(Clone, Debug)]
pub struct UpgradeRequest(pub(super) String);

impl UpgradeRequest {
    /// Method, target and version.
    #[must_use]
    pub fn request_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// The value of the first header of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(given, value)| given.eq_ignore_ascii_case(name).then_some(value))
    }

    /// `Sec-WebSocket-Accept` for this request's key (RFC 6455 §4.2.2).
    #[must_use]
    pub fn accept(&self) -> String {
        let key = self.header("sec-websocket-key").unwrap_or_default();
        STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
    }

    /// The answer that accepts this request, with these header lines more; each ends in `\r\n`.
    #[must_use]
    pub fn acceptance(&self, headers: &str) -> String {
        let accept = self.accept();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        )
    }
}
