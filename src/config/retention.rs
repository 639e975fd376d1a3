//! What is kept, on the drive and of zferry's own snapshots: keys that need each other.

use toml::Spanned;

use super::file::{BackupFile, PruneWord, TakeSnapshot};
use super::problem::Problems;
use crate::model::{Keep, Prune};

/// Of its own snapshots the source keeps so many where nothing else is said.
pub const OWN: Keep = Keep { last: 0, hourly: 0, daily: 7, weekly: 0, monthly: 0, yearly: 0 };

/// `prune` with what belongs to it. None: it is missing, or something is wrong with it.
pub fn prune(file: &BackupFile, path: &str, problems: &mut Problems) -> Option<Prune> {
    let at = |key: &str| file.written.get(key).map_or_else(|| file.name.span(), Spanned::span);
    let mut wrong = |key: &str, what: &str, hint: &str| {
        problems.push(at(key), format!("{path}.{key}"), what, Some(hint.to_owned()));
    };
    let word = file.prune?;
    if word == PruneWord::Keep && file.grace.is_some_and(|grace| !grace.0.is_zero()) {
        let hint = "remove it, or write grace = \"0d\" beside it: with `keep` it does not matter what the source has";
        wrong("grace", "has no effect with prune = \"keep\"", hint);
    }
    match (word, file.keep) {
        (PruneWord::Mirror, _) => Some(Prune::Mirror),
        (PruneWord::Never, _) => Some(Prune::Never),
        (PruneWord::Keep, None) => {
            let what = "is missing, and prune = \"keep\" needs it";
            wrong("keep", what, "keep = { last = 5, daily = 30, weekly = 12, monthly = 24, yearly = 10 }");
            None
        }
        (PruneWord::Keep, Some(keep)) if keep == Keep::default() => {
            wrong("keep", "would keep nothing", "at least one number above 0, such as { daily = 30 }");
            None
        }
        (PruneWord::Keep, Some(keep)) => Some(Prune::Keep(keep)),
    }
}

/// How many of its snapshots stay if one is taken before each run, and the same if a run is told to. None: something is
/// wrong with it.
pub fn own(file: &BackupFile, path: &str, problems: &mut Problems) -> Option<(Option<Keep>, Keep)> {
    let keep = file.snapshot_keep.unwrap_or(OWN);
    if keep == Keep::default() {
        let at = file.written.get("snapshot-keep").map_or_else(|| file.name.span(), Spanned::span);
        let hint = "at least one number above 0, such as { daily = 7 }".to_owned();
        problems.push(at, format!("{path}.snapshot-keep"), "would keep nothing", Some(hint));
        return None;
    }
    Some(((file.snapshot == Some(TakeSnapshot::BeforeRun)).then_some(keep), keep))
}
