//! What `zfs` and `zpool` print, read into types. Pure. A line that does not parse is an error, never skipped:
//! what is not understood must not become "there is nothing" (S16, S21).

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use jiff::Timestamp;

use crate::model::{
    BookmarkName, Bytes, Dataset, DatasetKind, DatasetName, Encryption, Guid, History, IvsetGuid, KeyStatus,
    Missing, Mount, PoolName, ResumeState, SnapshotDetail, SnapshotName, Txg, WantedKey,
};

mod amounts;
mod dated;
mod delegated;
mod diff;
mod local;
mod own;
mod pools;
mod received;
mod scrub;

pub use amounts::{amount, available, estimated};
pub use dated::{counts, dated};
pub use delegated::{Delegation, delegations};
pub use diff::changes;
pub use local::local;
pub use own::own_snapshots;
pub use pools::{Imported, Status, damage, devices, mounting, pool_properties, pools, status, version};
pub use received::{Received, received};
pub use scrub::Scrub;

use super::argv::{DATASET_COLUMNS, PROPERTY_MISSING, THINNED};
use super::program::UNMARKED;

/// Where and why an output is not what such a command prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Counted from 1; 0 is the output as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

fn unreadable(line: usize, what: impl Into<String>) -> Unreadable {
    Unreadable { line, what: what.into() }
}

/// The lines of `-Hp` output, split into exactly `N` columns.
fn rows<const N: usize>(
    output: &[u8],
) -> Result<impl Iterator<Item = Result<Row<'_, N>, Unreadable>>, Unreadable> {
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not UTF-8"))?;
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(unreadable(0, "it ends in the middle of a line"));
    }
    Ok(text.lines().enumerate().map(|(index, line)| {
        let mut columns = line.split('\t');
        let row = std::array::from_fn(|_| columns.next());
        match (row.iter().all(Option::is_some), columns.next()) {
            (true, None) => Ok(Row { line: index + 1, columns: row.map(Option::unwrap_or_default) }),
            _ => Err(unreadable(index + 1, format!("{} columns instead of {N}", line.split('\t').count()))),
        }
    }))
}

struct Row<'a, const N: usize> {
    line: usize,
    columns: [&'a str; N],
}

impl<'a, const N: usize> Row<'a, N> {
    /// Reads one column; its type's own words say what is wrong.
    fn read<T: FromStr<Err: std::fmt::Display>>(&self, column: usize) -> Result<T, Unreadable> {
        self.columns[column].parse().map_err(|error: T::Err| unreadable(self.line, error.to_string()))
    }

    /// Reads one column in which `-` or nothing means that there is no value.
    fn read_optional<T: FromStr<Err: std::fmt::Display>>(
        &self,
        column: usize,
    ) -> Result<Option<T>, Unreadable> {
        if matches!(self.columns[column], "-" | "") { Ok(None) } else { self.read(column).map(Some) }
    }

    /// A number of which `-` means 0.
    fn number(&self, column: usize) -> Result<u64, Unreadable> {
        self.read_optional(column).map(Option::unwrap_or_default).map_err(|_| {
            unreadable(self.line, format!("“{}” is not a number", self.columns[column].escape_debug()))
        })
    }

    /// Seconds since 1970, which `-` leaves out.
    fn time(&self, column: usize) -> Result<Option<Timestamp>, Unreadable> {
        let seconds: Option<i64> = self.read_optional(column).map_err(|_| self.bad(column, "a time"))?;
        seconds.map(|s| Timestamp::from_second(s).map_err(|_| self.bad(column, "a time"))).transpose()
    }

    fn bad(&self, column: usize, wanted: &str) -> Unreadable {
        unreadable(self.line, format!("“{}” is not {wanted}", self.columns[column].escape_debug()))
    }
}

/// One line of a snapshot listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// `dataset@snap`
    Snapshot(SnapshotName, Guid, Txg),
    /// `dataset#bookmark`
    Bookmark(BookmarkName, Guid, Txg),
}

/// Output of [`super::argv::list_snapshots`].
///
/// # Errors
/// When a line is not such a line.
pub fn snapshots(output: &[u8]) -> Result<Vec<Listed>, Unreadable> {
    rows::<3>(output)?
        .map(|row| {
            let row = row?;
            let (guid, txg) = (row.read(1)?, Txg(row.number(2)?));
            if row.columns[0].contains('@') {
                Ok(Listed::Snapshot(row.read(0)?, guid, txg))
            } else {
                Ok(Listed::Bookmark(row.read(0)?, guid, txg))
            }
        })
        .collect()
}

/// Output of [`super::argv::list_datasets`]. Histories are empty.
///
/// The user properties among the columns are anybody's, and printed as they are: they need not be text, and what has
/// tabs or line breaks looks like more columns, or like other datasets. So none may occur that was not asked for, and
/// none twice.
///
/// # Errors
/// When a line is not such a line, or not of one of these pools.
pub fn datasets(output: &[u8], pools: &[&PoolName]) -> Result<Vec<Dataset>, Unreadable> {
    let text = String::from_utf8_lossy(output);
    let explained = |error: Unreadable| Unreadable {
        what: format!(
            "{} (a tab or a line break in one of the pool's user properties looks like this)",
            error.what
        ),
        ..error
    };
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for row in rows::<{ DATASET_COLUMNS.len() }>(text.as_bytes())? {
        let row = row.map_err(explained)?;
        let dataset = dataset(&row).map_err(explained)?;
        let asked_for = pools.contains(&&dataset.name.pool());
        if !asked_for || !seen.insert(dataset.name.clone()) {
            let why = if asked_for { "occurs twice" } else { "was not asked for" };
            return Err(explained(unreadable(row.line, format!("{} {why}", dataset.name))));
        }
        all.push(dataset);
    }
    Ok(all)
}

fn dataset(row: &Row<'_, { DATASET_COLUMNS.len() }>) -> Result<Dataset, Unreadable> {
    let kind = match row.columns[1] {
        "filesystem" => DatasetKind::Filesystem,
        "volume" => DatasetKind::Volume,
        _ => return Err(row.bad(1, "a type of dataset")),
    };
    let key = match row.columns[5] {
        "available" => KeyStatus::Available,
        "unavailable" | "-" | "none" => KeyStatus::Unavailable,
        _ => return Err(row.bad(5, "a key status")),
    };
    let encryption = row
        .read_optional(3)?
        .map(|root| {
            let salt = Some(row.number(20)?).filter(|&salt| salt != 0);
            let wanted = WantedKey::read(row.columns[18], row.columns[19]);
            Ok::<_, Unreadable>(Encryption { root, keyguid: row.read_optional(4)?, key, wanted, salt })
        })
        .transpose()?;
    let resume = match (row.columns[17], row.number(9)?) {
        ("-" | "", 0) => ResumeState::Clean,
        ("-" | "", _) => ResumeState::Inconsistent,
        (token, _) => ResumeState::Token(token.to_owned()),
    };
    Ok(Dataset {
        name: row.read(0)?,
        kind,
        guid: row.read(2)?,
        encryption,
        written: Bytes(row.number(6)?),
        used: Bytes(row.number(7)?),
        available: Bytes(row.number(8)?),
        resume,
        origin: row.read_optional(10)?,
        redacted: row.number(11)? != 0,
        mount: if row.columns[12] == "yes" { Mount::Mounted } else { Mount::Unmounted },
        container: row.columns[13] == "off",
        needs: needs(row.columns[14], row.number(15)?, row.columns[16]),
        // User properties of the drive are anybody's: what is not a guid is as good as absent.
        quota: Bytes(row.number(21)?),
        refquota: Bytes(row.number(22)?),
        used_by_children: Bytes(row.number(23)?),
        source: row.read_optional(24).unwrap_or_default(),
        mirror: row.read_optional(25).unwrap_or_default(),
        thinned: row.columns[25].strip_prefix(THINNED).and_then(|guid| guid.parse().ok()),
        placeholder: row.columns[26] == "on",
        retired: row.columns[27] == "on",
        rewritten: row.read_optional(28).unwrap_or_default(),
        history: History::default(),
        details: HashMap::new(),
    })
}

/// Pool features that a raw stream of a dataset with these properties needs where it is received: what is written as
/// it lies on the disk must be readable there (facts: zfs.md 5.2).
fn needs(compression: &str, recordsize: u64, dnodesize: &str) -> Vec<&'static str> {
    /// Larger blocks are a feature of their own (`SPA_OLD_MAXBLOCKSIZE`).
    const OLD_MAX_BLOCK: u64 = 128 * 1024;
    let compression = match compression {
        zstd if zstd.starts_with("zstd") => Some("zstd_compress"),
        "on" | "lz4" => Some("lz4_compress"),
        _ => None,
    };
    let blocks = (recordsize > OLD_MAX_BLOCK).then_some("large_blocks");
    let dnodes = (!matches!(dnodesize, "-" | "legacy")).then_some("large_dnode");
    compression.into_iter().chain(blocks).chain(dnodes).collect()
}

/// Output of [`super::argv::list_details`], by full name of the snapshot or bookmark.
///
/// # Errors
/// When a line is not such a line.
pub fn details(output: &[u8]) -> Result<HashMap<String, SnapshotDetail>, Unreadable> {
    let mut all: HashMap<String, SnapshotDetail> = HashMap::new();
    for row in rows::<4>(output)? {
        let row = row?;
        let detail = all.entry(row.columns[0].to_owned()).or_default();
        match row.columns[1] {
            // 0 is what a snapshot without an IV set shows on some versions.
            "ivsetguid" => detail.ivset = Some(row.number(2)?).filter(|&guid| guid != 0).map(IvsetGuid),
            "userrefs" => detail.holds = row.number(2)?,
            "numclones" => detail.clones = row.number(2)?,
            "used" => detail.used = Bytes(row.number(2)?),
            "written" => detail.written = Bytes(row.number(2)?),
            // Inherited from a dataset it would say something of all its snapshots, which nobody has seen.
            PROPERTY_MISSING if row.columns[3] == "local" => detail.missing = missing(row.columns[2]),
            PROPERTY_MISSING => {}
            "creation" => detail.creation = row.time(2)?,
            "redact_snaps" => detail.redaction = !matches!(row.columns[2], "-" | ""),
            "referenced" => detail.referenced = Bytes(row.number(2)?),
            _ => return Err(row.bad(1, "a property that was asked for")),
        }
    }
    Ok(all)
}

/// The drive's own words: whatever is not a time in seconds is noted as such and never believed.
fn missing(value: &str) -> Option<Missing> {
    if value == UNMARKED {
        return None;
    }
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let since = value.parse().ok().filter(|_| digits).and_then(|s| Timestamp::from_second(s).ok());
    Some(since.map_or(Missing::Unreadable, Missing::Since))
}

/// One line of [`super::argv::list_heads`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The dataset.
    pub name: DatasetName,
    /// Its newest snapshot.
    pub newest: Option<SnapshotName>,
    /// Changed since then.
    pub written: Bytes,
    /// Whether a partial receive is left.
    pub partial: bool,
}

/// Output of [`super::argv::list_heads`].
///
/// # Errors
/// When a line is not such a line.
pub fn heads(output: &[u8]) -> Result<Vec<Head>, Unreadable> {
    rows::<4>(output)?
        .map(|row| {
            let row = row?;
            let partial = !matches!(row.columns[3], "-" | "");
            Ok(Head {
                name: row.read(0)?,
                newest: row.read_optional(1)?,
                written: Bytes(row.number(2)?),
                partial,
            })
        })
        .collect()
}

/// Output of [`super::argv::list_named_snapshots`].
///
/// # Errors
/// When a line is not such a line.
pub fn named_snapshots(
    output: &[u8],
) -> Result<HashMap<SnapshotName, (Guid, Option<IvsetGuid>)>, Unreadable> {
    rows::<3>(output)?
        .map(|row| {
            let row = row?;
            let ivset = Some(row.number(2)?).filter(|&guid| guid != 0).map(IvsetGuid);
            Ok((row.read(0)?, (row.read(1)?, ivset)))
        })
        .collect()
}

/// Output of [`super::argv::list_holds`]: snapshot and tag.
///
/// # Errors
/// When a line is not such a line.
pub fn holds(output: &[u8]) -> Result<Vec<(SnapshotName, String)>, Unreadable> {
    rows::<3>(output)?
        .map(|row| {
            let row = row?;
            Ok((row.read(0)?, row.columns[1].to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests;
