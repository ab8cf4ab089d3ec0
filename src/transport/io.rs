use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to a server, whatever it is made of.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

pub(crate) type BoxIo = Box<dyn Io>;
