//! A look at the rescue file system, which changes nothing on it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::{RescueError, is_same, mounted};
use crate::drive::RescuePartition;
use crate::execute::files::attended;
use crate::execute::session::Host;

/// `noload`: not even the journal is replayed.
const OPTIONS: &str = "ro,noload,nosuid,nodev,noexec";

/// Which of these files are missing there, or have another content where one is given. Where a desktop mounted it, it is
/// looked at there; else it is mounted read-only at `at` for that long.
///
/// # Errors
/// When it cannot be looked at. It is unmounted as far as that is possible.
pub fn outdated(
    host: &Host<'_>,
    partition: &RescuePartition,
    at: &Path,
    expected: BTreeMap<&'static str, Option<String>>,
) -> Result<Vec<&'static str>, RescueError> {
    let points = partition.mounted_on(host.root).unwrap_or_default();
    if let Some(point) = points.iter().find(|point| *point != at) {
        return read(host, point.clone(), expected);
    }
    mounted(host, partition, at, OPTIONS, || read(host, at.to_owned(), expected))
}

/// By a thread, which is not waited for when the drive is gone.
fn read(
    host: &Host<'_>,
    at: PathBuf,
    expected: BTreeMap<&'static str, Option<String>>,
) -> Result<Vec<&'static str>, RescueError> {
    let looked = attended(host.client.cancel(), move || differing(&at, &expected));
    let cannot = |source| RescueError::Io { what: "it cannot be read".to_owned(), source };
    looked.map_err(cannot)?.ok_or(RescueError::Interrupted)
}

fn differing(at: &Path, expected: &BTreeMap<&'static str, Option<String>>) -> io::Result<Vec<&'static str>> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let top = openat(CWD, at, flags, Mode::empty())?;
    let mut differing = Vec::new();
    for (name, text) in expected {
        let sound = match text {
            Some(text) => {
                is_same(&top, name, &mut io::Cursor::new(text.as_bytes()), &AtomicBool::new(false))?
            }
            None => is_file(&top, name),
        };
        if !sound {
            differing.push(*name);
        }
    }
    Ok(differing)
}

/// A regular file, not a link to one.
fn is_file(top: &OwnedFd, name: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(top, name, flags, Mode::empty()) else { return false };
    fstat(&file).is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_another_is_named_and_no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("README.txt"), "anything").unwrap();
        std::fs::write(directory.path().join("config.toml"), "old").unwrap();
        std::os::unix::fs::symlink("README.txt", directory.path().join("datasets.txt")).unwrap();
        let expected = |config: &str| {
            [("README.txt", None), ("datasets.txt", None), ("config.toml", Some(config.to_owned()))].into()
        };
        assert_eq!(differing(directory.path(), &expected("old")).unwrap(), ["datasets.txt"]);
        assert_eq!(differing(directory.path(), &expected("new")).unwrap(), ["config.toml", "datasets.txt"]);
    }
}
