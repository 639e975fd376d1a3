use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::model::{DatasetFilter, History, Keep, SnapshotFilter, Txg};
use crate::plan::testing;

fn policy() -> SavePolicy {
    SavePolicy {
        name: "diary".to_owned(),
        source: "pool/diary".parse().unwrap(),
        recursive: true,
        datasets: DatasetFilter::default(),
        taking: Taking::Existing(SnapshotFilter::default()),
        send: SendMode::Raw,
        allow_plaintext: false,
        full: Full::Never,
        base: BaseRule::Full,
        keep: None,
    }
}

/// On the day with this number, and with guid and txg of the same.
fn snapshot(day: u64) -> Snapshot {
    Snapshot { name: format!("s{day}").parse().unwrap(), guid: Guid(day), txg: Txg(day) }
}

fn bookmark(name: &str, day: u64) -> Bookmark {
    Bookmark { name: name.parse().unwrap(), guid: Guid(day), txg: Txg(day) }
}

fn at(day: u64) -> Timestamp {
    Timestamp::from_second(86_400 * i64::try_from(day).unwrap()).unwrap()
}

fn now(day: u64) -> Zoned {
    at(day).to_zoned(TimeZone::UTC)
}

fn saved(from: u64, to: u64) -> Saved {
    Saved { to: Guid(to), from: (from > 0).then_some(Guid(from)), made: at(to), is_raw: true }
}

fn dataset(snapshots: &[u64], bookmarks: &[u64]) -> Dataset {
    let snapshots = snapshots.iter().copied().map(snapshot).collect();
    let bookmarks = bookmarks.iter().map(|day| bookmark(&bookmark_name("diary", Guid(*day)), *day)).collect();
    testing::dataset("pool/diary", History::new(snapshots, bookmarks).unwrap())
}

/// What is written, as from and to; 0 as from: a full one.
fn written(policy: &SavePolicy, dataset: &Dataset, files: &[Saved], day: u64) -> Option<(u64, u64)> {
    match decide(policy, dataset, None, files, &now(day)) {
        Verdict::Save(saving) => Some((saving.from.map_or(0, |base| base.guid().0), saving.snapshot.guid.0)),
        Verdict::UpToDate => None,
        Verdict::Refused(why) => panic!("{why}"),
    }
}

#[test]
fn the_first_is_full_and_the_others_build_on_what_the_source_still_knows() {
    let (full, chain) = (policy(), SavePolicy { base: BaseRule::Chain, ..policy() });
    let files = [saved(0, 1), saved(1, 2)];
    for (snapshots, bookmarks, files, by_full, by_chain) in [
        (&[1, 2][..], &[][..], &[][..], Some((0, 2)), Some((0, 2))),
        (&[1, 2], &[], &files, None, None),
        (&[1, 2, 3], &[], &files, Some((1, 3)), Some((2, 3))),
        // The bookmarks are enough.
        (&[3], &[1, 2], &files, Some((1, 3)), Some((2, 3))),
        // What is lost on the source is not built on.
        (&[3], &[2], &files, Some((0, 3)), Some((2, 3))),
        (&[3], &[1], &files, Some((1, 3)), Some((1, 3))),
        (&[3], &[], &files, Some((0, 3)), Some((0, 3))),
        // Neither is what cannot be received any more.
        (&[1, 2, 3], &[], &files[1..], Some((0, 3)), Some((0, 3))),
        (&[1, 2, 3], &[], &files[..1], Some((1, 3)), Some((1, 3))),
        // An older state than that of the files is in them.
        (&[1], &[2], &[saved(0, 2)], None, None),
    ] {
        let dataset = dataset(snapshots, bookmarks);
        assert_eq!(written(&full, &dataset, files, 9), by_full, "{snapshots:?} {bookmarks:?} {files:?}");
        assert_eq!(written(&chain, &dataset, files, 9), by_chain, "{snapshots:?} {bookmarks:?} {files:?}");
    }
}

#[test]
fn a_full_one_is_due_by_the_calendar_by_age_or_by_number() {
    // 1970-01-01 was a Thursday.
    for (full, files, day, is_full) in [
        (Full::Weekly, &[saved(0, 1)][..], 3, false),
        (Full::Weekly, &[saved(0, 1)], 4, true),
        (Full::Monthly, &[saved(0, 1)], 30, false),
        (Full::Monthly, &[saved(0, 1)], 31, true),
        (Full::Yearly, &[saved(0, 31)], 364, false),
        (Full::Yearly, &[saved(0, 31)], 365, true),
        (Full::After(Duration::from_secs(86_400 * 10)), &[saved(0, 1)], 10, false),
        (Full::After(Duration::from_secs(86_400 * 10)), &[saved(0, 1)], 11, true),
        // A clock that went back makes nothing due.
        (Full::After(Duration::from_secs(86_400)), &[saved(0, 20)], 10, false),
        (Full::Every(1), &[saved(0, 1)], 2, true),
        (Full::Every(3), &[saved(0, 1), saved(1, 2)], 3, false),
        (Full::Every(3), &[saved(0, 1), saved(1, 2), saved(1, 3)], 4, true),
        (Full::Never, &[saved(0, 1)], 4000, false),
    ] {
        let dataset = dataset(&[1, 2, 3, 20, 31, 5000], &[]);
        let policy = SavePolicy { full, ..policy() };
        let from = written(&policy, &dataset, files, day).unwrap().0;
        assert_eq!(from == 0, is_full, "{full:?} on day {day} with {files:?}: from {from}");
    }
}

#[test]
fn what_is_asked_for_is_what_is_sent_or_it_is_said_why_not() {
    let unencrypted = Dataset { encryption: None, ..dataset(&[1], &[]) };
    let refused = |policy: &SavePolicy, dataset: &Dataset| match decide(policy, dataset, None, &[], &now(1)) {
        Verdict::Refused(why) => Some(why),
        _ => None,
    };
    assert_eq!(refused(&policy(), &unencrypted), Some(Unsaved::Plaintext));
    assert_eq!(refused(&SavePolicy { allow_plaintext: true, ..policy() }, &unencrypted), None);
    assert_eq!(refused(&SavePolicy { send: SendMode::Plain, ..policy() }, &unencrypted), None);
    assert_eq!(refused(&policy(), &dataset(&[], &[])), Some(Unsaved::NoSnapshot));
    let filter = SnapshotFilter::new(Some(&["daily*".to_owned()]), &[]).unwrap();
    let selecting = SavePolicy { taking: Taking::Existing(filter), ..policy() };
    assert_eq!(refused(&selecting, &dataset(&[1], &[])), Some(Unsaved::NoneSelected));
    let redacted = Dataset { redacted: true, ..dataset(&[1], &[]) };
    assert_eq!(refused(&policy(), &redacted), Some(Unsaved::Redacted));
    let unfinished = Dataset { resume: ResumeState::Inconsistent, ..dataset(&[1], &[]) };
    assert_eq!(refused(&policy(), &unfinished), Some(Unsaved::Unfinished));
    // A raw stream is not gone on with by a plain one.
    let plain = SavePolicy { send: SendMode::Plain, ..policy() };
    assert_eq!(written(&plain, &dataset(&[1, 2], &[]), &[saved(0, 1)], 2), Some((0, 2)));
}

#[test]
fn a_snapshot_is_taken_of_what_changed_or_lies_in_no_file() {
    let taking = SavePolicy { taking: Taking::Take, ..policy() };
    let wants = |written: u64, files: &[Saved]| {
        let dataset = Dataset { written: crate::model::Bytes(written), ..dataset(&[1], &[]) };
        wants_snapshot(&taking, &dataset, files)
    };
    assert!(wants(0, &[]) && wants(8192, &[saved(0, 1)]) && !wants(0, &[saved(0, 1)]));
    assert!(wants(0, &[saved(5, 1)]), "what cannot be received is no file that has it");
    let new = dataset(&[], &[]);
    assert!(wants_snapshot(&taking, &new, &[]) && !wants_snapshot(&policy(), &new, &[]));
    let plain = Dataset { encryption: None, ..dataset(&[1], &[]) };
    assert!(!wants_snapshot(&taking, &plain, &[]), "it would be refused");
}

/// A snapshot that was taken is saved, whatever else is thought of it: "nothing new" would be a lie.
#[test]
fn what_was_taken_is_saved() {
    let dataset = dataset(&[], &[5]);
    let taken = Snapshot { txg: Txg(2), ..snapshot(9) };
    let verdict = decide(&policy(), &dataset, Some(taken), &[saved(0, 5)], &now(9));
    assert!(matches!(verdict, Verdict::Save(saving) if saving.snapshot.guid == Guid(9)));
}

#[test]
fn the_source_keeps_bookmarks_of_what_is_built_on_and_one_snapshot_of_its_own() {
    let files = [saved(0, 1), saved(1, 2), saved(1, 3)];
    let own = [1, 2, 3].map(Guid);
    let found = tidying(&policy(), &dataset(&[1, 2, 3], &[1, 2]), &files, &own);
    assert_eq!(found.bookmark, [snapshot(3)]);
    assert_eq!(found.unbookmark, [bookmark(&bookmark_name("diary", Guid(2)), 2)]);
    assert_eq!(found.destroy, [snapshot(1), snapshot(2)]);
    // Nothing of somebody else's.
    let found = tidying(&policy(), &dataset(&[1, 2, 3], &[]), &files, &[]);
    assert_eq!((found.bookmark, found.destroy), (vec![snapshot(1), snapshot(3)], vec![]));
    let others =
        History::new(vec![snapshot(3)], vec![bookmark("zferry-other_1", 1), bookmark("zferry-diary_7", 1)]);
    let others = Dataset { history: others.unwrap(), ..dataset(&[], &[]) };
    assert_eq!(tidying(&policy(), &others, &files, &[]).unbookmark, []);
    // Without files nothing goes; what was taken and lies in none stays as long as it is the newest.
    let found = tidying(&policy(), &dataset(&[1, 2], &[1]), &[], &own);
    assert_eq!(found, Tidying::default());
    let found = tidying(&policy(), &dataset(&[1, 2, 3], &[1]), &files[..1], &own);
    assert_eq!(found.destroy, [snapshot(2)]);
}

#[test]
fn names_are_those_of_one_stream() {
    let name = taken_name("diary", at(1)).unwrap();
    assert_eq!(name.as_str(), "zferry-diary_1970-01-02T000000Z");
    assert!(
        is_taken_name("diary", &name) && !is_taken_name("dia", &name) && !is_taken_name("diary_1970", &name)
    );
    assert!(!crate::plan::is_own_name(&name), "the snapshots of runs go by other rules");
    let (a, b): (DatasetName, DatasetName) = ("p/a_b".parse().unwrap(), "p/a/b".parse().unwrap());
    assert_eq!(directory_of(&a), directory_of(&b));
    assert!(collision(&[&a, &b]).is_some() && collision(&[&a]).is_none());
}

#[test]
fn a_file_goes_when_no_rule_keeps_it_and_nothing_needs_it() {
    let files = [saved(0, 1), saved(1, 2), saved(2, 3), saved(0, 4), saved(4, 5), saved(9, 6)];
    let gone = |last: u32| going(&Keep { last, ..Keep::default() }, &files, &now(10)).files;
    assert_eq!(gone(1), [0, 1, 2]);
    assert_eq!(gone(2), [0, 1, 2]);
    // The third newest needs both before it.
    assert_eq!(gone(3), [] as [usize; 0]);
    assert_eq!(going(&Keep { last: 3, ..Keep::default() }, &files, &now(10)).needed, 2);
    assert_eq!(going(&Keep::default(), &files[..1], &now(10)).files, [] as [usize; 0]);
}

proptest! {
    /// Whatever files there are: each that stays and could be received still can be, the newest of them stays, and what a rule
    /// keeps stays.
    #[test]
    fn nothing_that_stays_loses_what_it_needs(
        files in proptest::collection::vec((0_u64..12, 1_u64..12), 0..12),
        last in 0_u32..4,
        daily in 0_u32..4,
    ) {
        let files: Vec<Saved> = files.into_iter().map(|(from, to)| saved(if from < to { from } else { 0 }, to)).collect();
        let keep = Keep { last, daily, ..Keep::default() };
        let gone = going(&keep, &files, &now(20)).files;
        let left: Vec<Saved> =
            files.iter().enumerate().filter(|(index, _)| !gone.contains(index)).map(|(_, one)| one.clone()).collect();
        let (all, rest) = (whole(&files), whole(&left));
        prop_assert!(left.iter().all(|one| !all.contains(&one) || rest.contains(&one)));
        let guids = |of: &[&Saved]| of.iter().map(|one| one.to).collect::<std::collections::BTreeSet<_>>();
        let (before, after) = (guids(&all), guids(&rest));
        prop_assert_eq!(before.last(), after.last());
        let kept = before.iter().rev().take(last as usize);
        prop_assert!(kept.clone().all(|guid| after.contains(guid)));
    }

    /// The plan never builds on what it would lose itself by its own rules.
    #[test]
    fn what_the_next_one_builds_on_is_kept(days in 1_u64..15, every in 1_u32..5, chain: bool, last in 1_u32..3) {
        let base = if chain { BaseRule::Chain } else { BaseRule::Full };
        let keep = Keep { last, ..Keep::default() };
        let policy = SavePolicy { full: Full::Every(every), base, ..policy() };
        let (mut files, mut marks): (Vec<Saved>, Vec<u64>) = (Vec::new(), Vec::new());
        for day in 1..=days {
            let dataset = dataset(&[day], &marks);
            let (from, to) = written(&policy, &dataset, &files, day).unwrap();
            let since = files.iter().filter(|one| one.made >= files.iter().filter(|f| f.from.is_none()).map(|f| f.made).max().unwrap()).count();
            prop_assert!(from != 0 || files.is_empty() || since >= every as usize, "a full one on day {} of {:?}", day, &files);
            files.push(saved(from, to));
            let work = tidying(&policy, &dataset, &files, &[]);
            marks.extend(work.bookmark.iter().map(|one| one.guid.0));
            marks.retain(|mark| !work.unbookmark.iter().any(|one| one.guid.0 == *mark));
            marks.sort_unstable();
            let gone = going(&keep, &files, &now(day)).files;
            files = files.iter().enumerate().filter(|(index, _)| !gone.contains(index)).map(|(_, one)| one.clone()).collect();
            prop_assert!(whole(&files).iter().any(|one| one.to == Guid(day)));
            prop_assert!(marks.len() <= 2);
        }
    }
}
