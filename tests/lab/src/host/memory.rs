//! Temporary files in memory. The simulated runs of the tests write their state as the program does, with a sync for each
//! file, and would wait for the disk most of the time.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// Less than this, in bytes, is what containers have by default; tests need a few megabytes each.
const ENOUGH: u64 = 1 << 30;

/// Has a command make its temporary files in memory, for as long as what is returned is kept; not where there is little of it.
#[must_use]
pub fn lent_to(command: &mut Command) -> Option<TempDir> {
    let directory = directory()?;
    command.env("TMPDIR", directory.path());
    Some(directory)
}

fn directory() -> Option<TempDir> {
    let there = rustix::fs::statvfs(Path::new(MEMORY)).ok()?;
    if there.f_bavail.saturating_mul(there.f_frsize) < ENOUGH {
        return None;
    }
    tempfile::Builder::new().prefix("zferry-lab-").tempdir_in(MEMORY).ok()
}
