//! What `zpool` answers: which pools there are, how they are, and which version it is.

use std::collections::BTreeMap;

use super::scrub::{Scrub, scrub};
use super::{Unreadable, rows, unreadable};
use crate::model::{Guid, PoolName};
use crate::zfs::version::Versions;

/// One imported pool, as [`crate::zfs::argv::list_pools`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub name: PoolName,
    /// Its identity.
    pub guid: Guid,
    /// `ONLINE`, `DEGRADED`, `SUSPENDED` …
    pub health: String,
    /// Imported read-only.
    pub readonly: bool,
    /// The root that it was imported below.
    pub altroot: Option<String>,
}

/// Output of [`crate::zfs::argv::list_pools`].
///
/// # Errors
/// When a line is not such a line.
pub fn pools(output: &[u8]) -> Result<Vec<Imported>, Unreadable> {
    rows::<5>(output)?
        .map(|row| {
            let row = row?;
            let altroot = Some(row.columns[4]).filter(|root| !matches!(*root, "-" | ""));
            Ok(Imported {
                name: row.read(0)?,
                guid: row.read(1)?,
                health: row.columns[2].to_owned(),
                readonly: row.columns[3] == "on",
                altroot: altroot.map(str::to_owned),
            })
        })
        .collect()
}

/// Output of [`crate::zfs::argv::version`]: `zfs-2.3.2-2`, `zfs-kmod-2.3.2-2`. Packagers write what they like behind the
/// number.
///
/// # Errors
/// When it lacks one of the two, or breaks off.
pub fn version(output: &[u8]) -> Result<Versions, Unreadable> {
    let text = String::from_utf8_lossy(output);
    let told = |line: &str, prefix: &str| {
        let version = line.strip_prefix(prefix)?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    };
    let mut lines = text.lines();
    let tools = lines.next().and_then(|line| told(line, "zfs-"));
    let module = lines.next().and_then(|line| told(line, "zfs-kmod-"));
    if tools.is_some() && module.is_some() && lines.next().is_none() && text.ends_with('\n') {
        Ok(Versions { tools, module })
    } else {
        let what = "the versions of the tools and of the kernel module were expected".to_owned();
        Err(Unreadable { line: 0, what })
    }
}

/// Output of [`crate::zfs::argv::get_pools`]: all properties of each pool.
///
/// # Errors
/// When a line is not such a line.
pub fn pool_properties(output: &[u8]) -> Result<BTreeMap<PoolName, BTreeMap<String, String>>, Unreadable> {
    let mut all: BTreeMap<PoolName, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows::<3>(output)? {
        let row = row?;
        all.entry(row.read(0)?).or_default().insert(row.columns[1].to_owned(), row.columns[2].to_owned());
    }
    Ok(all)
}

/// Output of [`crate::zfs::argv::get_mounting`]: these properties of each dataset.
///
/// # Errors
/// When a line is not such a line.
pub fn mounting(
    output: &[u8],
) -> Result<BTreeMap<crate::model::DatasetName, BTreeMap<String, String>>, Unreadable> {
    let mut all: BTreeMap<_, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows::<3>(output)? {
        let row = row?;
        all.entry(row.read(0)?).or_default().insert(row.columns[1].to_owned(), row.columns[2].to_owned());
    }
    Ok(all)
}

/// Device nodes in the output of [`crate::zfs::argv::list_devices`]: the lines that name a path.
///
/// # Errors
/// When it is not UTF-8.
pub fn devices(output: &[u8]) -> Result<Vec<std::path::PathBuf>, Unreadable> {
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not UTF-8"))?;
    let first = text.lines().map(|line| line.trim_start().split('\t').next().unwrap_or_default());
    Ok(first.filter(|name| name.starts_with('/')).map(Into::into).collect())
}

/// What [`crate::zfs::argv::status`] says of the pool's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `ONLINE`, `DEGRADED`, `SUSPENDED` …
    pub state: String,
    /// All read, write and checksum errors of the pool and its devices.
    pub errors: u64,
    /// What is counted of damaged data, if only that of a receive that was cut off: `2 data errors`.
    pub damage: Option<String>,
    /// The last scrub, or the one under way.
    pub scrub: Scrub,
}

/// Output of [`crate::zfs::argv::status`] (text: JSON came with ZFS 2.3).
///
/// # Errors
/// When there is no state in it, or a counter is not a number.
pub fn status(output: &[u8]) -> Result<Status, Unreadable> {
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not UTF-8"))?;
    let state = text.lines().find_map(|line| line.trim().strip_prefix("state:"));
    let state = state.ok_or_else(|| unreadable(0, "no state in it"))?.trim().to_owned();
    let mut errors: u64 = 0;
    let table = text.lines().enumerate().skip_while(|(_, line)| !line.trim_start().starts_with("NAME "));
    for (index, line) in table.skip(1).take_while(|(_, line)| !line.trim().is_empty()) {
        let counters: Vec<_> = line.split_whitespace().skip(2).take(3).collect();
        for counter in counters {
            let value: u64 =
                counter.parse().map_err(|_| unreadable(index + 1, "a counter is not a number"))?;
            errors = errors.saturating_add(value);
        }
    }
    let damage = text.lines().find_map(|line| line.strip_prefix("errors: "));
    let damage = damage.filter(|damage| *damage != "No known data errors");
    let damage = damage.map(|damage| damage.split(',').next().unwrap_or_default().to_owned());
    Ok(Status { state, errors, damage, scrub: scrub(text) })
}

/// What of the pool's datasets is damaged, as [`crate::zfs::argv::damage`] lists it: `DATASET[@SNAPSHOT]:` and a path or
/// the number of an object. What a receive that was cut off left (`%recv`) and what is no longer in any dataset is not
/// counted: that goes by itself. Nothing where ZFS does not say (2.4.4 does not while a key is not loaded).
///
/// # Errors
/// When it is not UTF-8.
pub fn damage(output: &[u8], pool: &PoolName) -> Result<Vec<String>, Unreadable> {
    let text = std::str::from_utf8(output).map_err(|_| unreadable(0, "it is not UTF-8"))?;
    let listed = text.lines().skip_while(|line| !line.starts_with("errors:")).skip(1).map(str::trim);
    let of_the_pool = |line: &&str| {
        let rest = line.strip_prefix(pool.as_str()).unwrap_or_default();
        rest.starts_with(['/', '@', ':']) && !rest.contains("/%recv")
    };
    Ok(listed.filter(of_the_pool).map(str::to_owned).collect())
}
