use std::collections::BTreeSet;

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;
use crate::model::{Inventory, KeyStatus, Mount, Policy, Side};
use crate::plan::testing::{dataset, history, policy};

fn listing(entries: &[(&str, Entry)]) -> Listing {
    let entries = entries.iter().map(|(path, entry)| (PathBuf::from(path), entry.clone())).collect();
    Listing { entries, ..Listing::default() }
}

#[test]
fn names_kinds_and_lengths_are_compared_wholly() {
    let file = |length| Entry::File(Bytes(length));
    let link = |to: &str| Entry::Link(to.into());
    let there = listing(&[
        ("both", file(1)),
        ("d", Entry::Directory),
        ("drive", file(1)),
        ("grown", file(1)),
        ("kind", Entry::Directory),
        ("link", link("a")),
        ("moved", link("a")),
    ]);
    let here = listing(&[
        ("both", file(1)),
        ("d", Entry::Directory),
        ("grown", file(2)),
        ("kind", file(1)),
        ("link", link("a")),
        ("moved", link("b")),
        ("source", file(1)),
    ]);
    let found = differences(&there, Some(&here));
    let told: Vec<String> =
        found.iter().map(|(path, finding)| format!("{} {finding}", path.display())).collect();
    assert_eq!(
        told,
        [
            "drive is only on the drive",
            "grown has 1 bytes on the drive and 2 at the source",
            "kind is of another kind at the source",
            "moved is of another kind at the source",
            "source is missing on the drive",
        ]
    );
    assert!(differences(&there, None).is_empty());
    assert!(differences(&there, Some(&there)).is_empty());
}

#[test]
fn what_could_not_be_looked_into_is_told_once_and_nothing_is_concluded_of_what_is_in_it() {
    let whole = listing(&[
        ("a", Entry::Directory),
        ("a/x", Entry::File(Bytes(1))),
        ("a/x/y", Entry::File(Bytes(1))),
        ("b", Entry::Directory),
    ]);
    let mut part = listing(&[("a", Entry::Directory), ("b", Entry::Directory)]);
    part.unreadable.insert("a".into(), "Input/output error".to_owned());
    let found = differences(&part, Some(&whole));
    let damaged = Finding::Unreadable("Input/output error".to_owned());
    assert_eq!(found, [(PathBuf::from("a"), damaged.clone())].into());
    assert_eq!(differences(&part, None), found);
    assert!(differences(&whole, Some(&part)).is_empty(), "the source's trouble is not the drive's");
    let mut nothing = Listing::default();
    nothing.unreadable.insert(PathBuf::new(), "Input/output error".to_owned());
    assert_eq!(differences(&nothing, Some(&whole)), [(PathBuf::new(), damaged)].into());
}

fn paths() -> impl Strategy<Value = Listing> {
    let entry = prop_oneof![
        4 => (0_u64..(8 << 20)).prop_map(|length| Entry::File(Bytes(length))),
        1 => Just(Entry::Directory),
    ];
    btree_map("[a-z]{1,4}(/[a-z]{1,4}){0,2}", entry, 0..200)
        .prop_map(|entries| listing_of(entries.into_iter().collect()))
}

fn listing_of(entries: Vec<(String, Entry)>) -> Listing {
    let entries = entries.into_iter().map(|(path, entry)| (path.into(), entry)).collect();
    Listing { entries, ..Listing::default() }
}

proptest! {
    #[test]
    fn a_sample_is_large_enough_no_larger_than_it_must_be_and_always_the_same(
        listing in paths(), seed: u64,
    ) {
        let chosen = sample(&listing, Sampling::Some { seed });
        let again = listing.clone();
        prop_assert_eq!(&chosen, &sample(&again, Sampling::Some { seed }));
        let names: BTreeSet<_> = chosen.iter().map(|(path, _)| *path).collect();
        prop_assert_eq!(names.len(), chosen.len(), "one is there twice");
        let is_file = |path: &Path, length| listing.entries[path] == Entry::File(length);
        prop_assert!(chosen.iter().all(|(path, length)| is_file(path, *length)));
        let read: u64 = chosen.iter().map(|(_, length)| length.0).sum();
        let enough = chosen.len() >= LEAST_FILES && read >= LEAST.0;
        prop_assert!(enough || chosen.len() == listing.files());
        if chosen.len() > LEAST_FILES {
            let longest = chosen.iter().map(|(_, length)| length.0).max().unwrap_or_default();
            prop_assert!(read < LEAST.0 + longest, "more was taken than has to be");
        }
        let all = sample(&listing, Sampling::All);
        prop_assert_eq!(all.len(), listing.files());
        prop_assert_eq!(all.iter().map(|(_, length)| length.0).sum::<u64>(), listing.length().0);
    }

    /// Whether a file is chosen does not hang on which others were added or went, but for its place among them.
    #[test]
    fn every_file_is_chosen_by_some_seed(seed: u64) {
        let many: Vec<_> = (0..100).map(|n| (format!("f{n}"), Entry::File(Bytes(LEAST.0)))).collect();
        let listing = listing_of(many);
        let mut seen = BTreeSet::new();
        for more in 0..40 {
            let seed = seed.wrapping_add(more);
            seen.extend(sample(&listing, Sampling::Some { seed }).into_iter().map(|(path, _)| path));
        }
        prop_assert_eq!(seen.len(), 100);
    }
}

#[test]
fn a_seed_chooses_the_same_files_in_every_version_of_this_program() {
    let many: Vec<_> = (0..60).map(|n| (format!("f{n:02}"), Entry::File(Bytes(LEAST.0)))).collect();
    let listing = listing_of(many);
    let chosen = sample(&listing, Sampling::Some { seed: 42 });
    let left: Vec<_> = listing.entries.keys().filter(|path| !chosen.iter().any(|(p, _)| p == path)).collect();
    let left: Vec<_> = left.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(left.join(" "), "f11 f12 f23 f26 f27 f35 f45 f48 f49 f50");
}

fn both(here: &str, there: &str) -> (Policy, Inventory) {
    let policy = policy();
    let side = |name: &crate::model::DatasetName, text: &str| Side {
        datasets: [(name.clone(), dataset(name.as_str(), history(text, 1)))].into(),
    };
    let mut inventory = Inventory {
        source: side(&policy.source, here),
        target: side(&policy.target, there),
        pools: BTreeMap::new(),
        elsewhere: None,
    };
    for source in inventory.source.datasets.values_mut() {
        source.mount = Mount::Mounted;
        source.encryption.as_mut().unwrap().key = KeyStatus::Available;
    }
    (policy, inventory)
}

fn told(policy: &Policy, inventory: &Inventory) -> String {
    let looks = looks(std::slice::from_ref(policy), inventory);
    let told = looks.iter().map(|look| match &look.here {
        Ok(here) => format!("{} = {here}", look.there),
        Err(alone) => format!("{}: {alone}", look.there),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_newest_snapshot_that_both_have_is_opened_by_guid() {
    for (here, there, expected) in [
        ("@a,1 @b,2", "@a,1 @b,2", "backup/eds@b = tank/data@b"),
        ("@a,1 @new,2 @c,3", "@a,1 @b,2", "backup/eds@b = tank/data@new"),
        ("@a,1 @b,3", "@a,1 @b,2", "backup/eds@a = tank/data@a"),
        ("@a,9", "@a,1 @b,2", "backup/eds@b: tank/data has none of its snapshots any more"),
        ("@a,9 #V,2", "@a,1 @b,2", "backup/eds@b: tank/data has none of its snapshots any more"),
        ("@a,1", "", ""),
    ] {
        let (policy, inventory) = both(here, there);
        assert_eq!(told(&policy, &inventory), expected, "{here} {there}");
    }
}

#[test]
fn a_source_that_cannot_be_read_is_said_and_the_copy_is_read_alone() {
    let (policy, sound) = both("@a,1", "@a,1");
    let change = |how: &dyn Fn(&mut Inventory)| {
        let mut changed = sound.clone();
        how(&mut changed);
        told(&policy, &changed)
    };
    let source = |inventory: &mut Inventory, how: &dyn Fn(&mut crate::model::Dataset)| {
        inventory.source.datasets.values_mut().for_each(how);
    };
    let locked = change(&|i| source(i, &|d| d.encryption.as_mut().unwrap().key = KeyStatus::Unavailable));
    assert_eq!(locked, "backup/eds@a: the key of tank/data is not loaded");
    let unmounted = change(&|i| source(i, &|d| d.mount = Mount::Unmounted));
    assert_eq!(unmounted, "backup/eds@a: tank/data is not mounted");
    assert_eq!(change(&|i| i.source.datasets.clear()), "backup/eds@a: its source is not there");
    let volume = |i: &mut Inventory| {
        for copy in i.target.datasets.values_mut() {
            copy.kind = crate::model::DatasetKind::Volume;
        }
    };
    assert_eq!(change(&volume), "");
    let twice = looks(&[policy.clone(), policy.clone()], &sound);
    assert_eq!(twice.len(), 1, "a copy is opened once");
}
