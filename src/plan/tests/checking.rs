//! The checker is worth something only if it objects: sound plans are spoiled here in every way that it looks for.

use crate::model::{Guid, Inventory, Policy, Prune, SendMode};
use crate::plan::testing::tokens::token;
use crate::plan::testing::{World, name, policy};
use crate::plan::{
    Drop, Frees, MakeRoom, Obsolete, Plan, Refusal, SendKind, SendStep, Step, Verdict, check, plan,
};

fn world() -> World {
    World::new().source("tank/data", "@b,2 @c,3 @d,4 #other,2").target("backup/eds", "@a,1 @b,2")
}

/// The rules that are said to be broken once the plan, the policy or the inventory is changed.
fn broken(world: &World, spoil: impl FnOnce(&mut Plan, &mut Policy, &mut Inventory)) -> Vec<&'static str> {
    let mut policies = vec![policy()];
    let mut seen = world.look(&policies);
    let now = crate::plan::testing::epoch();
    let mut plan = plan(&policies, &seen, &now);
    assert_eq!(check::check(&policies, &seen, &plan, &now), []);
    spoil(&mut plan, &mut policies[0], &mut seen);
    let mut rules: Vec<_> = check::check(&policies, &seen, &plan, &now).iter().map(|v| v.rule).collect();
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
    let (cause, frees) = (crate::plan::Cause::Gone, Frees::default());
    Step::Prune(Obsolete { snapshot: name(snapshot), guid: Guid(guid), cause, frees })
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
            let shown = crate::plan::Shown::Mirror;
            add(plan, Step::Record { target: name("backup/eds"), source: Guid(5), shown })
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
fn spoiled_notes_and_alarms_are_found() {
    all_broken(&[
        ("S21", |_, _, seen| target(seen).rewritten = Some(Guid(2))),
        ("S21", |plan, _, _| add(plan, Step::Alarm { target: name("backup/eds"), since: Guid(2) })),
        ("S21", |plan, _, _| add(plan, Step::Alarm { target: name("backup/eds"), since: Guid(1) })),
        ("S21", |plan, _, _| add(plan, Step::EndAlarm(name("backup/eds")))),
        ("S21", |_, policy, _| policy.grace = std::time::Duration::from_secs(1)),
        ("S21", |plan, _, _| add(plan, mark("backup/eds@b", 2, Some(0)))),
        ("S21", |plan, _, _| add(plan, mark("backup/eds@a", 2, None))),
        ("S21", |plan, _, _| add(plan, mark("backup/eds@a", 1, None))),
        ("S21", |plan, _, _| add(plan, mark("backup/eds@a", 1, Some(-5)))),
    ]);
}

fn target(seen: &mut Inventory) -> &mut crate::model::Dataset {
    seen.target.datasets.get_mut(&name("backup/eds")).unwrap()
}

fn mark(snapshot: &str, guid: u64, since: Option<i64>) -> Step {
    let since = since.map(|seconds| jiff::Timestamp::from_second(seconds).unwrap());
    Step::Mark { snapshot: name(snapshot), guid: Guid(guid), since }
}

/// Two old snapshots, of which one is enough.
fn short() -> World {
    let world = World::new().source("tank/data", "@b,2 @c,3").target("backup/eds", "@a,1 @a2,12 @b,2");
    let world = world.edit_source("tank/data", |source| {
        let detail = source.details.get_mut(&Guid(3)).unwrap();
        (detail.written, detail.referenced) = (crate::model::Bytes(50 << 20), crate::model::Bytes(90 << 20));
    });
    world.edit_target("backup", |pool| pool.available.0 = 40 << 20).edit_target("backup/eds", |there| {
        there.available.0 = 40 << 20;
        for guid in [1, 12] {
            let detail = there.details.get_mut(&Guid(guid)).unwrap();
            (detail.used.0, detail.written.0) = (60 << 20, 60 << 20);
        }
    })
}

fn room(plan: &mut Plan) -> &mut MakeRoom {
    let steps = plan.datasets[0].steps.iter_mut();
    steps.filter_map(|step| if let Step::MakeRoom(room) = step { Some(room) } else { None }).next().unwrap()
}

type SpoilRoom<'a> = &'a dyn Fn(&mut Plan, &mut Inventory);

#[test]
fn spoiled_pruning_before_a_send_is_found() {
    let second = |plan: &Plan| plan.datasets[0].prunes().nth(1).unwrap().clone();
    let spoils: [(&str, SpoilRoom<'_>); 9] = [
        ("more than needed", &|plan, _| {
            let more = second(plan);
            room(plan).candidates.push(more);
        }),
        ("not the oldest", &|plan, _| {
            let other = second(plan);
            room(plan).candidates = vec![other];
        }),
        ("space is not short", &|_, seen| {
            seen.target.datasets.values_mut().for_each(|there| there.available.0 = 1 << 40);
        }),
        ("not of this plan", &|plan, _| room(plan).candidates[0].guid = Guid(2)),
        ("no base", &|plan, _| room(plan).bases.clear()),
        ("another base", &|plan, _| room(plan).bases[0].1 = Guid(1)),
        ("made up", &|plan, _| {
            room(plan).candidates[0].frees.least.0 = 1;
            for step in &mut plan.datasets[0].steps {
                if let Step::Prune(obsolete) = step {
                    obsolete.frees.least.0 = 1;
                }
            }
        }),
        ("the source has no such base", &|_, seen| {
            let source = seen.source.datasets.get_mut(&name("tank/data")).unwrap();
            source.history = crate::plan::testing::history("@c,3", 100);
        }),
        ("nowhere", &|plan, _| room(plan).needs.clear()),
    ];
    for (what, spoil) in spoils {
        let rules = broken(&short(), |plan, _, seen| spoil(plan, seen));
        assert!(rules.contains(&"S3"), "{what}: {rules:?}");
    }
}

#[test]
fn a_refused_dataset_prunes_only_when_it_is_refused_for_lack_of_space() {
    let refuse = |plan: &mut Plan, refusal| plan.datasets[0].verdict = Verdict::Refused(Box::new(refusal));
    let only = |plan: &mut Plan, which: fn(&Step) -> bool| plan.datasets[0].steps.retain(which);
    let rules = broken(&short(), |plan, _, _| {
        refuse(plan, Refusal::Plaintext);
        only(plan, |step| matches!(step, Step::Prune(_) | Step::MakeRoom(_)));
    });
    assert!(rules.contains(&"S14"), "{rules:?}");
    let full = short().edit_target("backup", |pool| pool.available.0 = 0);
    let full = full.edit_source("tank/data", |source| {
        let detail = source.details.get_mut(&Guid(3)).unwrap();
        (detail.written.0, detail.referenced.0) = (1 << 40, 1 << 40);
    });
    let rules = broken(&full, |plan, _, _| only(plan, |step| matches!(step, Step::Prune(_))));
    assert!(rules.contains(&"S3"), "{rules:?}");
}

#[test]
fn partial_state_is_not_dropped_while_its_rest_fits() {
    let world = world().edit_target("backup/eds", |there| {
        there.resume = crate::model::ResumeState::Token(token(Some(Guid(2)), Guid(3), true));
    });
    let none = crate::model::Bytes(0);
    let rules = broken(&world, |plan, _, _| {
        without(plan, |step| matches!(step, Step::Send(_)));
        add(plan, Step::DropPartial(name("backup/eds"), Drop::NoRoom { rest: none, available: none }));
    });
    assert!(rules.contains(&"S11"), "{rules:?}");
}

#[test]
fn the_newest_on_the_drive_is_never_pruned() {
    let ahead = World::new().source("tank/data", "@b,2 #V,3").target("backup/eds", "@b,2 @c,3");
    let rules = broken(&ahead, |plan, _, _| add(plan, prune("backup/eds@c", 3)));
    assert!(rules.contains(&"S3"), "{rules:?}");
}
