//! What can be said about a drive that is away, from the source and from what this host remembers. Pure.

use std::collections::BTreeSet;

use crate::model::{Dataset, Guid, HistoryMode, Policy, Side, Snapshot, Txg};
use crate::plan::{Ours, Standing, some_of};
use crate::report::status::{BaseState, Waiting};
use crate::state::{KnownCopy, ScrubRecord};
use crate::zfs::parse::Scrub;

/// What the drive was last seen to have of a dataset.
enum Copy {
    /// Nothing is known of one.
    Unknown,
    /// Its newest snapshot is bookmarked for the drive.
    Bookmarked(Txg),
    /// Its newest snapshot is still there, and nothing keeps the source from pruning it.
    Unprotected(Txg),
    /// Its newest snapshot is neither there nor bookmarked.
    Lost,
}

/// The bookmarks are the authority (they name the drive and the snapshot); what the host remembers only tells that
/// there was a copy where no bookmark is left.
fn copy(dataset: &Dataset, drive: Guid, known: &[KnownCopy]) -> Copy {
    let seen = dataset.history.bookmarks().iter().filter(|bookmark| {
        Ours::read(bookmark).is_some_and(|o| o.drive == drive && o.standing == Standing::Verified)
    });
    // The oldest was seen; what comes on top of it may be under way.
    if let Some(txg) = seen.map(|bookmark| bookmark.txg).min() {
        return Copy::Bookmarked(txg);
    }
    let Some(known) = known.iter().find(|known| known.dataset == dataset.guid) else { return Copy::Unknown };
    match dataset.history.base(known.snapshot) {
        Some(base) => Copy::Unprotected(base.txg()),
        None => Copy::Lost,
    }
}

/// The snapshots that the next run would send, as far as the source alone tells.
pub fn waiting(policies: &[Policy], sources: &Side, drive: Guid, known: &[KnownCopy]) -> Waiting {
    let mut waiting = Waiting { snapshots: 0, datasets: 0, bytes: None };
    for (policy, dataset) in selected(policies, sources) {
        let after = after(dataset, drive, known);
        let selected = dataset.history.snapshots().iter().filter(|s| policy.snapshots.wants(&s.name));
        let newer = selected.filter(|snapshot| after.is_none_or(|after| snapshot.txg > after)).count();
        let newer = if policy.history == HistoryMode::Newest { newer.min(1) } else { newer };
        waiting.snapshots += newer;
        waiting.datasets += usize::from(newer > 0);
    }
    waiting
}

/// Snapshots whose sizes say how much waits.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ToMeasure {
    /// What was written for these travels.
    pub written: Vec<String>,
    /// What these refer to travels: they are sent whole, and alone.
    pub referenced: Vec<String>,
}

/// What the size of that is told by. Snapshots that are not selected count where a selected one comes later: what was
/// written for them is in it.
pub fn to_measure(policies: &[Policy], sources: &Side, drive: Guid, known: &[KnownCopy]) -> ToMeasure {
    let mut all = ToMeasure::default();
    for (policy, dataset) in selected(policies, sources) {
        let after = after(dataset, drive, known);
        let snapshots = dataset.history.snapshots();
        let Some(last) = snapshots.iter().rfind(|snapshot| policy.snapshots.wants(&snapshot.name)) else {
            continue;
        };
        let name = |snapshot: &Snapshot| format!("{}@{}", dataset.name, snapshot.name);
        if after.is_none() && policy.history == HistoryMode::Newest {
            all.referenced.push(name(last));
            continue;
        }
        let travel =
            |snapshot: &&Snapshot| snapshot.txg <= last.txg && after.is_none_or(|after| snapshot.txg > after);
        all.written.extend(snapshots.iter().filter(travel).map(name));
    }
    all
}

/// The newest scrub that came to its end, of what this host remembers and what the pool says while it is imported.
pub fn last_scrub(remembered: Option<ScrubRecord>, seen: Option<Scrub>) -> Option<ScrubRecord> {
    let seen = match seen {
        Some(Scrub::Finished { ended, errors, .. }) => Some(ScrubRecord { ended, errors }),
        _ => None,
    };
    remembered.into_iter().chain(seen).max_by_key(|scrub| scrub.ended)
}

/// What is newer than this is not on the drive yet; nothing where nothing is known of a copy that can be continued.
pub fn after(dataset: &Dataset, drive: Guid, known: &[KnownCopy]) -> Option<Txg> {
    match copy(dataset, drive, known) {
        Copy::Bookmarked(txg) | Copy::Unprotected(txg) => Some(txg),
        Copy::Unknown | Copy::Lost => None,
    }
}

/// Whether the next run can go on from what the drive has. A dataset of which no copy is known says nothing: it may be
/// new, or this host may have forgotten.
pub fn base(policies: &[Policy], sources: &Side, drive: Guid, known: &[KnownCopy]) -> BaseState {
    let mut safe = false;
    let (mut lost, mut unprotected) = (Vec::new(), Vec::new());
    for (_, dataset) in selected(policies, sources) {
        match copy(dataset, drive, known) {
            Copy::Bookmarked(_) => safe = true,
            Copy::Unprotected(_) => unprotected.push(dataset.name.as_str()),
            Copy::Lost => lost.push(dataset.name.as_str()),
            Copy::Unknown => {}
        }
    }
    let mut why = Vec::new();
    if !lost.is_empty() {
        why.push(format!(
            "what the drive has newest of {} is gone from the source, and so is its bookmark. The next run leaves it alone and says how to start afresh beside the old copy.",
            some_of(&lost)
        ));
    }
    if !unprotected.is_empty() {
        why.push(format!(
            "the bookmark of {} for this drive is gone. Run before the source prunes the snapshot that both have.",
            some_of(&unprotected)
        ));
    }
    match (why.is_empty(), safe) {
        (false, _) => BaseState::Danger { why: why.join(" ") },
        (true, true) => BaseState::Safe,
        (true, false) => BaseState::Unknown,
    }
}

/// The datasets of these backups that are sent themselves.
pub fn selected<'a>(
    policies: &'a [Policy],
    sources: &'a Side,
) -> impl Iterator<Item = (&'a Policy, &'a Dataset)> {
    let mut seen = BTreeSet::new();
    policies
        .iter()
        .flat_map(move |policy| {
            let wanted = move |dataset: &&Dataset| match dataset.name.below(&policy.source) {
                Some("") => !policy.skip_parent,
                Some(relative) => policy.recursive && policy.datasets.wants(relative),
                None => false,
            };
            sources.datasets.values().filter(wanted).map(move |dataset| (policy, dataset))
        })
        .filter(move |(policy, dataset)| seen.insert((policy.name.clone(), dataset.name.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{DRIVE, OTHER_DRIVE, dataset, guid_of, history, policy, without};

    /// One source dataset, and the guid of the snapshot that this host remembers of its copy.
    fn one(text: &str, remembered: Option<u64>) -> (Side, Vec<KnownCopy>) {
        let name = "tank/data";
        let sources = Side { datasets: [(name.parse().unwrap(), dataset(name, history(text, 1)))].into() };
        let known = remembered.map(|guid| KnownCopy { dataset: guid_of(name), snapshot: Guid(guid) });
        (sources, known.into_iter().collect())
    }

    #[test]
    fn a_bookmark_is_safe_whatever_else_is_there_and_only_what_is_known_to_be_lost_is_in_danger() {
        for (text, remembered, expected) in [
            ("@a,1", None, "unknown"),
            ("@a,1 @b,2 #V,1", None, "safe"),
            ("#V,1 @b,2", None, "safe"),
            ("#V,1 @b,2", Some(7), "safe"),
            ("@a,1 @b,2 #P,1 #P,2", None, "unknown"),
            ("@a,1 @b,2", Some(1), "unprotected"),
            ("@b,2 #other,1", Some(1), "unprotected"),
            ("@b,2", Some(1), "lost"),
            ("", Some(1), "lost"),
            ("", None, "unknown"),
        ] {
            let (sources, known) = one(text, remembered);
            let found = match base(&[policy()], &sources, DRIVE, &known) {
                BaseState::Safe => "safe",
                BaseState::Unknown => "unknown",
                BaseState::Danger { why } if why.starts_with("what the drive has newest") => "lost",
                BaseState::Danger { .. } => "unprotected",
            };
            assert_eq!(found, expected, "{text:?} {remembered:?}");
        }
    }

    #[test]
    fn another_drives_bookmark_says_nothing_about_this_one() {
        let (sources, _) = one("@a,1 @b,2 #V,1", None);
        assert_eq!(base(&[policy()], &sources, OTHER_DRIVE, &[]), BaseState::Unknown);
        let known = [KnownCopy { dataset: guid_of("tank/data"), snapshot: Guid(9) }];
        assert!(matches!(base(&[policy()], &sources, OTHER_DRIVE, &known), BaseState::Danger { .. }));
    }

    #[test]
    fn one_dataset_in_danger_is_named_among_others_that_are_safe() {
        let (mut sources, mut known) = one("@a,1 #V,1", None);
        let lost = dataset("tank/data/lost", history("@c,3", 50));
        known.push(KnownCopy { dataset: lost.guid, snapshot: Guid(2) });
        sources.datasets.insert(lost.name.clone(), lost);
        let BaseState::Danger { why } = base(&[policy()], &sources, DRIVE, &known) else { panic!() };
        assert!(why.contains("of tank/data/lost is gone"), "{why}");
        let alone = Policy { recursive: false, ..policy() };
        assert_eq!(base(&[alone], &sources, DRIVE, &known), BaseState::Safe, "it is not backed up any more");
    }

    #[test]
    fn what_waits_is_what_was_made_since_and_is_selected() {
        for (text, remembered, snapshots) in [
            ("@a,1 @b,2", None, 2),
            ("@a,1 @b,2 #V,1", None, 1),
            ("@a,1 @b,2 @skip,3 #V,2", None, 0),
            ("@a,1 @b,2 @c,3 #V,1 #V,2", None, 2),
            ("#V,1 @b,2 @c,3", None, 2),
            ("@a,1 @b,2", Some(1), 1),
            ("@b,2", Some(1), 1),
        ] {
            let (sources, known) = one(text, remembered);
            let policy = Policy { snapshots: without(&["skip"]), ..policy() };
            let found = waiting(std::slice::from_ref(&policy), &sources, DRIVE, &known);
            let expected = Waiting { snapshots, datasets: usize::from(snapshots > 0), bytes: None };
            assert_eq!(found, expected, "{text:?} {remembered:?}");
            let newest = Policy { history: HistoryMode::Newest, ..policy };
            assert_eq!(waiting(&[newest], &sources, DRIVE, &known).snapshots, snapshots.min(1));
        }
    }

    #[test]
    fn how_much_waits_is_what_was_written_since_up_to_the_newest_that_is_selected() {
        for (text, remembered, written, whole) in [
            ("@a,1 @b,2", None, "ab", "b"),
            ("@a,1 @b,2 #V,1", None, "b", ""),
            ("@a,1 @skip,2 @c,3 #V,1", None, "skipc", ""),
            ("@a,1 @b,2 @skip,3 #V,2", None, "", ""),
            ("@a,1 @b,2 @skip,3 #V,1", None, "b", ""),
            ("@skip,3", None, "", ""),
            ("@a,1 @b,2", Some(1), "b", ""),
            ("@b,2", Some(1), "b", "b"),
            ("", None, "", ""),
        ] {
            let (sources, known) = one(text, remembered);
            let names = |all: &[String]| -> String {
                all.iter().map(|name| name.rsplit('@').next().unwrap()).collect()
            };
            let policy = Policy { snapshots: without(&["skip"]), ..policy() };
            let all = to_measure(std::slice::from_ref(&policy), &sources, DRIVE, &known);
            assert_eq!((names(&all.written).as_str(), all.referenced.len()), (written, 0), "{text:?}");
            let newest = Policy { history: HistoryMode::Newest, ..policy };
            let all = to_measure(&[newest], &sources, DRIVE, &known);
            assert_eq!(names(&all.referenced), whole, "{text:?} {remembered:?}");
            assert_eq!(names(&all.written), if whole.is_empty() { written } else { "" }, "{text:?}");
        }
    }

    #[test]
    fn a_scrub_that_somebody_else_made_counts_while_it_can_be_seen() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let mine = |second| Some(ScrubRecord { ended: at(second), errors: 0 });
        let seen = |second| Some(Scrub::Finished { ended: at(second), errors: 2, repaired: false });
        assert_eq!(last_scrub(mine(5), None), mine(5));
        assert_eq!(last_scrub(mine(5), seen(3)), mine(5));
        assert_eq!(last_scrub(mine(5), seen(7)), Some(ScrubRecord { ended: at(7), errors: 2 }));
        assert_eq!(last_scrub(None, Some(Scrub::Canceled)), None);
    }
}
