/// Why a header or subprotocol cannot be part of the handshake. Values are never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is not an RFC 9110 token.
    #[error("header name {0:?} is not a token: use letters, digits and !#$%&'*+-.^_`|~")]
    Name(String),
    /// The value holds a control character or is not ASCII.
    #[error("the value of header {name} has a byte that is not printable ASCII at position {at}")]
    Value {
        /// The header's name.
        name: String,
        /// Index of the first offending byte.
        at: usize,
    },
    /// The header is written by the handshake itself.
    #[error("header {0} is written by the WebSocket handshake and cannot be set")]
    Reserved(String),
    /// The same header twice, ignoring case.
    #[error("header {0} is given twice")]
    Repeated(String),
    /// All headers together are too long.
    #[error("the headers take {len} bytes, and at most {limit} are sent")]
    TooLong {
        /// Bytes of all names and values.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A subprotocol is not an RFC 9110 token. Its text is not shown: some servers take a token
    /// of access there.
    #[error("subprotocol {number} is not a token: use letters, digits and !#$%&'*+-.^_`|~")]
    Subprotocol {
        /// Which one, from 1.
        number: usize,
    },
    /// The same subprotocol twice.
    #[error("subprotocol {number} is offered twice")]
    RepeatedSubprotocol {
        /// Which one, from 1.
        number: usize,
    },
    /// A subprotocol is required of the server, and none is offered.
    #[error("a subprotocol is required, and none is offered: offer one, or require none")]
    SubprotocolRequired,
    /// The header is one that the credential provider sets on every attempt.
    #[error("header {0} is set by the credential provider: give it there, or here, not in both")]
    SetByProvider(String),
    /// The user name of basic authentication has a colon, at which the server would cut it (RFC
    /// 7617 §2). It is not shown.
    #[error("the user name of basic authentication has a colon, which it must not have")]
    BasicUser,
    /// The user name or the password of basic authentication has a control character (RFC 7617 §2).
    /// Neither is shown.
    #[error("basic authentication: user name and password must not have control characters")]
    BasicControl,
}
