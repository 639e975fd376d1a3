//! The checker is worth something only if it objects: sound plans are spoiled here in every way that it looks for.

use crate::model::{Guid, Inventory, Policy, Prune, SendMode};
use crate::plan::testing::tokens::token;
use crate::plan::testing::{World, name, policy};
use crate::plan::{Drop, Obsolete, Plan, Refusal, SendKind, SendStep, Step, Verdict, check, plan};

fn world() -> World {
    World::new().source("tank/data", "@b,2 @c,3 @d,4 #other,2").target("backup/eds", "@a,1 @b,2")
}

/// The rules that are said to be broken once the plan, the policy or the inventory is changed.
fn broken(world: &World, spoil: impl FnOnce(&mut Plan, &mut Policy, &mut Inventory)) -> Vec<&'static str> {
    let mut policies = vec![policy()];
    let mut seen = world.look(&policies);
    let mut plan = plan(&policies, &seen, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(check::check(&policies, &seen, &plan), []);
    spoil(&mut plan, &mut policies[0], &mut seen);
    let mut rules: Vec<_> = check::check(&policies, &seen, &plan).iter().map(|v| v.rule).collect();
    rules.dedup();
    rules
}

fn stream(plan: &mut Plan) -> &mut SendStep {
    let steps = plan.datasets[0].steps.iter_mut();
    steps.filter_map(|step| if let Step::Send(send) = step { Some(send) } else { None }).next().unwrap()
}

fn without(plan: &mut Plan, which: fn(&Step) -> bool) {
    plan.datasets[0].steps.retain(|step| !which(step));
}

fn add(plan: &mut Plan, step: Step) {
    plan.datasets[0].steps.push(step);
}

fn prune(snapshot: &str, guid: u64) -> Step {
    Step::Prune(Obsolete { snapshot: name(snapshot), guid: Guid(guid) })
}

type Spoil = fn(&mut Plan, &mut Policy, &mut Inventory);

fn all_broken(table: &[(&'static str, Spoil)]) {
    for (place, (rule, spoil)) in table.iter().enumerate() {
        let rules = broken(&world(), spoil);
        assert!(rules.contains(rule), "row {place}: {rule} is not among {rules:?}");
    }
}

#[test]
fn spoiled_streams_are_found() {
    all_broken(&[
        ("S12", |plan, _, _| stream(plan).kind = SendKind::Full),
        ("S12", |plan, _, _| stream(plan).kind = SendKind::Range(name("c"), Guid(3))),
        ("S15", |plan, _, _| drop(stream(plan).delivers.remove(0))),
        ("S15", |plan, _, _| stream(plan).delivers[0].guid = Guid(77)),
        ("S15", |plan, _, _| stream(plan).delivers[0].name = name("wrong")),
        ("S12", |plan, _, _| stream(plan).rename_to = Some(name("a"))),
        ("S15", |plan, _, _| without(plan, |step| matches!(step, Step::Verify(_)))),
        ("S11", |plan, _, _| stream(plan).kind = SendKind::Resume(token(Some(Guid(2)), Guid(3), true))),
        ("S11", |plan, _, _| add(plan, Step::DropPartial(name("backup/eds"), Drop::OtherBase))),
        ("S5", |plan, _, _| stream(plan).mode = SendMode::Plain),
        ("S5", |_, _, seen| seen.source.datasets.get_mut(&name("tank/data")).unwrap().encryption = None),
        ("S12", |_, _, seen| seen.source.datasets.get_mut(&name("tank/data")).unwrap().details.clear()),
        ("S12", |_, _, seen| seen.target.datasets.get_mut(&name("backup/eds")).unwrap().written.0 = 1),
        ("S14", |plan, _, _| stream(plan).source = name("tank/elsewhere")),
        ("S14", |plan, _, _| plan.datasets[0].verdict = Verdict::Refused(Box::new(Refusal::Plaintext))),
        ("S19", |plan, _, _| plan.datasets[0].backup = "nobody's".to_owned()),
        ("S21", |plan, _, _| plan.datasets[0].source = name("tank/unseen")),
    ]);
}

#[test]
fn spoiled_bookmarks_are_found() {
    all_broken(&[
        ("S10", |plan, _, _| without(plan, |step| matches!(step, Step::Protect(_)))),
        ("S10", |plan, _, _| without(plan, |step| matches!(step, Step::Keep(_)))),
        ("S10", |plan, _, _| without(plan, |step| matches!(step, Step::Unbookmark(..)))),
        ("S10", |plan, _, _| add(plan, Step::Unbookmark(name("tank/data#zferry_7_4"), Guid(4)))),
        ("S1", |plan, _, _| add(plan, Step::Unbookmark(name("tank/data#other"), Guid(2)))),
        ("S1", |plan, _, _| add(plan, Step::Unbookmark(name("tank/data#zferry_8_2"), Guid(2)))),
        ("S1", |plan, _, _| add(plan, Step::Unbookmark(name("tank/else#zferry_7_2"), Guid(2)))),
        ("S6", |plan, _, _| {
            let made = plan.datasets[0].steps.iter().find_map(|step| match step {
                Step::Keep(made) => Some(made.clone()),
                _ => None,
            });
            add(plan, Step::Protect(made.unwrap()));
        }),
        ("S1", |plan, _, _| {
            for step in &mut plan.datasets[0].steps {
                if let Step::Protect(made) = step {
                    made.bookmark = name("tank/data#mine");
                }
            }
        }),
        ("S6", |_, _, seen| {
            let source = seen.source.datasets.get_mut(&name("tank/data")).unwrap();
            source.history = crate::plan::testing::history("@b,2 @c,3 @d,4 #V,55", 100);
        }),
    ]);
}

#[test]
fn spoiled_pruning_is_found() {
    all_broken(&[
        ("S4", |plan, _, _| add(plan, prune("backup/eds@a", 9))),
        ("S4", |plan, _, _| add(plan, prune("backup/other@a", 1))),
        ("S21", |plan, _, _| add(plan, prune("backup/eds@b", 2))),
        ("S21", |_, policy, _| policy.prune = Prune::Never),
        ("S21", |_, policy, _| policy.snapshots = crate::plan::testing::without(&["a"])),
        ("S3", |_, policy, _| policy.protect = crate::model::glob_set(&["a".to_owned()]).unwrap()),
        ("S3", |_, _, seen| seen.target.datasets.get_mut(&name("backup/eds")).unwrap().details.clear()),
        ("S21", |_, _, seen| seen.target.datasets.get_mut(&name("backup/eds")).unwrap().mirror = None),
        ("S21", |_, _, seen| {
            seen.target.datasets.get_mut(&name("backup/eds")).unwrap().source = Some(Guid(5))
        }),
        ("S21", |_, _, seen| {
            seen.source.datasets.get_mut(&name("tank/data")).unwrap().origin = Some(name("tank/x@y"));
        }),
        ("S21", |plan, _, _| {
            add(plan, Step::Record { target: name("backup/eds"), source: Guid(5), mirror: true })
        }),
        ("S12", |plan, _, _| {
            add(plan, Step::CreatePlaceholder { dataset: name("backup/eds"), parent_encrypted: false });
        }),
        ("S4", |plan, _, _| {
            add(plan, Step::RenameSnapshot { from: name("backup/eds@b"), guid: Guid(2), to: name("c") });
        }),
        ("S3", |plan, _, _| {
            let received = name("backup/eds.zferry-swap");
            let kind = crate::model::DatasetKind::Filesystem;
            add(plan, Step::Swap { placeholder: name("backup/eds"), received, kind });
        }),
    ]);
}

#[test]
fn the_newest_on_the_drive_is_never_pruned() {
    let ahead = World::new().source("tank/data", "@b,2 #V,3").target("backup/eds", "@b,2 @c,3");
    let rules = broken(&ahead, |plan, _, _| add(plan, prune("backup/eds@c", 3)));
    assert!(rules.contains(&"S3"), "{rules:?}");
}
