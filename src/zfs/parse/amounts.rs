//! Answers that are amounts of space.

use std::collections::HashMap;

use super::{Unreadable, rows, unreadable};
use crate::model::{Bytes, DatasetName};

/// Output of [`crate::zfs::argv::get_written_since`] and [`crate::zfs::argv::get_freeing`].
///
/// # Errors
/// When it is not one number.
pub fn amount(output: &[u8]) -> Result<Bytes, Unreadable> {
    let mut rows = rows::<1>(output)?;
    match (rows.next(), rows.next()) {
        (Some(row), None) => Ok(Bytes(row?.number(0)?)),
        _ => Err(unreadable(0, "one number was expected")),
    }
}

/// Output of [`crate::zfs::argv::estimate`]: of its lines the one that begins with `size`.
///
/// # Errors
/// When there is none, or no number in it.
pub fn estimated(output: &[u8]) -> Result<Bytes, Unreadable> {
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not UTF-8 text"))?;
    let size = text.lines().find_map(|line| line.strip_prefix("size\t"));
    let size = size.ok_or_else(|| unreadable(0, "it tells no size"))?;
    size.parse().map(Bytes).map_err(|_| unreadable(0, format!("{size:?} is no size")))
}

/// Output of [`crate::zfs::argv::get_available`].
///
/// # Errors
/// When a line is not such a line.
pub fn available(output: &[u8]) -> Result<HashMap<DatasetName, Bytes>, Unreadable> {
    rows::<2>(output)?
        .map(|row| {
            let row = row?;
            Ok((row.read(0)?, Bytes(row.number(1)?)))
        })
        .collect()
}
