//! A source that loses or replaces what it had: the tripwire, and the grace of what vanished (S21).

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Bytes, Consents, Dataset, Guid, Missing, Policy, Prune};
use crate::plan::testing::{World, name, policy, prunes, streams, without};
use crate::plan::{DatasetPlan, PruneHold, Step};

const MIB: u64 = 1 << 20;
const DAY: i64 = 86_400;

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(day * DAY).unwrap()
}

fn referenced(dataset: &mut Dataset, guid: u64, referenced: u64, written: u64) {
    let detail = dataset.details.get_mut(&Guid(guid)).unwrap();
    (detail.referenced, detail.written) = (Bytes(referenced * MIB), Bytes(written * MIB));
}

/// A gibibyte, and what of it was written anew in the newest snapshot; one old snapshot could be pruned.
fn rewritten(written: u64) -> World {
    World::new()
        .source("tank/data", "@base,3 @new,4")
        .target("backup/eds", "@old,1 @gone,2 @base,3")
        .edit_source("tank/data", |source| {
            referenced(source, 3, 1000, 10);
            referenced(source, 4, 1000, written);
        })
        .edit_target("backup/eds", |there| {
            (1..=3).for_each(|guid| referenced(there, guid, 1000, 10));
            there.available = Bytes(1 << 40);
        })
}

fn consenting() -> Policy {
    Policy { consents: Consents { source_loss: vec![name("backup/eds")], ..Consents::default() }, ..policy() }
}

fn alarm(world: &World) -> Option<Guid> {
    world.target.get(&name("backup/eds")).unwrap().rewritten
}

fn is_held(plan: &DatasetPlan) -> bool {
    matches!(plan.held_back.as_ref().map(|held| &held.why), Some(PruneHold::Rewritten { .. }))
}

#[test]
fn a_source_of_which_most_was_replaced_is_backed_up_and_nothing_is_pruned_until_it_was_meant() {
    let mut world = rewritten(900);
    world = world.edit_target("backup", |pool| pool.available = Bytes(1 << 40));
    let plan = world.run(&[policy()]).datasets.remove(0);
    assert_eq!((streams(&plan).as_str(), prunes(&plan).as_str()), ("3-i-4", ""));
    let held = plan.held_back.unwrap();
    insta::assert_snapshot!(
        held.warning(&plan.target, "zferry run t7"),
        @"backup/eds: 900 MiB of the 0.98 GiB that the source had were replaced or deleted since @base (90 %). Something may have encrypted or destroyed its files: look at them. What there is now is backed up, and nothing is pruned on the drive until you say that this was meant. 2 snapshots that the source no longer has were kept: @old, @gone. Destroying them would free at least 10 B. If it was: zferry run t7 --accept-source-loss=backup/eds"
    );
    assert_eq!(
        (alarm(&world), world.on_drive("backup/eds").as_str()),
        (Some(Guid(3)), "@old,1 @gone,2 @base,3 @new,4")
    );
    // The next run finds nothing unusual, and remembers.
    for _ in 0..2 {
        let plan = world.run(&[policy()]).datasets.remove(0);
        assert!(is_held(&plan) && plan.sends().count() == 0 && prunes(&plan).is_empty());
    }
    world.run(&[consenting()]);
    assert_eq!((alarm(&world), world.on_drive("backup/eds").as_str()), (None, "@base,3 @new,4"));
    assert!(world.only(&policy()).steps.is_empty());
}

#[test]
fn the_alarm_stays_when_the_run_is_interrupted() {
    let mut world = rewritten(900).edit_target("backup", |pool| pool.available = Bytes(1 << 40));
    let plan = world.plan(&[policy()]);
    let steps = crate::plan::testing::kernel::in_order(&plan);
    let send = steps.iter().position(|(_, step)| matches!(step, Step::Send(_))).unwrap();
    crate::plan::testing::kernel::carry_out_part(&mut world, &plan, send, 0, false);
    assert_eq!(alarm(&world), Some(Guid(3)));
    assert!(is_held(&world.run(&[policy()]).datasets[0]));
}

#[test]
fn an_alarm_needs_no_snapshot_that_could_go_and_a_consent_answers_it_at_once() {
    let world = || rewritten(900).edit_target("backup", |pool| pool.available = Bytes(1 << 40));
    let kept = world().edit_source("tank/data", |source| {
        source.history = crate::plan::testing::history("@old,1 @gone,2 @base,3 @new,4", 100);
    });
    let plan = kept.only(&policy());
    assert!(is_held(&plan) && plan.held_back.unwrap().snapshots.is_empty());
    assert_eq!(prunes(&world().only(&consenting())), "old gone");
    let never = Policy { prune: Prune::Never, ..policy() };
    assert!(world().only(&never).held_back.is_none(), "what is never pruned needs no alarm");
    assert!(!is_held(&rewritten(100).only(&policy())));
}

#[test]
fn what_is_usual_for_a_dataset_raises_no_alarm() {
    let usual = rewritten(900).edit_target("backup/eds", |there| referenced(there, 2, 1000, 800));
    let usual = usual.edit_target("backup", |pool| pool.available = Bytes(1 << 40));
    assert_eq!(prunes(&usual.only(&policy())), "old gone");
}

#[test]
fn what_was_written_again_and_again_is_not_taken_for_everything() {
    let busy = || {
        let world = rewritten(450).edit_source("tank/data", |source| {
            source.history = crate::plan::testing::history("@base,3 @middle,5 @new,4", 100);
            let detail = source.details[&Guid(4)].clone();
            source.details.insert(Guid(5), detail);
        });
        world.edit_target("backup", |pool| pool.available = Bytes(1 << 40))
    };
    assert!(is_held(&busy().only(&policy())), "as far as the snapshots in between tell");
    let asked = busy().edit_source("tank/data", |source| {
        source.details.get_mut(&Guid(4)).unwrap().since_base = Some(Bytes(500 * MIB));
    });
    assert!(!is_held(&asked.only(&policy())));
}

/// A copy with one snapshot that the source lacks, noted or not.
fn missing(mark: Option<Missing>, now: i64) -> World {
    let mut world = World::new().source("tank/data", "@c,3").target("backup/eds", "@a,1 @c,3").edit_target(
        "backup/eds",
        |there| {
            let detail = there.details.get_mut(&Guid(1)).unwrap();
            (detail.missing, detail.creation) = (mark, Some(day(10)));
        },
    );
    world.now = day(now);
    world
}

fn grace(days: u64) -> Policy {
    Policy { grace: Duration::from_secs(days * 86_400), ..policy() }
}

#[test]
fn what_vanished_goes_when_it_was_seen_missing_for_long_enough() {
    let mut world = missing(None, 100);
    for (today, left, told) in [(100, true, true), (101, true, true), (129, true, true), (130, false, false)]
    {
        world.now = day(today);
        let plan = world.run(&[grace(30)]).datasets.remove(0);
        assert_eq!(world.on_drive("backup/eds").contains("@a"), left, "day {today}");
        assert_eq!(!plan.notes.is_empty(), told, "{:?}", plan.notes);
        if told {
            let note = "backup/eds: 1 snapshot that the source no longer has stays until its grace ends, on 1970-05-11: @a.";
            assert_eq!(plan.notes, [note]);
        }
    }
}

#[test]
fn what_the_drive_says_of_it_is_believed_only_when_it_can_be_true() {
    let since = |d| Some(Missing::Since(day(d)));
    let table = [
        ("not noted", None, false, true),
        ("garbage", Some(Missing::Unreadable), false, true),
        ("in the future", since(101), false, true),
        ("before it was made", since(9), false, true),
        ("since it was made", since(10), true, false),
        ("yesterday", since(99), false, false),
        ("now", since(100), false, false),
        ("long enough", since(70), true, false),
        ("not long enough", since(71), false, false),
    ];
    for (what, mark, goes, noted) in table {
        let world = missing(mark, 100);
        let plan = world.only(&grace(30));
        let notes = plan
            .steps
            .iter()
            .filter(|step| matches!(step, Step::Mark { since: Some(since), .. } if *since == day(100)));
        assert_eq!((prunes(&plan) == "a", notes.count() == 1), (goes, noted), "{what}");
        assert_eq!(prunes(&world.only(&policy())), "a", "without a grace it goes at once");
    }
    let forever = Policy { grace: Duration::MAX, ..policy() };
    assert_eq!(prunes(&missing(since(70), 100).only(&forever)), "");
}

#[test]
fn what_is_there_again_is_no_longer_missing() {
    let mut world = missing(Some(Missing::Since(day(20))), 100);
    world = world.edit_source("tank/data", |source| {
        source.history = crate::plan::testing::history("@a,1 @c,3", 100);
    });
    let plan = world.run(&[grace(30)]).datasets.remove(0);
    assert!(plan.steps.iter().any(|step| matches!(step, Step::Mark { since: None, .. })));
    assert!(world.only(&grace(30)).steps.is_empty());
    // It goes again: its time begins anew.
    world = world.edit_source("tank/data", |source| {
        source.history = crate::plan::testing::history("@c,3 #V,3", 100);
    });
    assert_eq!(prunes(&world.run(&[grace(30)]).datasets[0]), "");
}

#[test]
fn what_is_not_backed_up_any_more_keeps_its_bookmark() {
    let base = "@a,1 @b,2 #V,1";
    let world = || {
        World::new()
            .source("tank/data", "@x,11")
            .source("tank/data/left", base)
            .source("tank/data/left/below", "@y,21")
            .target("backup/eds", "@x,11")
            .target("backup/eds/left", "@a,1")
    };
    let before = world().bookmarks("tank/data/left");
    let excluded = crate::model::DatasetFilter::new(&["left".to_owned()]).unwrap();
    let table = [
        ("excluded", Policy { datasets: excluded, ..policy() }),
        ("not recursive", Policy { recursive: false, ..policy() }),
        ("only a parent", Policy { snapshots: without(&["a", "b"]), ..policy() }),
        (
            "skipped",
            Policy {
                source: name("tank/data/left"),
                target: name("backup/eds/left"),
                skip_parent: true,
                ..policy()
            },
        ),
    ];
    for (what, policy) in table {
        let mut world = world();
        for _ in 0..2 {
            world.run(std::slice::from_ref(&policy));
            assert_eq!(world.bookmarks("tank/data/left"), before, "{what}");
            assert_eq!(world.on_drive("backup/eds/left"), "@a,1", "{what}");
        }
        world.run(&[crate::plan::testing::policy()]);
        assert_eq!(world.on_drive("backup/eds/left"), "@a,1 @b,2", "{what}: it goes on from there");
    }
}
