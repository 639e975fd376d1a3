//! Temporary files in memory. The simulated runs of the tests write their state as the program does, with a sync for each
//! file, and would wait for the disk most of the time.

use std::path::Path;

use tempfile::TempDir;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// Less than this, in bytes, is what containers have by default; tests need a few megabytes each.
const ENOUGH: u64 = 1 << 30;

/// A directory in memory; none where there is little of it.
pub fn directory() -> Option<TempDir> {
    let there = rustix::fs::statvfs(Path::new(MEMORY)).ok()?;
    if there.f_bavail.saturating_mul(there.f_frsize) < ENOUGH {
        return None;
    }
    tempfile::Builder::new().prefix("zferry-lab-").tempdir_in(MEMORY).ok()
}
