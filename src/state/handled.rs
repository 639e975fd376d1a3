//! For which attachments of a drive a run was started already: a file beside the drive's lock, gone after a reboot, as
//! the kernel's numbers of attachments are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::Guid;

fn path(directory: &Path, drive: Guid) -> PathBuf {
    directory.join(format!("{drive}.handled"))
}

/// The kernel's numbers of them; none where that is not known: once too often does no harm.
pub fn handled(directory: &Path, drive: Guid) -> Vec<u64> {
    let text = fs::read_to_string(path(directory, drive)).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Remembers these, instead of those before.
///
/// # Errors
/// When it cannot be written.
pub fn remember_handled(directory: &Path, drive: Guid, attachments: &[u64]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let numbers: Vec<String> = attachments.iter().map(u64::to_string).collect();
    fs::write(path(directory, drive), numbers.join(" ") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_and_what_is_damaged_is_unknown() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("zferry");
        assert!(handled(&directory, Guid(7)).is_empty());
        remember_handled(&directory, Guid(7), &[12, 13]).unwrap();
        assert_eq!((handled(&directory, Guid(7)), handled(&directory, Guid(8))), (vec![12, 13], vec![]));
        for damaged in [&b"\xff\xfe"[..], b"twelve -1 99999999999999999999999"] {
            fs::write(path(&directory, Guid(7)), damaged).unwrap();
            assert!(handled(&directory, Guid(7)).is_empty());
        }
    }
}
