//! What there is to say of a pool that was made by hand or by another tool, before it becomes a drive: of what its
//! datasets are copies, and what about them would get in the way of a run. Pure: listings in, findings out.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Dataset, DatasetKind, DatasetName, Guid, PoolName};
use crate::zfs::parse::Listed;

use super::Afterwards;
use super::remedy::quote;

/// Properties of each dataset, as they hold.
pub type Properties = BTreeMap<DatasetName, BTreeMap<String, String>>;

/// What was seen of the drive and of this computer.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The drive's pool.
    pub pool: &'a PoolName,
    /// The root that it is imported below: ZFS puts it in front of mountpoints.
    pub altroot: &'a str,
    /// Its datasets.
    pub datasets: &'a [Dataset],
    /// `readonly`, `canmount`, `mountpoint` and `volmode` of each.
    pub properties: &'a Properties,
    /// Its snapshots.
    pub there: &'a [Listed],
    /// Snapshots and bookmarks of all other pools that are imported.
    pub here: &'a [Listed],
    /// Those of its disks that are not removable, for people.
    pub internal: &'a [String],
    /// What the configuration backs up: source and target, the drive's pool included.
    pub configured: &'a [(DatasetName, DatasetName)],
}

/// A dataset on the drive that has snapshots, and what it is a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The dataset on the drive.
    pub copy: DatasetName,
    /// The dataset of this computer that has most of its snapshots.
    pub source: Option<DatasetName>,
    /// The name of the newest snapshot that both have: where the next increment begins.
    pub base: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The datasets that have snapshots.
    pub copies: Vec<Copied>,
    /// The uppermost of those whose source is known: what a backup would be made of.
    pub tops: Vec<(DatasetName, DatasetName)>,
    /// What would get in the way, and the command against it.
    pub findings: Vec<(String, String)>,
}

/// Why a pool does not become a drive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdopted {
    /// The drive's name is configured.
    #[error("there is a drive {0} in the configuration already")]
    NameTaken(String),
    /// The pool is configured.
    #[error("the pool {pool} is the drive {drive} of the configuration already")]
    PoolTaken {
        /// The pool.
        pool: PoolName,
        /// The drive.
        drive: String,
    },
    /// It is what is backed up, not what it is backed up to.
    #[error("the pool {pool} is not a drive: {why}")]
    OfThisComputer {
        /// The pool.
        pool: PoolName,
        /// What shows it.
        why: String,
    },
    /// It is built in.
    #[error("the pool {pool} is on a disk that is not removable: {}", disks.join("; "))]
    Internal {
        /// The pool.
        pool: PoolName,
        /// Those of its disks that are not; all of them where they are not known.
        disks: Vec<String>,
    },
}

/// Judges the pool by what is configured and mounted.
///
/// # Errors
/// When it is a drive already, or the system itself lives on it.
pub fn refuse(
    drive: &str,
    guid: Guid,
    taken: &[(String, Option<Guid>)],
    seen: &Seen<'_>,
) -> Result<(), NotAdopted> {
    let pool = || seen.pool.clone();
    if let Some((name, _)) = taken.iter().find(|(_, known)| *known == Some(guid)) {
        return Err(NotAdopted::PoolTaken { pool: pool(), drive: name.clone() });
    }
    if taken.iter().any(|(name, _)| name == drive) {
        return Err(NotAdopted::NameTaken(drive.to_owned()));
    }
    let of_this_computer = |why: String| Err(NotAdopted::OfThisComputer { pool: pool(), why });
    if let Some((source, _)) = seen.configured.iter().find(|(source, _)| source.pool() == *seen.pool) {
        return of_this_computer(format!("{source} is backed up by the configuration"));
    }
    let is_root = |dataset: &&Dataset| {
        dataset.mount == crate::model::Mount::Mounted && value(seen, &dataset.name, "mountpoint") == Some("/")
    };
    match seen.datasets.iter().find(is_root) {
        Some(dataset) => of_this_computer(format!("this system runs from {}", dataset.name)),
        None if seen.internal.is_empty() => Ok(()),
        None => Err(NotAdopted::Internal { pool: pool(), disks: seen.internal.to_vec() }),
    }
}

/// Looks through all of it.
pub fn examine(seen: &Seen<'_>, afterwards: &Afterwards<'_>) -> Adoption {
    let copies = copies(seen);
    let tops = tops(&copies);
    let mut findings = properties(seen, &copies, afterwards);
    findings.extend(estranged(seen, &copies, &tops));
    Adoption { copies, tops, findings }
}

/// Of each dataset with snapshots the one that it is a copy of, by guid.
fn copies(seen: &Seen<'_>) -> Vec<Copied> {
    let mut here: HashMap<Guid, Vec<&DatasetName>> = HashMap::new();
    for listed in seen.here {
        let (dataset, guid) = match listed {
            Listed::Snapshot(name, guid, _) => (&name.dataset, *guid),
            Listed::Bookmark(name, guid, _) => (&name.dataset, *guid),
        };
        here.entry(guid).or_default().push(dataset);
    }
    let mut histories: BTreeMap<&DatasetName, Vec<_>> = BTreeMap::new();
    for listed in seen.there {
        if let Listed::Snapshot(name, guid, txg) = listed {
            histories.entry(&name.dataset).or_default().push((*txg, *guid, name.snap.to_string()));
        }
    }
    histories
        .into_iter()
        .map(|(copy, mut history)| {
            history.sort_unstable();
            let mut counts: BTreeMap<&DatasetName, usize> = BTreeMap::new();
            for (_, guid, _) in &history {
                let mut having: Vec<_> = here.get(guid).cloned().unwrap_or_default();
                having.dedup();
                having.into_iter().for_each(|dataset| *counts.entry(dataset).or_default() += 1);
            }
            let source =
                counts.iter().max_by_key(|(_, count)| **count).map(|(dataset, _)| (*dataset).clone());
            let is_common = |guid: &Guid| {
                source
                    .as_ref()
                    .is_some_and(|source| here.get(guid).is_some_and(|datasets| datasets.contains(&source)))
            };
            let base =
                history.iter().rev().find(|(_, guid, _)| is_common(guid)).map(|(_, _, name)| name.clone());
            Copied { copy: copy.clone(), source, base }
        })
        .collect()
}

/// A pair below another pair, with the same rest of its name, belongs to the backup of that one.
fn tops(copies: &[Copied]) -> Vec<(DatasetName, DatasetName)> {
    let pairs: Vec<_> =
        copies.iter().filter_map(|copied| Some((copied.source.clone()?, copied.copy.clone()))).collect();
    let is_below = |(source, copy): &(DatasetName, DatasetName)| {
        pairs.iter().any(|(upper_source, upper_copy)| {
            let rest = |of: &DatasetName, upper: &DatasetName| {
                of.as_str().strip_prefix(upper.as_str())?.strip_prefix('/').map(str::to_owned)
            };
            let below = rest(copy, upper_copy);
            below.is_some() && below == rest(source, upper_source)
        })
    };
    pairs.iter().filter(|pair| !is_below(pair)).cloned().collect()
}

fn value<'a>(seen: &Seen<'a>, dataset: &DatasetName, property: &str) -> Option<&'a str> {
    let value = seen.properties.get(dataset)?.get(property)?.as_str();
    if property != "mountpoint" || !value.starts_with('/') {
        return Some(value);
    }
    match value.strip_prefix(seen.altroot).filter(|_| !seen.altroot.is_empty()) {
        Some("") => Some("/"),
        Some(rest) if rest.starts_with('/') => Some(rest),
        _ => Some(value),
    }
}

/// What zferry sets on each dataset that it receives for the first time (S9), and finds otherwise here.
fn properties(seen: &Seen<'_>, copies: &[Copied], afterwards: &Afterwards<'_>) -> Vec<(String, String)> {
    let is_copy = |dataset: &&Dataset| copies.iter().any(|copied| copied.copy == dataset.name);
    let of_kind =
        |kind: DatasetKind| seen.datasets.iter().filter(is_copy).filter(move |dataset| dataset.kind == kind);
    let lacking = |property: &'static str, wanted: &'static str, kinds: &[DatasetKind]| {
        let all = kinds.iter().flat_map(|kind| of_kind(*kind));
        all.filter(|dataset| value(seen, &dataset.name, property).is_some_and(|found| found != wanted))
            .map(|dataset| dataset.name.clone())
            .collect::<Vec<_>>()
    };
    let (files, volumes) = (DatasetKind::Filesystem, DatasetKind::Volume);
    // One that has no place to be mounted at is mounted by nobody.
    let mounts: Vec<_> = lacking("canmount", "noauto", &[files])
        .into_iter()
        .filter(|name| {
            value(seen, name, "canmount") == Some("on")
                && value(seen, name, "mountpoint").is_some_and(|at| at.starts_with('/'))
        })
        .collect();
    let shown = mounts.first().and_then(|name| value(seen, name, "mountpoint")).unwrap_or_default();
    let table = [
        (
            lacking("readonly", "on", &[files, volumes]),
            "can be written to: mounting one is enough for the next increment to be refused".to_owned(),
            "readonly=on",
        ),
        (
            mounts,
            format!("would be mounted by an import by hand, the first of them at {shown}"),
            "canmount=noauto",
        ),
        (
            lacking("volmode", "none", &[volumes]),
            "would become a device, and whatever looks into it keeps the drive from being exported"
                .to_owned(),
            "volmode=none",
        ),
    ];
    let finding = |(datasets, what, setting): (Vec<DatasetName>, String, &str)| {
        let names: Vec<_> = datasets.iter().map(|name| quote(name.as_str())).collect();
        let command = afterwards.on_drive(seen.pool, &format!("zfs set {setting} {}", names.join(" ")));
        (format!("{} {what}", names.join(", ")), command)
    };
    table.into_iter().filter(|(datasets, ..)| !datasets.is_empty()).map(finding).collect()
}

/// What the configuration would not continue.
fn estranged(
    seen: &Seen<'_>,
    copies: &[Copied],
    tops: &[(DatasetName, DatasetName)],
) -> Vec<(String, String)> {
    let mut findings = Vec::new();
    for (source, target) in seen.configured {
        let elsewhere = tops.iter().find(|(of, copy)| of == source && copy != target);
        if let Some((_, copy)) = elsewhere {
            let below = copy.as_str().split_once('/').map_or("", |(_, below)| below);
            findings.push((
                format!("the copy of {source} is {copy}, and the configuration says {target}"),
                format!("target = \"{below}\" in the configuration, in an override of this drive where others differ"),
            ));
        }
    }
    for copied in copies.iter().filter(|copied| copied.source.is_none()) {
        let copy = &copied.copy;
        findings.push((
            format!("{copy} has no snapshot in common with any dataset of this computer, so that nothing can be added to it"),
            format!("import the pool that it is the copy of and adopt again, or leave {copy} as it is: nothing is written to it"),
        ));
    }
    let is_copy = |dataset: &&Dataset| copies.iter().any(|copied| copied.copy == dataset.name);
    for dataset in seen.datasets.iter().filter(is_copy) {
        // So does one that `zfs send -R` brought.
        let Some(encryption) = dataset.encryption.as_ref().filter(|key| key.root != dataset.name) else {
            continue;
        };
        findings.push((
            format!(
                "{} takes its key from {}, so that nothing can be added to it (OpenZFS issue 12614)",
                dataset.name, encryption.root
            ),
            "`zferry plan` says how to begin it anew, once the drive has a backup".to_owned(),
        ));
    }
    findings
}

impl NotAdopted {
    /// What can be done.
    pub fn remedies(&self) -> Vec<String> {
        match self {
            Self::NameTaken(_) => vec!["choose another name for the drive".to_owned()],
            Self::PoolTaken { drive, .. } => vec![format!("zferry plan {drive}")],
            Self::OfThisComputer { .. } => vec!["name the pool of a drive".to_owned()],
            Self::Internal { .. } => {
                vec!["if it is taken away all the same, the same command with --internal".to_owned()]
            }
        }
    }
}

#[cfg(test)]
mod tests;
