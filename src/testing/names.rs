use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{ResolveError, Resolver, Resolving};

/// A resolver that answers as a test says. A clone is the same one.
///
/// Together with [`Network::by_address`](super::Network::by_address), names lead to servers by address,
/// and a test may let a name lead elsewhere with each lookup:
///
/// ```
/// use wsvisor::testing::{Lookup, Names};
///
/// let names = Names::new();
/// names.set("stream.example.com", ["93.184.216.34", "2606:4700::1111"]);
/// // First a public address, and the one of a router at every later lookup.
/// names.script("rebind.example.com", [Lookup::to(["8.8.8.8"]), Lookup::to(["192.168.0.1"])]);
/// names.script("broken.example.com", [Lookup::Unavailable]);
/// assert_eq!(names.lookups("broken.example.com"), 0);
/// ```
///
/// A name that nothing is said of does not exist.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<HashMap<String, Name>>>);

#[derive(Debug, Default)]
struct Name {
    answers: VecDeque<Lookup>,
    lookups: u64,
}

/// What one lookup of a name ends with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lookup {
    /// These addresses, the preferred one first.
    Found(Vec<IpAddr>),
    /// There is no such name.
    NotFound,
    /// The resolver cannot answer now.
    Unavailable,
    /// No answer ever comes.
    Silence,
    /// The answer takes so long.
    Slow(Duration, Box<Self>),
}

impl Lookup {
    /// These addresses, the preferred one first.
    ///
    /// # Panics
    /// When a text is not an address.
    #[must_use]
    pub fn to(addresses: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let parse = |text: &str| {
            text.parse().unwrap_or_else(|error| panic!("{text} is no IP address: {error}"))
        };
        Self::Found(addresses.into_iter().map(|text| parse(text.as_ref())).collect())
    }

    /// The same answer after this time.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self::Slow(time, Box::new(self))
    }
}

impl Names {
    /// A resolver that knows no name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From the next lookup on, `name` leads to these addresses.
    ///
    /// # Panics
    /// When a text is not an address.
    pub fn set(&self, name: &str, addresses: impl IntoIterator<Item = impl AsRef<str>>) {
        self.script(name, [Lookup::to(addresses)]);
    }

    /// The next lookups of `name` end so, one after the other; the last answer stays.
    pub fn script(&self, name: impl fmt::Display, answers: impl IntoIterator<Item = Lookup>) {
        let answers = answers.into_iter().collect();
        self.lock().entry(name.to_string()).or_default().answers = answers;
    }

    /// How many times `name` was looked up.
    #[must_use]
    pub fn lookups(&self, name: &str) -> u64 {
        self.lock().get(name).map_or(0, |name| name.lookups)
    }

    fn next(&self, name: &str) -> Lookup {
        let mut names = self.lock();
        let name = names.entry(name.to_owned()).or_default();
        name.lookups += 1;
        let answer = if name.answers.len() > 1 {
            name.answers.pop_front()
        } else {
            name.answers.front().cloned()
        };
        answer.unwrap_or(Lookup::NotFound)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Name>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        let mut answer = self.next(name);
        Box::pin(async move {
            while let Lookup::Slow(time, then) = answer {
                tokio::time::sleep(time).await;
                answer = *then;
            }
            match answer {
                Lookup::Found(addresses) => Ok(addresses),
                Lookup::Unavailable => Err(ResolveError::Unavailable),
                Lookup::Silence => std::future::pending().await,
                Lookup::NotFound | Lookup::Slow(..) => Err(ResolveError::NotFound),
            }
        })
    }
}
