//! What is wanted: one backup on one drive, after defaults, overrides and flags were applied.

use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{DatasetName, Guid, SnapName};

/// Raw (as encrypted as it lies on the disk) or plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendMode {
    /// `zfs send --raw`: the default, never decrypts.
    Raw,
    /// Must be asked for.
    Plain,
}

/// Which of the selected snapshots travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryMode {
    /// Every selected snapshot.
    All,
    /// Only the newest selected one.
    Newest,
}

/// What happens to the drive's old snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// What the source no longer has goes, within S3 and S21.
    Mirror,
    /// What no rule keeps goes, whatever the source has.
    Keep(Keep),
    /// Nothing is ever destroyed on the drive.
    Never,
}

/// How many snapshots of each age are kept: the newest ones, and of each kind of period the newest snapshot of each of
/// the last so many that have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest, whenever they were made.
    pub last: u32,
    /// Of hours.
    pub hourly: u32,
    /// Of days.
    pub daily: u32,
    /// Of weeks, Monday to Sunday (ISO 8601).
    pub weekly: u32,
    /// Of months.
    pub monthly: u32,
    /// Of years.
    pub yearly: u32,
}

/// Consents given for this one run, by name of the target dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consents {
    /// `--accept-source-loss=DATASET`: pruning beyond the limit is wanted there.
    pub source_loss: Vec<DatasetName>,
    /// `--rollback-target=DATASET`: what only the drive has since the base may be destroyed there.
    pub rollback: Vec<DatasetName>,
}

/// Patterns for datasets below a source; one that is excluded takes its subtree along.
#[derive(Debug, Clone, Default)]
pub struct DatasetFilter {
    exclude: GlobSet,
}

impl DatasetFilter {
    /// Compiles shell-like patterns, matched against the path below the source (`videos`, `*/cache`).
    ///
    /// # Errors
    /// When a pattern is not a glob.
    pub fn new(exclude: &[String]) -> Result<Self, globset::Error> {
        Ok(Self { exclude: glob_set(exclude)? })
    }

    /// Whether the dataset at this path below the source is wanted: neither it nor anything above it is excluded.
    /// The source itself (the empty path) always is.
    pub fn wants(&self, relative: &str) -> bool {
        let ends = relative.match_indices('/').map(|(end, _)| end).chain([relative.len()]);
        relative.is_empty() || !ends.into_iter().any(|end| self.exclude.is_match(&relative[..end]))
    }
}

/// Patterns for snapshot names. zferry's own are always selected.
#[derive(Debug, Clone, Default)]
pub struct SnapshotFilter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl SnapshotFilter {
    /// Compiles shell-like patterns; no `include` selects all.
    ///
    /// # Errors
    /// When a pattern is not a glob.
    pub fn new(include: Option<&[String]>, exclude: &[String]) -> Result<Self, globset::Error> {
        Ok(Self { include: include.map(glob_set).transpose()?, exclude: glob_set(exclude)? })
    }

    /// Which part of the selection leaves out a snapshot of this name; none when it is selected.
    pub fn left_out_by(&self, name: &SnapName) -> Option<&'static str> {
        let excluded = self.exclude.is_match(name.as_str());
        (!self.wants(name)).then_some(if excluded { "exclude" } else { "include" })
    }

    /// Whether a snapshot of this name is selected.
    pub fn wants(&self, name: &SnapName) -> bool {
        let name = name.as_str();
        let included = self.include.as_ref().is_none_or(|include| include.is_match(name));
        name.starts_with("zferry_") || (included && !self.exclude.is_match(name))
    }
}

/// Compiles patterns as the filters do: `*` stays within one part of a name, `**` does not.
///
/// # Errors
/// When a pattern is not a glob.
pub fn glob_set(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    set.build()
}

/// One backup of one drive.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name in the configuration, or the source's name for `replicate`.
    pub name: String,
    /// The guid of the drive's pool: part of the names of our bookmarks, so that drives do not get in each other's way.
    pub drive: Guid,
    /// Top dataset of the source.
    pub source: DatasetName,
    /// Top dataset of the copy, pool included.
    pub target: DatasetName,
    /// Whether the datasets below the source are backed up too.
    pub recursive: bool,
    /// Only the datasets below the source, not the source itself.
    pub skip_parent: bool,
    /// Datasets that are left out.
    pub datasets: DatasetFilter,
    /// Snapshots that are wanted. Deselecting never deletes, and a deselected base still anchors.
    pub snapshots: SnapshotFilter,
    /// Raw or plain.
    pub send: SendMode,
    /// Datasets that are not encrypted may land on the drive (S5).
    pub allow_plaintext: bool,
    /// All selected snapshots or the newest.
    pub history: HistoryMode,
    /// What happens to old snapshots on the drive.
    pub prune: Prune,
    /// Names that are never pruned.
    pub protect: GlobSet,
    /// At most this share of a target dataset's snapshots is destroyed in one run, in percent.
    pub prune_limit: u8,
    /// What vanished from the source goes from the drive only after it was seen missing for so long.
    pub grace: Duration,
    /// A snapshot is taken before each run, and of those that zferry took itself the source keeps so many. None: none is
    /// taken.
    pub own: Option<Keep>,
    /// Properties of the top target dataset, set at its first receive.
    pub properties: Vec<(String, String)>,
    /// The user is warned when a dataset's newest selected snapshot is older than this.
    pub max_age: Option<Duration>,
    /// Consents for this run.
    pub consents: Consents,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excluded_dataset_takes_its_subtree_along() {
        let filter = DatasetFilter::new(&["videos".into(), "*/cache".into()]).unwrap();
        for (relative, wanted) in [
            ("", true),
            ("videos", false),
            ("videos/raw", false),
            ("videos2", true),
            ("anna/cache", false),
            ("anna/cache/x", false),
            ("anna", true),
        ] {
            assert_eq!(filter.wants(relative), wanted, "{relative:?}");
        }
    }

    #[test]
    fn zferrys_own_snapshots_are_always_selected() {
        let filter = SnapshotFilter::new(Some(&["autosnap_*".into()]), &["*_frequently".into()]).unwrap();
        for (name, wanted) in [
            ("autosnap_1_daily", true),
            ("autosnap_1_frequently", false),
            ("manual", false),
            ("zferry_2026-11-21T20:00:00Z", true),
        ] {
            assert_eq!(filter.wants(&name.parse().unwrap()), wanted, "{name}");
        }
        for (name, by) in
            [("autosnap_1_frequently", Some("exclude")), ("manual", Some("include")), ("autosnap_1", None)]
        {
            assert_eq!(filter.left_out_by(&name.parse().unwrap()), by, "{name}");
        }
    }
}
