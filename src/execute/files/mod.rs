//! Looking into a drive that is imported read-only, and copying out of it.
//!
//! Whoever reads from a read-only pool whose drive was pulled out hangs for good: `zpool clear` refuses such a pool
//! (measured with ZFS 2.4.4), so that only a restart ends it. Therefore everything that reads files is done by a child, which
//! is abandoned, or by a thread that nobody waits for once the drive is gone (S13).

mod compare;
mod copy;
mod keys;
mod look;
mod mounts;
mod trial;

pub use compare::{Checked, check, list};
pub use copy::{CopyError, Progress, Target, copy, free};
pub use keys::{Ask, KeyError, Keyring, NotTyped, Secret, TRIES};
pub use look::{Found, Looked, Missing, attended, find, lengths, measure};
pub use mounts::{mount_dataset, mount_snapshot, private_directory, public_directory, unmount};
pub use trial::{Trial, Tried};
