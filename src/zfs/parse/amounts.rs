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
