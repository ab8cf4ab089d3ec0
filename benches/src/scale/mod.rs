//! Very many connections in one process: over sockets, and in memory.

mod crowd;
mod memory;
mod sockets;

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub(crate) use self::{memory::InMemory, sockets::OverSockets};
use crate::report::Report;

/// How large a crowd is, and how long it is watched.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Scale {
    /// Processes side by side, each with a server of its own.
    pub(crate) processes: usize,
    /// Connections over sockets in each.
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { processes: 1, connections: 19_000, seconds: 600 }
    }
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Report>> {
    Ok(vec![memory::compare()?, sockets::compare(scale)?])
}
