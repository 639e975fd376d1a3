//! For looking into a drive: keys, and when its snapshots were made; and who holds what, and may do what.

use super::{LONG, SHORT, with, zfs};
use crate::model::DatasetName;
use crate::process::Invocation;

/// Opens an encryption root with this passphrase, which goes in on standard input (S17). What the drive says of where the
/// key is to be found is not followed.
pub fn load_key(root: &DatasetName, passphrase: &[u8]) -> Invocation {
    let mut load = with(zfs(["load-key", "-L", "prompt"], SHORT), [root]);
    load.stdin = [passphrase, b"\n"].concat();
    load
}

/// Whether this passphrase would open an encryption root. Nothing is loaded.
pub fn try_key(root: &DatasetName, passphrase: &[u8]) -> Invocation {
    let mut attempt = with(zfs(["load-key", "-n", "-L", "prompt"], SHORT), [root]);
    attempt.stdin = [passphrase, b"\n"].concat();
    attempt
}

/// Closes it again.
pub fn unload_key(root: &DatasetName) -> Invocation {
    with(zfs(["unload-key"], SHORT), [root])
}

/// The snapshots at and below these datasets, and how often each is held.
pub fn list_held<'a>(tops: impl IntoIterator<Item = &'a DatasetName>) -> Invocation {
    with(zfs(["list", "-Hp", "-r", "-t", "snapshot", "-o", "name,userrefs"], LONG), tops)
}

/// Who else than root may do what to a dataset, by itself or by one above it.
pub fn list_delegations(dataset: &DatasetName) -> Invocation {
    with(zfs(["allow"], SHORT), [dataset])
}

/// The snapshots of one dataset, oldest first, and when they were made.
pub fn list_dated(dataset: &DatasetName) -> Invocation {
    let list = ["list", "-Hp", "-d", "1", "-t", "snapshot", "-o", "name,creation", "-s", "createtxg"];
    with(zfs(list, LONG), [dataset])
}
