//! When snapshots were made, and whether somebody holds them.

use jiff::Timestamp;

use super::{Unreadable, rows};
use crate::model::SnapshotName;

/// Output of [`crate::zfs::argv::list_dated`], in its order.
///
/// # Errors
/// When a line is not such a line.
pub fn dated(output: &[u8]) -> Result<Vec<(SnapshotName, Timestamp)>, Unreadable> {
    rows::<2>(output)?
        .map(|row| {
            let row = row?;
            let made = row.time(1)?.ok_or_else(|| row.bad(1, "a time"))?;
            Ok((row.read(0)?, made))
        })
        .collect()
}

/// Output of [`crate::zfs::argv::list_held`] and [`crate::zfs::argv::list_counts`]: how often each is held.
///
/// # Errors
/// When a line is not such a line.
pub fn counts(output: &[u8]) -> Result<Vec<(SnapshotName, u64)>, Unreadable> {
    rows::<2>(output)?
        .map(|row| {
            let row = row?;
            Ok((row.read(0)?, row.number(1)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_snapshot_has_its_time() {
        let read = dated(b"backup/eds@a\t1764000000\nbackup/eds@b\t1764000001\n").unwrap();
        let shown: Vec<_> = read.iter().map(|(name, at)| format!("{name} {}", at.as_second())).collect();
        assert_eq!(shown, ["backup/eds@a 1764000000", "backup/eds@b 1764000001"]);
        let read = counts(b"backup/eds@a\t0\nbackup/eds@b\t2\n").unwrap();
        let shown: Vec<_> = read.iter().map(|(name, count)| format!("{name} {count}")).collect();
        assert_eq!(shown, ["backup/eds@a 0", "backup/eds@b 2"]);
        assert!(counts(b"backup/eds@a\n").is_err());
        for bad in [&b"backup/eds@a\t-\n"[..], b"backup/eds@a\n", b"backup/eds\t1\n", b"backup/eds@a\t1"] {
            assert!(dated(bad).is_err(), "{bad:?}");
        }
    }
}
