//! `--rollback-target`: what is given up, what never is, and what the user is told.

use crate::model::{Bytes, Guid, Inventory, Policy, ResumeState, glob_set};
use crate::plan::testing::tokens::token;
use crate::plan::testing::{EXPORTED, World, name, policy, refusal, show_dataset, streams};
use crate::plan::{Drop, Frees, Keeper, Obsolete, Plan, Refusal, Rollback, Step, check, plan};

fn consenting(target: &str) -> Policy {
    let mut policy = policy();
    policy.consents.rollback = vec![name(target)];
    policy
}

fn both(source: &str, target: &str, written: u64) -> World {
    World::new()
        .source("tank/data", source)
        .target("backup/eds", target)
        .edit_target("backup/eds", |there| there.written = Bytes(written))
}

/// The sentences of the steps that come before everything else.
fn prepared(world: &World, policy: &Policy) -> Vec<String> {
    let plan = world.only(policy);
    let first = plan.steps.iter().take_while(|s| matches!(s, Step::Rollback(_) | Step::DropPartial(..)));
    first.map(ToString::to_string).collect()
}

#[test]
fn with_consent_the_copy_goes_back_to_the_base_and_the_run_goes_on_from_there() {
    for (what, source, target, written, step, sent, left) in [
        (
            "written to",
            "@a,1 @b,2",
            "@a,1",
            9,
            "roll backup/eds back to @a, which discards 9 B written since",
            "1-i-2",
            "@a,1 @b,2",
        ),
        (
            "a snapshot",
            "@a,1 @b,2",
            "@a,1 @mine,8",
            0,
            "roll backup/eds back to @a, which destroys @mine there",
            "1-i-2",
            "@a,1 @b,2",
        ),
        (
            "several, from a bookmark, and nothing to send",
            "@old,7 #V,1",
            "@a,1 @mine,8 @mine2,9",
            5,
            "roll backup/eds back to @a, which destroys 2 snapshots there: @mine2, @mine; and discards 5 B written since",
            "",
            "@a,1",
        ),
        (
            "whose name comes again",
            "@a,1 @b,2",
            "@a,1 @b,8",
            0,
            "roll backup/eds back to @a, which destroys @b there",
            "1-i-2",
            "@a,1 @b,2",
        ),
    ] {
        let mut world = both(source, target, written);
        assert!(refusal(&world.only(&policy())).is_some(), "{what}");
        let consenting = [consenting("backup/eds")];
        let plan = world.run(&consenting).datasets.remove(0);
        assert_eq!((plan.steps[0].to_string().as_str(), streams(&plan).as_str()), (step, sent), "{what}");
        assert_eq!(world.on_drive("backup/eds"), left, "{what}");
        let again = world.plan(&consenting);
        assert!(again.datasets[0].steps.is_empty(), "{what}");
        assert_eq!(again.warnings, ["--rollback-target: there is nothing to roll back in backup/eds."]);
    }
}

#[test]
fn consent_for_one_dataset_is_none_for_another() {
    let world = both("@a,1 @b,2", "@a,1 @mine,8", 0)
        .source("tank/data/x", "@x,11 @y,12")
        .target("backup/eds/x", "@x,11")
        .edit_target("backup/eds/x", |there| there.written = Bytes(1));
    let plan = world.plan(&[consenting("backup/eds/x")]);
    assert!(matches!(refusal(&plan.datasets[0]), Some(Refusal::Ahead { .. })));
    assert_eq!(streams(&plan.datasets[1]), "11-i-12");
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn what_is_held_cloned_or_protected_stays_whatever_is_consented_to() {
    for (keeper, words) in [
        (Keeper::Hold, "backup/eds@mine is held, so that they cannot be destroyed."),
        (Keeper::Clone, "backup/eds@mine has a clone, so that they cannot be destroyed."),
        (Keeper::Protect, "backup/eds@mine is protected by the configuration, so"),
    ] {
        let world = both("@a,1 @b,2", "@a,1 @mine,8 @mine2,9", 3).edit_target("backup/eds", |there| {
            let detail = there.details.get_mut(&Guid(8)).unwrap();
            detail.holds = u64::from(keeper == Keeper::Hold);
            detail.clones = u64::from(keeper == Keeper::Clone);
        });
        let mut consenting = consenting("backup/eds");
        if keeper == Keeper::Protect {
            consenting.protect = glob_set(&["mine".to_owned()]).unwrap();
        }
        let plan = world.plan(std::slice::from_ref(&consenting));
        let (dataset, Some(refusal)) = (&plan.datasets[0], refusal(&plan.datasets[0])) else { panic!() };
        let told = refusal.finding(&dataset.source, &dataset.target).to_string();
        assert!(told.contains(words), "{told}");
        let remedies = refusal.remedies(&dataset.source, &dataset.target, &EXPORTED);
        assert!(!remedies.iter().any(|remedy| remedy.contains("--rollback-target")), "{remedies:?}");
        assert!(remedies[0].contains("zfs rename backup/eds backup/eds_old"), "{remedies:?}");
        assert!(plan.warnings[0].contains("refused all the same"), "{:?}", plan.warnings);
    }
}

#[test]
fn renaming_aside_is_offered_before_destroying() {
    for world in [both("@a,1 @b,2", "@a,1", 9), both("@a,1 @b,2", "@a,1 @mine,8", 0)] {
        let plan = world.only(&policy());
        let remedies = refusal(&plan).unwrap().remedies(&plan.source, &plan.target, &EXPORTED);
        assert!(remedies[0].contains("zfs rename backup/eds backup/eds_old"));
        let flag = "zferry run t7 --rollback-target=backup/eds   (destroys it, and it may be the only copy)";
        assert_eq!(remedies[1], flag);
    }
}

#[test]
fn a_copy_that_is_refused_for_something_else_too_is_left_as_it_is() {
    let world = both("@a,1 @b,2", "@a,1 @mine,8", 0).edit_target("backup/eds", |there| {
        there.encryption.as_mut().unwrap().keyguid = Some(Guid(5));
    });
    let plan = world.only(&consenting("backup/eds"));
    assert_eq!((refusal(&plan), plan.steps.is_empty()), (Some(&Refusal::OtherKey), true));
    let other_ivset = both("@a,1 @b,2", "@a,1", 9)
        .edit_target("backup/eds", |there| there.details.get_mut(&Guid(1)).unwrap().ivset = None);
    let plan = other_ivset.only(&consenting("backup/eds"));
    assert!(matches!(refusal(&plan), Some(Refusal::OtherIvset { .. })) && plan.steps.is_empty());
    let strangers = both("@a,1", "@x,8", 9).only(&consenting("backup/eds"));
    assert!(matches!(refusal(&strangers), Some(Refusal::NoCommon { .. })) && strangers.steps.is_empty());
}

#[test]
fn partial_state_is_resumed_after_it_or_dropped_before_it() {
    let with_token = |from: u64| {
        both("@a,1 @b,2", "@a,1 @mine,8", 0).edit_target("backup/eds", |there| {
            there.resume = ResumeState::Token(token(Some(Guid(from)), Guid(2), true));
            there.details.get_mut(&Guid(from)).unwrap().clones = 1;
        })
    };
    let rolled = "roll backup/eds back to @a, which destroys @mine there";
    let consenting = consenting("backup/eds");
    let mut from_base = with_token(1);
    assert_eq!(prepared(&from_base, &consenting), [rolled]);
    assert_eq!(streams(&from_base.run(std::slice::from_ref(&consenting)).datasets[0]), "rest of 2");
    // Of one that somebody began by hand from what goes now: it is a clone of that, and leads nowhere.
    let mut from_mine = with_token(8);
    let dropped = format!("drop the interrupted receive of backup/eds: {}", Drop::OtherBase);
    assert_eq!(prepared(&from_mine, &consenting), [dropped.as_str(), rolled]);
    assert_eq!(streams(&from_mine.run(std::slice::from_ref(&consenting)).datasets[0]), "1-i-2");
}

#[test]
fn a_redaction_bookmark_does_not_hide_what_has_to_go() {
    let world = both("@a,1 #redacted,2 @c,3", "@a,1 @b,2", 0)
        .edit_source("tank/data", |source| source.details.get_mut(&Guid(2)).unwrap().redaction = true);
    assert_eq!(
        prepared(&world, &consenting("backup/eds")),
        ["roll backup/eds back to @a, which destroys @b there"]
    );
}

#[test]
fn beside_a_placeholder_the_consent_is_for_the_place() {
    let world = World::new()
        .source("tank/data", "@a,1 @b,2")
        .placeholder("backup/eds")
        .target("backup/eds.zferry-swap", "@a,1")
        .edit_target("backup/eds.zferry-swap", |there| there.written = Bytes(9));
    let plan = world.only(&consenting("backup/eds"));
    assert!(
        plan.steps[0].to_string().starts_with("roll backup/eds.zferry-swap back"),
        "{}",
        show_dataset(&plan)
    );
}

type Spoil = fn(&mut Rollback, &mut Policy, &mut Inventory);

#[test]
fn the_checker_finds_a_rollback_that_was_not_consented_to_or_goes_too_far() {
    let table: [(&str, Spoil); 13] = [
        ("S2", |_, policy, _| policy.consents.rollback.clear()),
        ("S2", |_, policy, _| policy.consents.rollback = vec![name("backup/other")]),
        ("S2", |rollback, _, _| rollback.to = name("backup/other@a")),
        ("S4", |rollback, _, _| rollback.guid = Guid(2)),
        ("S4", |rollback, _, _| rollback.to = name("backup/eds@mine")),
        ("S4", |rollback, _, _| rollback.discards[0].guid = Guid(7)),
        ("S4", |rollback, _, _| rollback.discards.reverse()),
        ("S4", |rollback, _, _| rollback.discards.truncate(1)),
        ("S4", |rollback, _, _| {
            rollback.discards.push(Obsolete {
                snapshot: name("backup/eds@a"),
                guid: Guid(1),
                cause: crate::plan::Cause::Gone,
                frees: Frees::default(),
            });
        }),
        ("S3", |_, policy, _| policy.protect = glob_set(&["mine".to_owned()]).unwrap()),
        ("S3", |_, _, seen| {
            let there = seen.target.datasets.get_mut(&name("backup/eds")).unwrap();
            there.details.get_mut(&Guid(8)).unwrap().holds = 1;
        }),
        ("S3", |_, _, seen| {
            seen.target.datasets.get_mut(&name("backup/eds")).unwrap().details.clear();
        }),
        ("S3", |_, _, seen| {
            let source = seen.source.datasets.get_mut(&name("tank/data")).unwrap();
            source.history = crate::plan::testing::history("@a,1 @b,2 #kept,8", 100);
        }),
    ];
    for (place, (rule, spoil)) in table.into_iter().enumerate() {
        let world = both("@a,1 @b,2", "@a,1 @mine,8 @mine2,9", 0);
        let mut policies = vec![consenting("backup/eds")];
        let mut seen = world.look(&policies);
        let mut plan: Plan = plan(&policies, &seen, &crate::plan::testing::epoch());
        assert_eq!(check::check(&policies, &seen, &plan, &crate::plan::testing::epoch()), []);
        let Step::Rollback(rollback) = &mut plan.datasets[0].steps[0] else { panic!() };
        spoil(rollback, &mut policies[0], &mut seen);
        let rules: Vec<_> = check::check(&policies, &seen, &plan, &crate::plan::testing::epoch())
            .iter()
            .map(|v| v.rule)
            .collect();
        assert!(rules.contains(&rule), "row {place}: {rule} is not among {rules:?}");
    }
}

#[test]
fn the_checker_finds_a_rollback_that_is_missing() {
    let world = both("@a,1 @b,2", "@a,1 @mine,8", 0);
    let policies = [consenting("backup/eds")];
    let seen = world.look(&policies);
    let mut plan = plan(&policies, &seen, &crate::plan::testing::epoch());
    plan.datasets[0].steps.retain(|step| !matches!(step, Step::Rollback(_)));
    assert!(
        !check::check(&policies, &seen, &plan, &crate::plan::testing::epoch()).is_empty(),
        "a stream onto what is not the base"
    );
}
