//! The planner on every history up to a length, with every kind of selection: nothing is left to chance that is short
//! enough to be written down. What is longer is for properties.rs.

mod alphabet;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Base, Bytes, HistoryMode, Keep, Policy, Prune, SendMode, Snapshot};
use crate::plan::testing::{World, kernel, policy, show, without};
use crate::plan::{DatasetPlan, Delivery, Refusal, SendKind, SendStep, Verdict};

use super::oracle::{expected_verdict, is_backed_up, is_mirrored, source_is_untouched, verdict};
use alphabet::{ALPHABET, Letter, world};

/// Every word up to so many letters, for who has little time: `cargo lab mutants`.
const SHORT: u32 = 4;
/// In each run of the tests: twelve times as many.
const LENGTH: u32 = 5;
/// And with `cargo lab test --full`: twelve times as many again.
const LENGTH_IN_FULL: u32 = 6;

/// Everything, every second snapshot left out, or nothing.
fn selections() -> [Vec<&'static str>; 3] {
    [vec![], vec!["*0", "*2", "*4"], vec!["*"]]
}

/// What a person may ask of a backup, as far as it changes what is done with one dataset.
fn policies() -> Vec<Policy> {
    let mut all = Vec::new();
    for excluded in selections() {
        for history in [HistoryMode::All, HistoryMode::Newest] {
            for prune in [Prune::Mirror, Prune::Never] {
                all.push(Policy { snapshots: without(&excluded), history, prune, ..policy() });
            }
        }
        // What travels does not depend on it.
        let prune = Prune::Keep(Keep { last: 2, ..Keep::default() });
        all.push(Policy { snapshots: without(&excluded), prune, ..policy() });
    }
    all
}

/// The word with this number among all of its length.
fn word(length: u32, number: usize) -> Vec<Letter> {
    let letters = ALPHABET.len();
    (0..length).map(|place| ALPHABET[number / letters.pow(place) % letters]).collect()
}

/// So many words of up to so many letters, each with each policy: the geometric sum.
fn expected_cases(length: u32) -> usize {
    let letters = ALPHABET.len();
    (letters.pow(length + 1) - 1) / (letters - 1) * 3 * (2 * 2 + 1)
}

fn every_case_up_to(length: u32) {
    let policies = policies();
    let cases = AtomicUsize::new(0);
    for length in 0..=length {
        let words = ALPHABET.len().pow(length);
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= words {
                    break;
                }
                let word = word(length, number);
                let before = world(&word);
                let named = Named(word.iter().map(|letter| letter.sign).collect());
                for policy in &policies {
                    one_case(&named.0, &before, policy);
                    cases.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    }
    let cases = cases.into_inner();
    assert_eq!(cases, expected_cases(length));
    println!("reliability\tplanned\thistories of up to {length}\t{cases}");
}

/// Says which word it was when something panics.
struct Named(String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the history “{}”", self.0);
        }
    }
}

/// One history and one policy: the plan is what the oracle expects, ZFS would carry it out, it gives what was asked
/// for, and planning again gives nothing.
fn one_case(word: &str, before: &World, policy: &Policy) {
    let policies = std::slice::from_ref(policy);
    let mut after = before.clone();
    let plan = after.run(policies);
    let dataset = &plan.datasets[0];
    let expected = expected_verdict(before, policy, dataset);
    assert_eq!(verdict(dataset), expected, "{word}: {}", show(&plan));
    source_is_untouched(before, &after);
    is_backed_up(before, &after, policy, dataset);
    no_safe_plan_existed(word, before, dataset);
    if matches!(policy.prune, Prune::Keep(_)) {
        // What arrives is judged by the next run.
        after.run(policies);
    }
    let again = after.plan(policies);
    assert!(again.datasets[0].steps.is_empty(), "{word}: {}", show(&again));
    is_mirrored(before, &after, policy, &again.datasets[0]);
}

/// A refusal of a copy's history is right when ZFS would refuse everything that the source could send to it.
fn no_safe_plan_existed(word: &str, before: &World, dataset: &DatasetPlan) {
    let Verdict::Refused(refusal) = &dataset.verdict else { return };
    if !matches!(**refusal, Refusal::Ahead { .. } | Refusal::NoCommon { .. }) {
        return; // nothing is selected, or the drive is not the one: no question of what could be sent
    }
    let history = &before.source.get(&dataset.source).unwrap().history;
    let snapshots = history.snapshots().iter().cloned().map(Base::Snapshot);
    let bookmarks = history.bookmarks().iter().cloned().map(Base::Bookmark);
    let increments: Vec<_> = snapshots.chain(bookmarks).map(SendKind::Increment).collect();
    for kind in increments.into_iter().chain([SendKind::Full]) {
        for to in history.snapshots() {
            let mut world = before.clone();
            let stream = stream(dataset, kind.clone(), to);
            let taken = kernel::receive_stream(&mut world, &stream, None);
            assert!(taken.is_err(), "{word}: {refusal:?}, and ZFS would have taken {stream}");
        }
    }
}

fn stream(dataset: &DatasetPlan, kind: SendKind, to: &Snapshot) -> SendStep {
    SendStep {
        source: dataset.source.clone(),
        into: dataset.target.clone(),
        kind,
        delivers: vec![Delivery { name: to.name.clone(), guid: to.guid }],
        rename_to: Some("as_no_other".parse().unwrap()),
        creation: None,
        mode: SendMode::Raw,
        estimate: Bytes(0),
    }
}

#[test]
fn every_short_history_is_planned_as_the_oracle_says() {
    every_case_up_to(SHORT);
}

#[test]
fn every_long_history_is_planned_as_the_oracle_says() {
    every_case_up_to(LENGTH);
}

#[test]
#[ignore = "minutes: `cargo lab test --full` runs it"]
fn every_longer_history_is_planned_as_the_oracle_says() {
    every_case_up_to(LENGTH_IN_FULL);
}
