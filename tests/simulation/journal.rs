//! What happened in a run, and what should not have.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

/// Written by all who take part. A dialler has to be `Send`, hence the lock.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Mutex<Pages>>);

struct Pages {
    began: Instant,
    history: Vec<String>,
    violations: Vec<String>,
}

impl Journal {
    pub(crate) fn begin() -> Self {
        let (history, violations) = (Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Pages { began: Instant::now(), history, violations })))
    }

    pub(crate) fn note(&self, what: impl fmt::Display) {
        let mut pages = self.pages();
        let line = format!("{:9.3} {what}", pages.began.elapsed().as_secs_f64());
        pages.history.push(line);
    }

    pub(crate) fn violation(&self, what: impl fmt::Display) {
        self.note(format_args!("!!! {what}"));
        self.pages().violations.push(what.to_string());
    }

    /// Notes what is wrong, where something is.
    pub(crate) fn check(&self, holds: bool, what: impl fmt::Display) {
        if !holds {
            self.violation(what);
        }
    }

    /// The history and the violations.
    pub(crate) fn close(&self) -> (Vec<String>, Vec<String>) {
        let mut pages = self.pages();
        (std::mem::take(&mut pages.history), std::mem::take(&mut pages.violations))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
