//! Large pools: what is quadratic shows here as a test that does not end.

use crate::plan::testing::{World, policy, streams, without};

fn numbered(names: &[&str], count: u64) -> String {
    (1..=count).map(|n| format!("@{}{n},{n} ", names[usize::try_from(n).unwrap() % names.len()])).collect()
}

#[test]
fn a_hundred_thousand_snapshots_are_planned() {
    let mut policy = policy();
    policy.snapshots = without(&["skip*"]);
    // Every second one is gone around: fifty thousand streams.
    let world = World::new().source("tank/data", &numbered(&["a", "skip"], 100_000));
    let plan = world.only(&policy);
    assert_eq!(plan.sends().count(), 50_000);
}

#[test]
fn a_hundred_thousand_snapshots_are_pruned() {
    let world = World::new()
        .source("tank/data", "@last,100001 @new,100002")
        .target("backup/eds", &format!("{}@last,100001", numbered(&["a"], 100_000)));
    let mut policy = policy();
    policy.prune_limit = 100;
    let plan = world.only(&policy);
    assert_eq!((streams(&plan).as_str(), plan.prunes().count()), ("100001-i-100002", 100_000));
}

#[test]
fn five_thousand_datasets_are_planned_on_a_drive_full_of_others() {
    let mut world = World::new().source("tank/data", "");
    for number in 0..5_000_u64 {
        world = world.source(&format!("tank/data/d{number}"), &format!("@a,{}", number + 1));
        world = world.target(&format!("backup/other{number}"), &format!("@a,{}", number + 1_000_000));
    }
    let plan = world.plan(&[policy()]);
    assert_eq!(plan.datasets.iter().filter(|dataset| dataset.sends().count() == 1).count(), 5_000);
}

#[test]
fn a_hundred_thousand_snapshots_make_room() {
    let mut world = World::new()
        .source("tank/data", "@last,100001 @new,100002")
        .target("backup/eds", &format!("{}@last,100001", numbered(&["a"], 100_000)));
    world.target.datasets.values_mut().for_each(|there| there.available.0 = 10);
    let policy = crate::model::Policy { prune_limit: 100, ..policy() };
    let plan = world.only(&policy);
    assert_eq!((streams(&plan).as_str(), plan.prunes().count()), ("100001-i-100002", 100_000));
}

#[test]
fn five_thousand_datasets_are_planned_on_a_full_drive() {
    let mut world = World::new();
    for number in 0..5_000_u64 {
        let (a, b) = (2 * number + 1, 2 * number + 2);
        world = world.source(&format!("tank/data/d{number}"), &format!("@b,{b} @c,{}", b + 100_000));
        world = world.target(&format!("backup/eds/d{number}"), &format!("@a,{a} @b,{b}"));
    }
    world = world.source("tank/data", "@t,200001").target("backup/eds", "@t,200001");
    world.target.datasets.values_mut().for_each(|there| there.available.0 = 0);
    assert_eq!(world.plan(&[policy()]).datasets.len(), 5_001);
}
