use std::fmt;

/// What a server's refusal of credentials (401 or 403) was, beside the refusal before it.
///
/// The rule is NATS': the same refusal twice, with a credential that has not changed, is for good.
/// A credential that has changed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedCredential {
    /// The first since a server accepted one: the provider is asked for another at once.
    First,
    /// Another credential than the one before was refused, or with another status: the next
    /// attempt follows after the backoff.
    Changed,
    /// The provider gave the same credential again, and it was refused the same way.
    Unchanged,
}

impl fmt::Display for RefusedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "the provider is asked for others",
            Self::Changed => "they were others than before",
            Self::Unchanged => "the provider gave the same as before",
        })
    }
}

/// What a connection remembers of the credentials that were refused, until some are accepted. Boxed
/// because most are never refused.
#[derive(Debug)]
pub(crate) struct Refusals<C>(Option<Box<(u16, C)>>);

impl<C> Default for Refusals<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C: PartialEq> Refusals<C> {
    /// The server answered `credential` with this status.
    pub(crate) fn refused(&mut self, status: u16, credential: C) -> RefusedCredential {
        let before = self.0.replace(Box::new((status, credential)));
        match before {
            None => RefusedCredential::First,
            same if same == self.0 => RefusedCredential::Unchanged,
            Some(_) => RefusedCredential::Changed,
        }
    }

    /// The server accepted what it was given.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// With which status it refused the last one.
    pub(crate) fn status(&self) -> Option<u16> {
        self.0.as_deref().map(|(status, _)| *status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RefusedCredential::{Changed, First, Unchanged};

    #[test]
    fn the_same_refusal_of_the_same_credential_counts() {
        type Refusal = (u16, &'static str, RefusedCredential);
        let histories: [&[Refusal]; 4] = [
            &[(401, "a", First), (401, "a", Unchanged), (401, "a", Unchanged)],
            &[(401, "a", First), (401, "b", Changed), (401, "b", Unchanged), (401, "a", Changed)],
            &[(401, "a", First), (403, "a", Changed), (403, "a", Unchanged)],
            &[(403, "a", First), (403, "b", Changed), (403, "a", Changed)],
        ];
        for history in histories {
            let mut refusals = Refusals::default();
            assert_eq!(refusals.status(), None);
            for (status, credential, expected) in history {
                assert_eq!(refusals.refused(*status, *credential), *expected, "{history:?}");
                assert_eq!(refusals.status(), Some(*status));
            }
            refusals.forget();
            assert_eq!(refusals.refused(401, "a"), First, "after some were accepted");
        }
    }
}
