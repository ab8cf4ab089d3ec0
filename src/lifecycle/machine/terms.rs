//! On which terms a connection is supervised.

use std::sync::{Arc, LazyLock};

use crate::lifecycle::{
    Backoff, RestartPolicy, Restraint, RetryBudget, SharedClassify, StableAfter,
};

/// What holds for a supervised connection: its own terms, and its supervisor's.
#[derive(Clone, Debug)]
pub(crate) struct Supervised {
    pub(crate) supervision: Arc<Supervision>,
    pub(crate) restraint: Arc<Restraint>,
}

/// How a supervised connection comes back. A connection without it never reconnects by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supervision {
    pub(crate) restart: RestartPolicy,
    pub(crate) backoff: Backoff,
    pub(crate) stable_after: StableAfter,
    pub(crate) budget: RetryBudget,
    pub(crate) classify: Option<SharedClassify>,
    /// Its end may be that of its supervisor.
    pub(crate) significant: bool,
}

impl Supervision {
    /// The defaults, which all connections share that ask for nothing else.
    pub(crate) fn shared_default() -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Supervision>> = LazyLock::new(Arc::default);
        Arc::clone(&DEFAULT)
    }
}
