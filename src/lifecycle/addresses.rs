use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use super::LocalFailure;
use crate::policy::AddressBlocked;

/// Why a name was not resolved.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist, or has no address (DNS: NXDOMAIN, NODATA).
    #[error("there is no such name, or it has no address")]
    NotFound,
    /// The resolver cannot answer now (DNS: SERVFAIL, or no server reached).
    #[error("the resolver cannot answer now")]
    Unavailable,
    /// The resolver did not answer within this time.
    #[error("the resolver did not answer within {0:?}")]
    TimedOut(Duration),
    /// The resolver failed in another way.
    #[error("{0}")]
    Failed(#[source] Arc<io::Error>),
}

/// An address that a host led to, and what became of it.
#[derive(Clone, Debug)]
pub struct AddressFailure {
    /// The address and the port.
    pub address: SocketAddr,
    /// Why there is no connection to it.
    pub fate: AddressFate,
}

/// Why there is no connection to an address.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AddressFate {
    /// The access policy does not allow it. Nothing was sent there.
    Blocked(AddressBlocked),
    /// It refused, or could not be reached.
    Failed(Arc<io::Error>),
    /// It had not answered when time was over.
    TimedOut,
    /// It was not tried: time was over before, or there were too many others.
    NotTried,
}

impl fmt::Display for AddressFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.fate {
            AddressFate::Blocked(blocked) => blocked.fmt(f),
            AddressFate::Failed(error) => write!(f, "{address}: {error}"),
            AddressFate::TimedOut => write!(f, "{address}: no answer in time"),
            AddressFate::NotTried => write!(f, "{address}: not tried"),
        }
    }
}

/// All addresses that a host led to, and what became of each. A clone is cheap.
///
/// As an error, its source is the first failure that the system told.
#[derive(Clone, Debug)]
pub struct AddressFailures(Arc<[AddressFailure]>);

impl AddressFailures {
    /// In the order in which they were judged and tried.
    pub fn iter(&self) -> std::slice::Iter<'_, AddressFailure> {
        self.0.iter()
    }

    /// What the system said, if each address that was tried failed for a lack of this machine.
    pub(super) fn local_failure(&self) -> Option<Arc<io::Error>> {
        let mut tried = self.iter().filter_map(|failure| match &failure.fate {
            AddressFate::Failed(error) => Some(Some(error)),
            AddressFate::TimedOut => Some(None),
            AddressFate::Blocked(_) | AddressFate::NotTried => None,
        });
        let first = tried.next()??;
        let is_local = |error: &io::Error| LocalFailure::of(error).is_some();
        let all = is_local(first) && tried.all(|error| error.is_some_and(|error| is_local(error)));
        all.then(|| Arc::clone(first))
    }
}

impl<'a> IntoIterator for &'a AddressFailures {
    type Item = &'a AddressFailure;
    type IntoIter = std::slice::Iter<'a, AddressFailure>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<AddressFailure> for AddressFailures {
    fn from_iter<T: IntoIterator<Item = AddressFailure>>(failures: T) -> Self {
        Self(failures.into_iter().collect())
    }
}

impl fmt::Display for AddressFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.iter().enumerate() {
            write!(f, "{}{failure}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for AddressFailures {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.iter().find_map(|failure| match &failure.fate {
            AddressFate::Failed(error) => Some(&**error as &(dyn std::error::Error + 'static)),
            AddressFate::Blocked(blocked) => Some(blocked as _),
            AddressFate::TimedOut | AddressFate::NotTried => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn each_address_is_told() {
        let failure = |last, fate| AddressFailure { address: ([8, 8, 8, last], 443).into(), fate };
        let refused = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        let failures: AddressFailures = [
            failure(1, AddressFate::TimedOut),
            failure(2, AddressFate::Failed(refused)),
            failure(3, AddressFate::NotTried),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            failures.to_string(),
            "8.8.8.1:443: no answer in time; 8.8.8.2:443: connection refused; 8.8.8.3:443: not tried"
        );
        let addresses: Vec<_> = (&failures).into_iter().map(|it| it.address.ip()).collect();
        assert_eq!(addresses, [1, 2, 3].map(|last| std::net::IpAddr::from([8, 8, 8, last])));
        assert_eq!(failures.source().unwrap().to_string(), "connection refused");
    }

    #[test]
    fn a_lack_of_the_machine_is_what_fails_every_address() {
        let lack = || AddressFate::Failed(Arc::new(io::Error::from_raw_os_error(libc::EMFILE)));
        let refused =
            || AddressFate::Failed(Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused)));
        let local = |fates: Vec<AddressFate>| {
            let failures: AddressFailures = fates
                .into_iter()
                .map(|fate| AddressFailure { address: ([8, 8, 8, 8], 443).into(), fate })
                .collect();
            failures.local_failure().map(|error| error.raw_os_error().unwrap())
        };
        assert_eq!(local(vec![lack(), lack(), AddressFate::NotTried]), Some(libc::EMFILE));
        assert_eq!(local(vec![lack(), refused()]), None);
        assert_eq!(local(vec![refused(), lack()]), None);
        assert_eq!(local(vec![lack(), AddressFate::TimedOut]), None);
        assert_eq!(local(vec![AddressFate::TimedOut, lack()]), None);
        assert_eq!(local(vec![AddressFate::NotTried]), None);
        assert_eq!(local(vec![]), None);
    }
}
