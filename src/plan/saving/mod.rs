//! What `stream save` writes: whether a dataset needs a snapshot, whether its stream is a full one, what an increment builds
//! on, and what may go from the source afterwards. Pure.
//!
//! A file counts only with all that it needs: an increment whose base is missing is none to build on. What it builds on is
//! found on the source by guid, as a snapshot or as the bookmark that the last save left there.

mod keep;
mod names;

use jiff::{Timestamp, Zoned};

use crate::model::{
    Base, BaseRule, Bookmark, Dataset, DatasetName, Full, Guid, ResumeState, SavePolicy, SendMode, Side,
    Snapshot, Taking,
};

pub use keep::{Going, going};
pub use names::{bookmark_name, directory_of, is_taken_name, taken_name};

/// A stream that lies in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The snapshot that it makes.
    pub to: Guid,
    /// The one that it needs; nothing: a full one.
    pub from: Option<Guid>,
    /// When that snapshot was taken.
    pub made: Timestamp,
    /// As encrypted as on the disk.
    pub is_raw: bool,
}

/// What is to be done about one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its newest state is in a file.
    UpToDate,
    /// This is to be written.
    Save(Saving),
    /// Nothing is.
    Refused(Unsaved),
}

/// One stream that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saving {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What it builds on; nothing: a full one.
    pub from: Option<Base>,
    /// Why it is a full one or not, as the end of a sentence.
    pub why: &'static str,
}

/// Why a dataset is not saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsaved {
    /// It would lie there for anybody to read.
    #[error("it is not encrypted, and whoever has the files could read it")]
    Plaintext,
    /// Parts of it are missing.
    #[error("it was made by a redacted send, of which no stream can be made")]
    Redacted,
    /// A receive of it never ended.
    #[error("a receive of it was interrupted and never finished")]
    Unfinished,
    /// Nothing can be sent.
    #[error("it has no snapshot")]
    NoSnapshot,
    /// Nothing may be.
    #[error("none of its snapshots is one that `snapshots` selects")]
    NoneSelected,
}

/// The datasets that are meant, parents before children.
pub fn datasets<'a>(policy: &'a SavePolicy, source: &'a Side) -> Vec<&'a Dataset> {
    let wanted = |dataset: &&Dataset| match dataset.name.below(&policy.source) {
        Some("") => true,
        Some(relative) => policy.recursive && policy.datasets.wants(relative),
        None => false,
    };
    source.tree(&policy.source).filter(wanted).collect()
}

/// Why no stream of it can be written, whatever its snapshots are.
pub fn refusal(policy: &SavePolicy, dataset: &Dataset) -> Option<Unsaved> {
    if dataset.resume == ResumeState::Inconsistent {
        return Some(Unsaved::Unfinished);
    }
    if dataset.redacted {
        return Some(Unsaved::Redacted);
    }
    let may_be_read = policy.allow_plaintext || policy.send == SendMode::Plain;
    (dataset.encryption.is_none() && !may_be_read).then_some(Unsaved::Plaintext)
}

/// Whether a snapshot is to be taken of it: something was written since its newest one, or that one lies in no file.
pub fn wants_snapshot(policy: &SavePolicy, dataset: &Dataset, saved: &[Saved]) -> bool {
    let takes = matches!(policy.taking, Taking::Take) && refusal(policy, dataset).is_none();
    let is_saved = |snapshot: &Snapshot| whole(saved).iter().any(|saved| saved.to == snapshot.guid);
    takes && (dataset.written.0 > 0 || !dataset.history.newest().is_some_and(is_saved))
}

/// What becomes of one dataset. `taken`: the snapshot that was taken for it.
pub fn decide(
    policy: &SavePolicy,
    dataset: &Dataset,
    taken: Option<Snapshot>,
    saved: &[Saved],
    now: &Zoned,
) -> Verdict {
    if let Some(why) = refusal(policy, dataset) {
        return Verdict::Refused(why);
    }
    let history = &dataset.history;
    let is_new = taken.is_some();
    let snapshot = match (&policy.taking, taken) {
        (_, Some(taken)) => Some(taken),
        (Taking::Take, None) => history.newest().cloned(),
        (Taking::Existing(filter), None) => {
            history.snapshots().iter().rfind(|snapshot| filter.wants(&snapshot.name)).cloned()
        }
    };
    let Some(snapshot) = snapshot else {
        let none_at_all = history.snapshots().is_empty();
        return Verdict::Refused(if none_at_all { Unsaved::NoSnapshot } else { Unsaved::NoneSelected });
    };
    let whole = whole(saved);
    if whole.iter().any(|saved| saved.to == snapshot.guid) {
        return Verdict::UpToDate;
    }
    let (from, why) = base(policy, dataset, &whole, now);
    match from {
        // What is in a file already is newer than what may be saved.
        Some(base) if base.txg() >= snapshot.txg && !is_new => Verdict::UpToDate,
        from => Verdict::Save(Saving { snapshot, from, why }),
    }
}

/// What the stream builds on.
fn base(
    policy: &SavePolicy,
    dataset: &Dataset,
    whole: &[&Saved],
    now: &Zoned,
) -> (Option<Base>, &'static str) {
    let is_raw = policy.send == SendMode::Raw && dataset.encryption.is_some();
    let Some(full) = whole.iter().filter(|saved| saved.from.is_none()).max_by_key(|saved| saved.made) else {
        return (None, "the first one");
    };
    let since = whole.iter().filter(|saved| saved.from.is_some() && saved.made >= full.made).count();
    if is_due(policy.full, full.made, since, now) {
        return (None, "a full one is due");
    }
    if full.is_raw != is_raw {
        return (None, "`send` is not what it was");
    }
    let mut meant: Vec<&Saved> = match policy.base {
        BaseRule::Full => vec![*full],
        BaseRule::Chain => whole.iter().filter(|saved| saved.is_raw == is_raw).copied().collect(),
    };
    meant.sort_by_key(|saved| (saved.made, saved.from.is_some()));
    match meant.iter().rev().find_map(|saved| dataset.history.base(saved.to)) {
        Some(base) => (Some(base), "an increment"),
        None => (None, "the source has lost what an increment would build on"),
    }
}

/// Those that can be received: full ones, and what builds on them.
pub fn whole(saved: &[Saved]) -> Vec<&Saved> {
    let mut whole: Vec<&Saved> = saved.iter().filter(|saved| saved.from.is_none()).collect();
    let mut left: Vec<&Saved> = saved.iter().filter(|saved| saved.from.is_some()).collect();
    loop {
        let reached = |one: &&Saved| whole.iter().any(|other| one.from == Some(other.to));
        let (more, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(reached);
        if more.is_empty() {
            return whole;
        }
        whole.extend(more);
        left = rest;
    }
}

/// Whether a full one is due, `since` increments after the last.
fn is_due(full: Full, last: Timestamp, since: usize, now: &Zoned) -> bool {
    let last = last.to_zoned(now.time_zone().clone());
    let week = |at: &Zoned| {
        let week = at.date().iso_week_date();
        (week.year(), week.week())
    };
    match full {
        Full::Weekly => week(&last) != week(now),
        Full::Monthly => (last.year(), last.month()) != (now.year(), now.month()),
        Full::Yearly => last.year() != now.year(),
        Full::After(age) => now
            .timestamp()
            .duration_since(last.timestamp())
            .try_into()
            .is_ok_and(|old: std::time::Duration| old >= age),
        Full::Every(number) => since + 1 >= usize::try_from(number).unwrap_or(usize::MAX),
        Full::Never => false,
    }
}

/// What is to be done on the source once its streams lie in files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tidying {
    /// Snapshots that increments will build on and that have no bookmark of this stream yet.
    pub bookmark: Vec<Snapshot>,
    /// Bookmarks of this stream that nothing builds on any more.
    pub unbookmark: Vec<Bookmark>,
    /// Snapshots that were taken for streams and are not the newest of those.
    pub destroy: Vec<Snapshot>,
}

/// What the source keeps for the next increments, and what it need not keep. `own`: which of the snapshots say that they
/// were taken for streams of this name.
pub fn tidying(policy: &SavePolicy, dataset: &Dataset, saved: &[Saved], own: &[Guid]) -> Tidying {
    let whole = whole(saved);
    let newest = |of: &dyn Fn(&Saved) -> bool| {
        whole
            .iter()
            .filter(|saved| of(saved))
            .max_by_key(|saved| (saved.made, saved.from.is_some()))
            .map(|saved| saved.to)
    };
    // Both, so that a change of `base` in the configuration costs no full stream.
    let (full, last) = (newest(&|saved| saved.from.is_none()), newest(&|_| true));
    let is_needed = |guid: Guid| Some(guid) == full || Some(guid) == last;
    let history = &dataset.history;
    let ours = |bookmark: &&Bookmark| names::is_bookmark(&policy.name, bookmark);
    let marked: Vec<&Bookmark> = history.bookmarks().iter().filter(ours).collect();
    let is_marked = |guid: Guid| marked.iter().any(|bookmark| bookmark.guid == guid);
    let snapshots = history.snapshots().iter();
    let bookmark: Vec<Snapshot> =
        snapshots.clone().filter(|one| is_needed(one.guid) && !is_marked(one.guid)).cloned().collect();
    // Without a file there is nothing to be done again from another one: all stay.
    let newest_own = snapshots.clone().rfind(|one| own.contains(&one.guid)).map(|one| one.guid);
    let has_gone = |one: &&Snapshot| {
        last.is_some() && own.contains(&one.guid) && Some(one.guid) != last && Some(one.guid) != newest_own
    };
    Tidying {
        bookmark,
        unbookmark: marked
            .iter()
            .filter(|one| last.is_some() && !is_needed(one.guid))
            .map(|one| (*one).clone())
            .collect(),
        destroy: snapshots.filter(has_gone).cloned().collect(),
    }
}

/// The names of snapshots that may have been taken for streams of this name: whether they were is to be asked.
pub fn perhaps_taken<'a>(policy: &SavePolicy, dataset: &'a Dataset) -> impl Iterator<Item = &'a Snapshot> {
    let name = policy.name.clone();
    dataset.history.snapshots().iter().filter(move |snapshot| is_taken_name(&name, &snapshot.name))
}

/// Two datasets whose files would lie in one directory.
pub fn collision<'a>(datasets: &[&'a DatasetName]) -> Option<(&'a DatasetName, &'a DatasetName)> {
    let mut seen = std::collections::BTreeMap::new();
    datasets.iter().find_map(|name| seen.insert(directory_of(name), *name).map(|other| (other, *name)))
}

#[cfg(test)]
mod tests;
