//! Questions and commands about whole pools.

use std::path::PathBuf;

use super::{LONG, SHORT, with, zpool};
use crate::model::{Guid, PoolName};
use crate::process::{Invocation, Tool};

/// Everything about pools, features included.
pub fn get_pools<'a>(pools: impl IntoIterator<Item = &'a PoolName>) -> Invocation {
    with(zpool(["get", "-Hp", "-o", "name,property,value", "all"], SHORT), pools)
}

/// The versions of the tools and of the kernel module.
pub fn version(tool: Tool) -> Invocation {
    Invocation::new(tool, ["version"], SHORT)
}

/// The imported pools.
pub fn list_pools() -> Invocation {
    zpool(["list", "-Hp", "-o", "name,guid,health,readonly,altroot"], SHORT)
}

/// Device nodes of all imported pools, or of one.
pub fn list_devices(pool: Option<&PoolName>) -> Invocation {
    with(zpool(["list", "-vHPL", "-o", "name"], SHORT), pool)
}

/// State and error counters of one pool.
pub fn status(pool: &PoolName) -> Invocation {
    with(zpool(["status", "-p"], SHORT), [pool])
}

/// The same, with what is damaged.
pub fn damage(pool: &PoolName) -> Invocation {
    with(zpool(["status", "-v"], SHORT), [pool])
}

/// How to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing on the drive changes, not even its label.
    ReadOnly,
    /// For a run.
    ReadWrite,
}

/// Whether a pool that another host used last may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignHost {
    /// No.
    Refuse,
    /// The user named that host for this run (`--last-used-by`): the one exception of S2.
    TakeOver,
}

/// Imports by guid from these devices only (S6): no mounts, no cache file, below a private root (S7).
pub fn import(
    guid: Guid,
    devices: &[PathBuf],
    altroot: &str,
    access: Access,
    foreign: ForeignHost,
) -> Invocation {
    let mut import = zpool(["import", "-N", "-o", "cachefile=none", "-R", altroot], LONG);
    if access == Access::ReadOnly {
        import = with(import, ["-o", "readonly=on"]);
    }
    if foreign == ForeignHost::TakeOver {
        import = with(import, ["-f"]);
    }
    for device in devices {
        import = with(import, ["-d".to_owned(), device.display().to_string()]);
    }
    with(import, [guid])
}

/// Goes on with a pool that lost its device, which is back. Only after its labels were read (S13).
pub fn clear(pool: &PoolName) -> Invocation {
    with(zpool(["clear"], SHORT), [pool])
}

/// Begins a scrub, or goes on with one that was paused.
pub fn scrub(pool: &PoolName) -> Invocation {
    with(zpool(["scrub"], SHORT), [pool])
}

/// Pauses a scrub. It stays so over export and import.
pub fn pause_scrub(pool: &PoolName) -> Invocation {
    with(zpool(["scrub", "-p"], SHORT), [pool])
}

/// Exports, never by force.
pub fn export(pool: &PoolName) -> Invocation {
    with(zpool(["export"], LONG), [pool])
}
