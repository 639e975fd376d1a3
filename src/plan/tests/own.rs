//! Which of zferry's own snapshots go from the source.

use std::collections::HashSet;

use crate::model::{Guid, Keep, Policy};
use crate::plan::testing::{OTHER_DRIVE, World, epoch, name, policy};
use crate::plan::{is_own_name, own_datasets, own_name, own_questions, own_that_go};

const KEEP: Keep = Keep { last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

fn taking() -> Policy {
    Policy { own: Some(KEEP), ..policy() }
}

fn on_other() -> Policy {
    Policy { drive: OTHER_DRIVE, ..taking() }
}

/// `o1` is a snapshot that zferry took, `s1` somebody's.
fn world(text: &str) -> World {
    let entry = |entry: &str| match (&entry[..1], &entry[1..]) {
        ("o", guid) => format!("@zferry_2026-11-{:02}T193000Z,{guid}", guid.parse::<u64>().unwrap()),
        ("s", guid) => format!("@s{guid},{guid}"),
        _ => entry.to_owned(),
    };
    let text: Vec<_> = text.split(' ').map(entry).collect();
    World::new().source("tank/data", &text.join(" "))
}

/// Guids of those that go, when all whose names look like it are ours but those in `theirs`.
fn go(world: &World, policies: &[Policy], theirs: &[&str]) -> Vec<u64> {
    let asked = own_questions(policies, &world.source).into_iter().map(|question| question.name);
    let ours: HashSet<String> =
        asked.filter(|name| !theirs.iter().any(|their| name.contains(their))).collect();
    own_that_go(policies, &world.source, &ours, &epoch()).into_iter().map(|(_, guid)| guid.0).collect()
}

#[test]
fn what_no_rule_keeps_and_every_drive_of_the_run_has_goes() {
    let one = [taking()];
    let both = [taking(), on_other()];
    let table: [(&str, &[Policy], &str, &[u64]); 9] = [
        ("the drive has all", &one, "o1 s2 o3 o4 #V,4", &[1, 3]),
        ("it was seen to have the second only", &one, "o1 o2 o3 o4 #V,2", &[1, 2]),
        ("it was never seen to have any", &one, "o1 o2 o3 #P,2", &[]),
        ("a run did not end", &one, "o1 o2 o3 #V,2 #P,3", &[]),
        ("a drive that is away is not waited for", &one, "o1 o2 o3 #V,3 #zferry_8_1,1", &[1, 2]),
        ("another drive is in the middle of a run", &one, "o1 o2 o3 #V,3 #zferry_8_1,1 #zferry_8_2,2", &[]),
        ("one that comes later in this run is waited for", &both, "o1 o2 o3 #V,3 #zferry_8_1,1", &[1]),
        ("and also when it was never seen", &both, "o1 o2 o3 #V,3", &[]),
        ("none is taken any more", &[policy()], "o1 o2 o3 #V,3", &[]),
    ];
    for (what, policies, source, expected) in table {
        assert_eq!(go(&world(source), policies, &[]), expected, "{what}");
    }
}

#[test]
fn what_is_somebody_elses_held_or_cloned_stays() {
    let all = world("o1 o2 o3 o4 #V,4");
    assert_eq!(go(&all, &[taking()], &["11-02"]), [1, 3], "it does not say that it is ours");
    let held = all.clone().edit_source("tank/data", |source| {
        source.details.get_mut(&Guid(1)).unwrap().holds = 1;
        source.details.get_mut(&Guid(2)).unwrap().clones = 1;
    });
    assert_eq!(go(&held, &[taking()], &[]), [3]);
    let unknown = all.edit_source("tank/data", |source| source.details.clear());
    assert_eq!(go(&unknown, &[taking()], &[]), Vec::<u64>::new(), "nobody asked");
    let generous = Policy { own: Some(Keep { last: 3, ..KEEP }), ..taking() };
    let two = [taking(), Policy { name: "other".to_owned(), ..generous }];
    assert_eq!(go(&world("o1 o2 o3 o4 #V,4"), &two, &[]), [1], "each backup's rules keep");
}

#[test]
fn a_name_of_ours_is_the_time_in_utc() {
    let now = jiff::Timestamp::from_second(1_795_375_800).unwrap();
    let own = own_name(now).unwrap();
    assert_eq!(own.as_str(), "zferry_2026-11-22T193000Z");
    assert!(is_own_name(&own));
    for other in ["zferry_", "zferry_mine", "zferry_2026-11-22T193000Z_1", "zferry_2026-13-22T193000Z", "a"] {
        assert!(!is_own_name(&name(other)), "{other}");
    }
}

#[test]
fn datasets_that_are_left_out_or_cannot_be_sent_get_none() {
    let world = World::new()
        .source("tank/data", "")
        .source("tank/data/home", "@a,1")
        .source("tank/data/videos", "@a,11")
        .source("tank/data/videos/raw", "@a,21")
        .source("tank/data/plain", "@a,31")
        .edit_source("tank/data/plain", |source| source.encryption = None);
    let datasets = crate::model::DatasetFilter::new(&["videos".to_owned()]).unwrap();
    let policy = Policy { datasets, ..taking() };
    let names = |policy: &Policy| {
        let seen = world.look(std::slice::from_ref(policy));
        own_datasets(policy, &seen).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&policy), "tank/data tank/data/home");
    assert_eq!(names(&Policy { skip_parent: true, ..policy.clone() }), "tank/data/home");
    assert_eq!(names(&Policy { recursive: false, ..policy.clone() }), "tank/data");
    let all = "tank/data tank/data/home tank/data/plain";
    assert_eq!(names(&Policy { allow_plaintext: true, ..policy }), all);
}
