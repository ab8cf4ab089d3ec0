use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::accounts::Told;
use crate::servers::wall_clock;

/// What a fleet of clients was told. All its room is there from the beginning, so that it does not
/// count as the clients' memory.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Mutex<Entries>>);

pub(crate) struct Entries {
    /// Connections that have a session now.
    pub(crate) connected: usize,
    /// When one got a session, and when an attempt failed, by the wall clock.
    pub(crate) ups: Vec<Duration>,
    pub(crate) failures: Vec<Duration>,
    pub(crate) told: Vec<Told>,
}

/// For each connection, so many attempts have room.
const ATTEMPTS: usize = 40;

impl Journal {
    pub(crate) fn for_connections(connections: usize, messages: usize) -> Self {
        Self(Arc::new(Mutex::new(Entries {
            connected: 0,
            ups: Vec::with_capacity(connections * 4),
            failures: Vec::with_capacity(connections * ATTEMPTS),
            told: vec![Told::Nothing; messages],
        })))
    }

    pub(crate) fn read(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_up(&self) {
        let mut entries = self.read();
        entries.connected += 1;
        entries.ups.push(wall_clock());
    }

    pub(crate) fn is_down(&self) {
        let mut entries = self.read();
        entries.connected = entries.connected.saturating_sub(1);
    }

    pub(crate) fn has_failed(&self) {
        self.read().failures.push(wall_clock());
    }

    pub(crate) fn tell(&self, message: u32, told: Told) {
        if let Some(entry) = self.read().told.get_mut(message as usize) {
            *entry = told;
        }
    }
}
