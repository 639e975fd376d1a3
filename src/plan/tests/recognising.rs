//! S6, and several backups and drives side by side.

use crate::model::{Guid, Policy};
use crate::plan::testing::{DRIVE, OTHER_DRIVE, World, kernel, name, policy, refusal, show, streams};
use crate::plan::{Phase, Refusal, Step, Verdict};

#[test]
fn a_drive_without_anything_that_it_was_seen_to_have_is_not_written_to() {
    let world = World::new()
        .source("tank/data", "@a,1 #V,1 @b,2")
        .source("tank/data/x", "@a,11 #V,11")
        .source("tank/data/y", "@a,21");
    let plan = world.plan(&[policy()]);
    let expected = Refusal::Unrecognised { drive: DRIVE, recorded: 2 };
    assert!(
        plan.datasets.iter().all(|d| refusal(d) == Some(&expected) && d.steps.is_empty()),
        "{}",
        show(&plan)
    );
}

#[test]
fn one_snapshot_where_it_was_left_is_enough() {
    for there in ["backup/eds/x", "backup/elsewhere"] {
        let world = World::new()
            .source("tank/data", "@a,1 #V,1")
            .source("tank/data/x", "@a,11 #V,11")
            .target(there, "@a,11");
        let world = if there == "backup/eds/x" { world.placeholder("backup/eds") } else { world };
        let plan = world.plan(&[policy()]);
        assert!(!plan.datasets.iter().any(|d| matches!(refusal(d), Some(Refusal::Unrecognised { .. }))));
    }
}

#[test]
fn a_first_run_that_was_killed_anywhere_does_not_make_the_drive_a_stranger() {
    let before = World::new().source("tank/data", "@a,1 @b,2").source("tank/data/x", "@a,11");
    let plan = before.plan(&[policy()]);
    for steps in 0..=kernel::in_order(&plan).len() {
        for partial in [false, true] {
            let mut world = before.clone();
            kernel::carry_out_part(&mut world, &plan, steps, 0, partial);
            assert_eq!(world.plan(&[policy()]).refused().count(), 0, "after {steps} steps");
        }
    }
    let protects = plan.phase(Phase::Protect).count();
    assert_eq!(protects, 3, "all of them pending: evidence of nothing");
}

#[test]
fn an_increment_that_was_killed_anywhere_leaves_the_oldest_record_true() {
    let before = World::new()
        .source("tank/data", "@a,1 #V,1 @b,2 @c,3")
        .source("tank/data/x", "@a,11 #V,11 @b,12")
        .target("backup/eds", "@a,1")
        .target("backup/eds/x", "@a,11");
    let plan = before.plan(&[policy()]);
    for steps in 0..=kernel::in_order(&plan).len() {
        let mut world = before.clone();
        kernel::carry_out_part(&mut world, &plan, steps, 0, false);
        for (source, target) in [("tank/data", "backup/eds"), ("tank/data/x", "backup/eds/x")] {
            let dataset = world.source.get(&name(source)).unwrap();
            let oldest = dataset.history.bookmarks().iter().min_by_key(|bookmark| bookmark.txg).unwrap();
            let copy = world.target.get(&name(target)).unwrap();
            assert!(copy.history.snapshot(oldest.guid).is_some(), "{source} after {steps} steps");
        }
        world.run(&[policy()]);
        assert_eq!([world.bookmarks("tank/data"), world.bookmarks("tank/data/x")], ["#V,3", "#V,12"]);
    }
}

#[test]
fn several_backups_share_a_drive() {
    let photos = Policy {
        name: "photos".to_owned(),
        source: name("tank/photos"),
        target: name("backup/photos"),
        ..policy()
    };
    let policies = [policy(), photos];
    let mut world = World::new().source("tank/data", "@a,1 @b,2").source("tank/photos", "@a,31");
    let plan = world.run(&policies);
    assert_eq!(
        (streams(&plan.datasets[0]).as_str(), streams(&plan.datasets[1]).as_str()),
        ("full 1; 1-i-2", "full 31")
    );
    assert!(world.plan(&policies).datasets.iter().all(|d| d.steps.is_empty()));
}

#[test]
fn one_source_is_backed_up_once_on_a_drive() {
    // Both would keep and remove the same bookmarks.
    let again = Policy { name: "again".to_owned(), target: name("backup/again"), ..policy() };
    let world = World::new().source("tank/data", "@a,1 @b,2");
    let plan = world.plan(&[policy(), again]);
    assert_eq!(plan.datasets[0].verdict, Verdict::Behind);
    assert_eq!(refusal(&plan.datasets[1]), Some(&Refusal::PlannedTwice { backup: "eds".to_owned() }));
    let other = Policy { name: "other".to_owned(), source: name("tank/other"), ..policy() };
    let plan = world.source("tank/other", "@a,41").plan(&[policy(), other]);
    assert_eq!(refusal(&plan.datasets[1]), Some(&Refusal::PlannedTwice { backup: "eds".to_owned() }));
}

#[test]
fn two_drives_alternate_while_the_source_prunes_and_neither_needs_a_full_send() {
    let (here, there) = (policy(), Policy { drive: OTHER_DRIVE, ..policy() });
    let mut world = World::new().source("tank/data", "@s1,1");
    let mut drives = [world.target.clone(), world.target.clone()];
    for round in 2..14_u64 {
        let which = usize::from(round % 2 == 0);
        let policy = if which == 0 { &here } else { &there };
        world.target = drives[which].clone();
        let plan = world.run(std::slice::from_ref(policy)).datasets.remove(0);
        assert_eq!(streams(&plan).contains("full"), round < 4, "{}", streams(&plan));
        drives[which] = world.target.clone();
        // The source takes a new snapshot and forgets all others.
        world = world.edit_source("tank/data", |source| {
            kernel::change(source, |snapshots, _| {
                let mut next = snapshots.last().unwrap().clone();
                (next.name, next.guid, next.txg.0) =
                    (name(&format!("s{round}")), Guid(round), next.txg.0 + 10);
                *snapshots = vec![next];
            });
            source.details.insert(Guid(round), crate::plan::testing::detail(Guid(round)));
        });
        assert!(world.source.get(&name("tank/data")).unwrap().history.bookmarks().len() <= 2);
    }
}

#[test]
fn a_drive_that_shares_a_source_is_not_touched_by_the_others_bookmarks() {
    let world = World::new().source("tank/data", "@a,1 #zferry_8_1,1 @b,2 #zferry-pending_8_2,2");
    let plan = world.only(&policy());
    assert!(plan.verdict == Verdict::Behind, "the other drive's bookmarks say nothing about this one");
    let removed: Vec<_> =
        plan.steps.iter().filter(|s| matches!(s, Step::Unbookmark(..))).map(ToString::to_string).collect();
    assert!(removed.iter().all(|text| text.contains("_7_")), "{removed:?}");
}
