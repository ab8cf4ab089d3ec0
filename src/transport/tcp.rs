use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::dialler::{Dialler, Dialling, Target};

/// The dialler of connections that were given no other: TCP, to the first address of the URL's host
/// that the access policy allows and that answers ([`Target::connect_with`]).
///
/// Nagle's algorithm is off, for messages are written as whole as they come. Keep-alive probes and,
/// on Linux, `TCP_USER_TIMEOUT` let the system notice a path that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    keep_alive: Option<Duration>,
    user_timeout: Option<Duration>,
}

/// Between keep-alive probes that are not answered, and how many of them are lost before the
/// connection is.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

impl Default for Tcp {
    fn default() -> Self {
        let minute = Some(Duration::from_mins(1));
        Self { keep_alive: minute, user_timeout: minute }
    }
}

impl Tcp {
    /// Sets after how long a silence the system asks whether the peer is there, and then every 15 s. It gives the
    /// connection up after four such probes in vain, or where [`user_timeout`](Self::user_timeout) holds, with the first
    /// that is due after that time (tcp(7)). `None` never asks. Default 60 s.
    #[must_use]
    pub fn keep_alive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.keep_alive = after.into();
        self
    }

    /// Sets how long written bytes may go without being acknowledged, or the peer may refuse to take
    /// more, until the system gives the connection up (`TCP_USER_TIMEOUT`, RFC 5482); `None` leaves
    /// that to the system. Default 60 s. It has effect on Linux and Android alone.
    #[must_use]
    pub fn user_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.user_timeout = after.into();
        self
    }

    async fn open(self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        if let Some(after) = self.keep_alive {
            socket.set_tcp_keepalive(&self.probes(after))?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_tcp_user_timeout(self.user_timeout)?;
        Ok(stream)
    }

    fn probes(self, after: Duration) -> TcpKeepalive {
        let probes = TcpKeepalive::new().with_time(after);
        #[cfg(any(
            target_os = "linux",
            target_os = "android",
            target_os = "macos",
            target_os = "ios",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "windows"
        ))]
        let probes = {
            let probes = probes.with_interval(PROBE_INTERVAL);
            // Their number means nothing where there is a user timeout, and to set it is a call of the system.
            let is_linux = cfg!(any(target_os = "linux", target_os = "android"));
            let is_counted = !is_linux || self.user_timeout.is_none();
            if is_counted { probes.with_retries(PROBES) } else { probes }
        };
        probes
    }
}

impl Dialler for Tcp {
    fn dial<'a>(&'a self, target: Target<'a>) -> Dialling<'a> {
        Box::pin(target.connect_with(|address| self.open(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_has_its_options() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = |tcp: Tcp| async move {
            let stream = tcp.open(address).await.unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap());
            let keep_alive = socket.keepalive().unwrap();
            #[cfg(target_os = "linux")]
            let user_timeout = socket.tcp_user_timeout().unwrap();
            #[cfg(not(target_os = "linux"))]
            let user_timeout = tcp.user_timeout;
            (keep_alive, user_timeout)
        };
        assert_eq!(options(Tcp::default()).await, (true, Some(Duration::from_mins(1))));
        let bare = Tcp::default().keep_alive(None).user_timeout(None);
        assert_eq!(options(bare).await, (false, None));
    }
}
