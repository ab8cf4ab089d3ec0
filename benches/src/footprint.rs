use std::{
    fs,
    ops::{Add, AddAssign},
};

use anyhow::{Context as _, Result};
use mockalloc::record_allocs;
use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

/// How much more memory is in use after some work than before.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Footprint {
    /// Bytes asked of the allocator and not given back.
    pub(crate) heap: i64,
    /// Allocations not given back.
    pub(crate) allocations: i64,
    /// Resident bytes: what the allocator made of it, and the stack.
    pub(crate) resident: i64,
}

impl Footprint {
    /// Does `work`, all of it on this thread, and measures what it leaves behind.
    pub(crate) fn of(work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let resident = resident()?;
        let mut done = Ok(());
        let counts = record_allocs(|| done = work());
        done?;
        let difference = |more: u64, less: u64| more.wrapping_sub(less).cast_signed();
        Ok(Self {
            heap: difference(counts.mem_allocated(), counts.mem_freed()),
            allocations: difference(counts.num_allocs(), counts.num_frees()),
            resident: self::resident()? - resident,
        })
    }
}

impl Add for Footprint {
    type Output = Self;

    fn add(mut self, more: Self) -> Self {
        self += more;
        self
    }
}

impl AddAssign for Footprint {
    fn add_assign(&mut self, more: Self) {
        self.heap += more.heap;
        self.allocations += more.allocations;
        self.resident += more.resident;
    }
}

/// Resident memory of this process in bytes, from `/proc/self/statm`.
pub(crate) fn resident() -> Result<i64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: i64 = statm.split(' ').nth(1).context("statm has no second field")?.parse()?;
    let page_size = sysconf(SysconfVar::PAGE_SIZE)?.context("the page size is unknown")?;
    Ok(pages * page_size)
}
