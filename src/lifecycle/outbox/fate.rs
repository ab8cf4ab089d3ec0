/// What became of an accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All its bytes were handed to the socket.
    Written,
    /// The pong came to a ping that was written after it.
    Confirmed,
    /// None of its bytes were handed to the socket, and none will be.
    NotWritten(Loss),
    /// Some of its bytes or all were handed to the socket, and nothing more will be known.
    Unknown(Loss),
}

/// What ended the wait of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The end of its session.
    Session,
    /// The end of the connection.
    Connection,
    /// Its deadline.
    Deadline,
    /// A newer message with its key.
    Newer,
}
