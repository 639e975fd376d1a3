//! What goes by the rules of `keep`, and what stops it.

use jiff::Timestamp;

use crate::model::{Guid, Keep, Policy, Prune, glob_set};
use crate::plan::testing::{World, name, policy, prunes, without};
use crate::plan::{Cause, DatasetPlan, Plan, PruneHold, Step, check};

const DAY: i64 = 86_400;

fn keeping(keep: Keep) -> Policy {
    Policy { prune: Prune::Keep(keep), ..policy() }
}

fn last(last: u32) -> Policy {
    keeping(Keep { last, ..Keep::default() })
}

/// A copy whose snapshots have these names and guids, each made at noon of the day with its guid's number.
fn daily(source: &str, target: &str) -> World {
    let mut world = World::new().source("tank/data", source).target("backup/eds", target);
    for side in [&mut world.source, &mut world.target] {
        for dataset in side.datasets.values_mut() {
            for (guid, detail) in &mut dataset.details {
                let day = i64::try_from(guid.0 % 1000).unwrap();
                detail.creation = Timestamp::from_second(day * DAY + DAY / 2).ok();
            }
        }
    }
    world.now = Timestamp::from_second(900 * DAY).unwrap();
    world
}

fn made(world: World, guid: u64, second: Option<i64>) -> World {
    world.edit_target("backup/eds", |there| {
        there.details.get_mut(&Guid(guid)).unwrap().creation =
            second.and_then(|s| Timestamp::from_second(s).ok());
    })
}

fn why(plan: &DatasetPlan) -> String {
    let kept = plan.kept.iter().map(|kept| {
        let why: Vec<_> = kept.why.iter().map(ToString::to_string).collect();
        format!("{}: {}", kept.snapshot.snap, why.join(", "))
    });
    kept.collect::<Vec<_>>().join("; ")
}

#[test]
fn rules_count_whatever_the_source_has() {
    let table = [
        ("the source has all", "@a,1 @b,2 @c,3 @d,4", "@a,1 @b,2 @c,3 @d,4", "a b"),
        ("the source has the base only", "@d,4", "@a,1 @b,2 @c,3 @d,4", "a b"),
        ("the base is a bookmark", "#V,4 @z,9", "@a,1 @b,2 @c,3 @d,4", "a b c"),
        ("few enough", "@d,4", "@c,3 @d,4", ""),
        ("one that arrives counts, and is not judged yet", "@c,3 @x,7 @y,8 @z,9", "@a,1 @b,2 @c,3", "a b c"),
        ("without a base nothing goes", "@z,9", "@a,1 @b,2 @c,3 @d,4", ""),
    ];
    for (what, source, target, expected) in table {
        assert_eq!(prunes(&daily(source, target).only(&last(2))), expected, "{what}");
    }
}

#[test]
fn each_snapshot_that_stays_has_its_reasons() {
    let keep = Keep { last: 1, daily: 2, weekly: 2, monthly: 1, ..Keep::default() };
    let world = daily("@d,14", "@a,3 @b,7 @c,13 @d,14");
    let plan = world.only(&keeping(keep));
    assert_eq!(
        (why(&plan).as_str(), prunes(&plan).as_str()),
        (
            "b: weekly 1970-W02; c: daily 1970-01-14; \
             d: last 1, daily 1970-01-15, weekly 1970-W03, monthly 1970-01",
            "a"
        )
    );
    let policy =
        Policy { protect: glob_set(&["year".to_owned()]).unwrap(), snapshots: without(&["skip"]), ..last(1) };
    let world = daily("@z,9", "@year,1 @skip,2 @held,3 @cloned,4 @plain,5 @z,9");
    let world = world.edit_target("backup/eds", |there| {
        there.details.get_mut(&Guid(3)).unwrap().holds = 1;
        there.details.get_mut(&Guid(4)).unwrap().clones = 1;
    });
    let plan = world.only(&policy);
    assert_eq!(prunes(&plan), "plain");
    assert_eq!(
        why(&plan),
        "year: protected; skip: not selected; held: held or cloned; cloned: held or cloned; z: last 1"
    );
}

#[test]
fn what_stays_by_its_name_takes_no_place() {
    let policy = Policy { protect: glob_set(&["keep-*".to_owned()]).unwrap(), ..last(2) };
    let world = daily("@z,9", "@a,1 @b,2 @keep-1,7 @keep-2,8 @z,9");
    assert_eq!(prunes(&world.only(&policy)), "a");
    let world = daily("@c,3 @keep-1,7 @keep-2,8", "@a,1 @b,2 @c,3");
    assert_eq!(prunes(&world.only(&policy)), "a", "neither does what arrives");
}

#[test]
fn a_date_that_cannot_be_trusted_destroys_nothing() {
    let all = || daily("@e,5", "@a,1 @b,2 @c,3 @d,4 @e,5");
    let table = [
        ("sound", None, "a b c", ""),
        ("not known", Some((4, None)), "a b", "d: its date is not known"),
        ("ahead", Some((4, Some(2000 * DAY))), "a b", "d: its date lies ahead"),
        ("the clock went back", Some((4, Some(DAY))), "a b", "d: its date is before that of an older one"),
    ];
    for (what, wrong, expected, reason) in table {
        let world = wrong.map_or_else(all, |(guid, second)| made(all(), guid, second));
        let plan = world.only(&last(2));
        assert_eq!(prunes(&plan), expected, "{what}");
        assert!(why(&plan).contains(reason), "{what}: {}", why(&plan));
    }
    // A clock that went back takes everything for being ahead.
    let mut early = all();
    early.now = Timestamp::from_second(0).unwrap();
    assert_eq!(prunes(&early.only(&last(2))), "");
    // One that is far ahead destroys no more than one that is right.
    let mut late = all();
    late.now = Timestamp::from_second(90_000 * DAY).unwrap();
    assert_eq!(prunes(&late.only(&keeping(Keep { daily: 2, ..Keep::default() }))), "a b c");
}

#[test]
fn the_first_run_with_rules_only_shows_them_and_so_does_one_after_mirroring() {
    for mirrored in [None, Some(crate::plan::testing::guid_of("tank/data"))] {
        let mut world = daily("@c,3", "@a,1 @b,2 @c,3")
            .edit_target("backup/eds", |there| (there.mirror, there.thinned) = (mirrored, None));
        let first = world.run(&[last(1)]).datasets.remove(0);
        let held = first.held_back.unwrap();
        assert_eq!(
            (held.why.clone(), held.snapshots.len(), held.cause),
            (PruneHold::FirstRun, 2, Cause::NoRule)
        );
        assert!(held.warning(&name("backup/eds"), "").contains("no rule of `keep` keeps"));
        let second = world.run(&[last(1)]).datasets.remove(0);
        assert_eq!((prunes(&second), second.held_back), ("a b".to_owned(), None));
    }
}

#[test]
fn the_limit_and_the_consent_hold_for_rules_too() {
    let all: String = (1..=20).map(|day| format!("@s{day},{day} ")).collect();
    let mut world = daily("@s20,20", &all);
    let mut policy = last(2);
    let held = world.run(&[policy.clone()]).datasets.remove(0).held_back.unwrap();
    assert_eq!(held.why, PruneHold::Limit { total: 20, percent: 60 });
    let told = held.warning(&name("backup/eds"), "zferry run t7");
    assert!(
        told.ends_with("zferry run t7 --accept-source-loss=backup/eds   (or raise `prune-limit`)"),
        "{told}"
    );
    policy.consents.source_loss = vec![name("backup/eds")];
    assert_eq!(world.only(&policy).prunes().count(), 18);
    policy.consents.source_loss.clear();
    policy.prune_limit = 90;
    assert_eq!(world.only(&policy).prunes().count(), 18);
}

/// The rules that a spoiled plan breaks.
fn broken(world: &World, spoil: impl FnOnce(&mut Plan, &mut Policy, &mut World)) -> Vec<&'static str> {
    let (mut world, mut policies) = (world.clone(), vec![last(2)]);
    let mut plan = world.plan(&policies);
    spoil(&mut plan, &mut policies[0], &mut world);
    let mut seen = world.look(&policies);
    seen.target = world.target.clone();
    let now = world.now.to_zoned(world.zone.clone());
    let mut rules: Vec<_> = check::check(&policies, &seen, &plan, &now).iter().map(|v| v.rule).collect();
    rules.dedup();
    rules
}

fn prune(plan: &mut Plan, at: usize) -> &mut crate::plan::Obsolete {
    let steps = plan.datasets[0].steps.iter_mut();
    steps.filter_map(|s| if let Step::Prune(one) = s { Some(one) } else { None }).nth(at).unwrap()
}

#[test]
fn spoiled_thinning_is_found() {
    type Spoil = fn(&mut Plan, &mut Policy, &mut World);
    let table: [(&str, &str, Spoil); 9] = [
        ("nothing is spoiled", "", |_, _, _| {}),
        ("a rule keeps it", "S3", |_, policy, _| {
            policy.prune = Prune::Keep(Keep { last: 4, ..Keep::default() });
        }),
        ("a period keeps it", "S3", |_, policy, _| {
            policy.prune = Prune::Keep(Keep { last: 2, daily: 9, ..Keep::default() });
        }),
        ("before what displaces it is there", "S3", |plan, _, _| prune(plan, 1).cause = Cause::NoRule),
        ("as in mirror", "S21", |plan, _, _| prune(plan, 0).cause = Cause::Gone),
        ("its date lies ahead", "S3", |_, _, world| {
            *world = made(world.clone(), 1, Some(5000 * DAY));
        }),
        ("its date is not known", "S3", |_, _, world| *world = made(world.clone(), 2, None)),
        ("the clock went back before it was made", "S3", |_, _, world| {
            *world = made(world.clone(), 2, Some(0));
        }),
        ("never shown", "S21", |_, _, world| {
            world.target.datasets.get_mut(&name("backup/eds")).unwrap().thinned = None;
        }),
    ];
    let world = daily("@c,3 @z,9", "@a,1 @b,2 @c,3");
    assert_eq!(prunes(&world.only(&last(2))), "a b");
    for (what, rule, spoil) in table {
        let rules = broken(&world, spoil);
        assert!(rules.contains(&rule) || rule.is_empty() && rules.is_empty(), "{what}: {rules:?}");
    }
}
