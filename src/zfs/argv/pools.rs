//! Questions and commands about whole pools.

use std::path::{Path, PathBuf};

use super::{LONG, SHORT, with, zfs, zpool};
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

/// A new pool on one partition. Nothing is forced: what is on the partition was erased before.
#[derive(Debug, Clone, Copy)]
pub struct NewPool<'a> {
    /// Its name.
    pub name: &'a PoolName,
    /// The partition.
    pub device: &'a Path,
    /// The root that it is imported below, until it is exported.
    pub altroot: &'a str,
    /// The set of features that it gets: what the oldest computer knows that will import it.
    pub compatibility: &'a str,
}

/// Properties of a new pool, as docs/how-to/first-drive.md explains them.
const POOL_PROPERTIES: [&str; 3] = ["ashift=12", "autotrim=on", "cachefile=none"];
/// Of its top dataset. What is received below it has a place where it can be mounted, and nothing mounts by itself.
const TOP_PROPERTIES: [&str; 8] = [
    "acltype=posixacl",
    "canmount=off",
    "compression=zstd",
    "dnodesize=auto",
    "normalization=formD",
    "readonly=on",
    "relatime=on",
    "xattr=sa",
];

/// Makes a pool, imported below its altroot, with nothing mounted.
pub fn create_pool(new: &NewPool<'_>) -> Invocation {
    let mut create = zpool(["create", "-R", new.altroot], LONG);
    for property in POOL_PROPERTIES {
        create = with(create, ["-o", property]);
    }
    create = with(create, ["-o".to_owned(), format!("compatibility={}", new.compatibility)]);
    for property in TOP_PROPERTIES {
        create = with(create, ["-O", property]);
    }
    create = with(create, ["-O".to_owned(), format!("mountpoint=/mnt/{}", new.name)]);
    with(create, [new.name.to_string(), new.device.display().to_string()])
}

/// What decides whether something is mounted or can be written to, of every dataset of a pool, with where it comes from.
pub fn get_mounting(pool: &PoolName) -> Invocation {
    let properties = "readonly,canmount,mountpoint,volmode";
    let columns = "name,property,value";
    with(zfs(["get", "-Hp", "-r", "-t", "filesystem,volume", "-o", columns, properties], LONG), [pool])
}
