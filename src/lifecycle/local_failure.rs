use std::io;

/// What this machine or this process lacks for another socket. The server has no part in it.
///
/// No host counts as down by it. A supervisor whose connection meets it dials nobody for a second, and
/// then one at a time, each time after twice as long, up to a minute, until a socket can be made
/// again. Sessions that are up are untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LocalFailure {
    /// The process has as many files and sockets open as it may (`EMFILE`).
    #[error(
        "this process may open no more files and sockets (EMFILE): raise its limit (ulimit -n, \
         LimitNOFILE= of systemd), or keep fewer connections"
    )]
    ProcessDescriptors,
    /// The system has as many open as it can (`ENFILE`).
    #[error(
        "the system can open no more files and sockets (ENFILE): raise its limit (on Linux \
         fs.file-max)"
    )]
    SystemDescriptors,
    /// No address and port is left to dial this server from (`EADDRNOTAVAIL`).
    #[error(
        "no local address and port is left to dial from (EADDRNOTAVAIL): widen the range (on Linux \
         net.ipv4.ip_local_port_range), or spread the connections over more addresses of the server"
    )]
    Ports,
    /// The system has no memory for another socket (`ENOBUFS`, `ENOMEM`).
    #[error("the system has no memory left for a socket (ENOBUFS): keep fewer connections")]
    Memory,
}

impl LocalFailure {
    /// What the system lacked, if that is what this error tells.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::AddrNotAvailable => Some(Self::Ports),
            io::ErrorKind::OutOfMemory => Some(Self::Memory),
            _ => match error.raw_os_error()? {
                numbers::EMFILE => Some(Self::ProcessDescriptors),
                numbers::ENFILE => Some(Self::SystemDescriptors),
                numbers::ENOBUFS => Some(Self::Memory),
                _ => None,
            },
        }
    }
}

/// The errors that have no [`io::ErrorKind`].
#[cfg(unix)]
mod numbers {
    pub(super) use libc::{EMFILE, ENFILE, ENOBUFS};
}

/// Those of Winsock, which knows no limit of the whole system.
#[cfg(not(unix))]
mod numbers {
    pub(super) const EMFILE: i32 = 10_024;
    pub(super) const ENFILE: i32 = i32::MIN;
    pub(super) const ENOBUFS: i32 = 10_055;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_lacks_is_told_from_what_a_server_does() {
        for (number, failure) in [
            (libc::EMFILE, Some(LocalFailure::ProcessDescriptors)),
            (libc::ENFILE, Some(LocalFailure::SystemDescriptors)),
            (libc::EADDRNOTAVAIL, Some(LocalFailure::Ports)),
            (libc::ENOBUFS, Some(LocalFailure::Memory)),
            (libc::ENOMEM, Some(LocalFailure::Memory)),
            (libc::ECONNREFUSED, None),
            (libc::ENETUNREACH, None),
            (libc::EACCES, None),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(LocalFailure::of(&error), failure, "{error}");
        }
        assert_eq!(LocalFailure::of(&io::Error::other("no number")), None);
    }

    #[test]
    fn each_says_what_to_do() {
        for (failure, advice) in [
            (LocalFailure::ProcessDescriptors, "ulimit -n"),
            (LocalFailure::SystemDescriptors, "fs.file-max"),
            (LocalFailure::Ports, "ip_local_port_range"),
            (LocalFailure::Memory, "fewer connections"),
        ] {
            assert!(failure.to_string().contains(advice), "{failure}");
        }
    }
}
