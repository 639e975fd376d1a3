use super::*;
use crate::model::{Guid, ResumeState};
use crate::plan::restore::{find_obstacle, restoring};
use crate::plan::testing::tokens::token;
use crate::plan::testing::{DRIVE, World, encryption, epoch, guid_of, name, streams};
use crate::plan::{self, Refusal, Step, Verdict};

/// The drive is `tank`, the computer's pool `backup`: the fixtures have the names of the other direction.
fn policy() -> Policy {
    Policy { allow_plaintext: true, prune: crate::model::Prune::Never, ..crate::plan::testing::policy() }
}

/// A snapshot made at each whole hour since 1970, by the number of its place.
fn dated(inventory: &Inventory, policy: &Policy) -> BTreeMap<DatasetName, Vec<Dated>> {
    let hour = |txg: u64| jiff::Timestamp::from_second(3600 * i64::try_from(txg / 10).unwrap()).unwrap();
    let of = |copy: &Dataset| {
        let all = copy.history.snapshots().iter();
        all.map(|s| Dated { name: s.name.clone(), at: hour(s.txg.0) }).collect::<Vec<_>>()
    };
    copies(policy, inventory).map(|copy| (copy.name.clone(), of(copy))).collect()
}

fn now() -> Zoned {
    jiff::Timestamp::from_second(1_000_000).unwrap().to_zoned(jiff::tz::TimeZone::UTC)
}

/// `dataset@snapshot` of each that is chosen.
fn chosen(world: &World, policy: &Policy, wanted: &str) -> Result<String, Unclear> {
    let inventory = world.look(std::slice::from_ref(policy));
    let wanted = Wanted::AsOf(wanted.to_owned());
    let choice = choose(policy, &inventory, &wanted, &dated(&inventory, policy), &now())?;
    let all: Vec<_> = choice.iter().map(|(dataset, one)| format!("{dataset}@{}", one.name)).collect();
    Ok(all.join(" "))
}

/// What a restore as of this snapshot does.
fn planned(world: &World, policy: &Policy, wanted: &str) -> plan::Plan {
    let policies = std::slice::from_ref(policy);
    let mut inventory = world.look(policies);
    set_others_aside(policy, &mut inventory);
    let wanted = Wanted::AsOf(wanted.to_owned());
    let choice = choose(policy, &inventory, &wanted, &dated(&inventory, policy), &now()).unwrap();
    choice.only(policy, &mut inventory);
    find_obstacle(policy, &inventory).unwrap();
    let plan = plan::plan(policies, &inventory, &epoch());
    assert_eq!(plan::check::check(policies, &inventory, &plan, &epoch()), []);
    restoring(plan, &inventory).unwrap()
}

/// The streams of it, dataset by dataset.
fn restored(world: &World, policy: &Policy, wanted: &str) -> Vec<(String, String)> {
    let plan = planned(world, policy, wanted);
    plan.datasets.iter().map(|dataset| (dataset.target.to_string(), streams(dataset))).collect()
}

#[test]
fn a_name_is_that_snapshot_everywhere_and_a_time_the_last_one_of_each_dataset() {
    let world = World::new()
        .source("tank/data", "@a,1 @b,2 @c,3")
        .source("tank/data/new", "@c,13")
        .source("tank/data/old", "@a,21 @b,22");
    let policy = policy();
    for (wanted, expected) in [
        ("b", "tank/data@b tank/data/old@b"),
        ("@c", "tank/data@c tank/data/new@c"),
        ("1970-01-01 23:59", "tank/data@c tank/data/new@c tank/data/old@b"),
    ] {
        assert_eq!(chosen(&world, &policy, wanted).unwrap(), expected, "{wanted}");
    }
    let only_top = Policy { recursive: false, ..policy.clone() };
    assert_eq!(chosen(&world, &only_top, "c").unwrap(), "tank/data@c");
    for (wanted, finding) in [
        ("d", "is no snapshot of tank/data"),
        ("1970-01-02", "there is no snapshot of 1970-01-02; the last one before is c"),
        ("1999-01-01", "lies ahead"),
    ] {
        let error = chosen(&world, &policy, wanted).unwrap_err().to_string();
        assert!(error.contains(finding), "{error}");
    }
}

#[test]
fn one_snapshot_of_each_is_sent_in_full_and_nothing_else_is() {
    let world = World::new()
        .source("tank/data", "@a,1 @b,2 @c,3")
        .source("tank/data/new", "@c,13")
        .source("tank/data/old", "@a,21 @b,22");
    let sent = restored(&world, &policy(), "b");
    let sent: Vec<_> = sent.iter().map(|(dataset, streams)| (dataset.as_str(), streams.as_str())).collect();
    assert_eq!(sent, [("backup/eds", "full 2"), ("backup/eds/old", "full 22")]);
}

#[test]
fn what_is_in_use_elsewhere_in_the_pool_is_nothing_to_a_restore() {
    // The very dataset that was backed up, and an earlier restore of it.
    let world = World::new()
        .source("tank/data", "@a,1 @b,2")
        .target("backup/home", "@a,1 @b,2")
        .target("backup/again", "@a,1")
        .edit_target("backup/again", |dataset| dataset.source = Some(guid_of("tank/data")));
    let policy = policy();
    assert_eq!(restored(&world, &policy, "b")[0].1, "full 2");
    let mut inventory = world.look(std::slice::from_ref(&policy));
    let refused = plan::plan(std::slice::from_ref(&policy), &inventory, &epoch());
    let elsewhere = |verdict: &Verdict| matches!(verdict, Verdict::Refused(refusal) if matches!(**refusal, Refusal::Elsewhere { .. }));
    assert!(elsewhere(&refused.datasets[0].verdict), "a run would be right to refuse it");
    set_others_aside(&policy, &mut inventory);
    let plan = plan::plan(std::slice::from_ref(&policy), &inventory, &epoch());
    assert_eq!(streams(&plan.datasets[0]), "full 1; 1-i-2");
}

#[test]
fn what_one_snapshot_was_made_of_is_not_the_successor_of_the_whole_copy() {
    let policy = policy();
    let world = World::new()
        .source("tank/data", "@a,1 @b,2")
        .target("backup/eds", "@b,2")
        .edit_target("backup/eds", |dataset| dataset.source = Some(Guid(2)));
    assert_eq!(restored(&world, &policy, "b")[0].1, "", "it is there");
    let inventory = world.look(std::slice::from_ref(&policy));
    let (copy, there) =
        (inventory.source.get(&policy.source).unwrap(), inventory.target.get(&policy.target).unwrap());
    assert!(!there.was_restored_from(copy));
    assert!(matches!(find_obstacle(&policy, &inventory), Err(NotRestored::Exists(_))));
}

#[test]
fn what_is_decrypted_takes_the_encryption_of_what_is_above_it_or_is_asked_about() {
    let mut policy = Policy { send: SendMode::Plain, ..policy() };
    policy.target = name("backup/new/eds");
    let world = World::new().source("tank/data", "@a,1").edit_source("tank/data", |dataset| {
        dataset.encryption.as_mut().unwrap().key = KeyStatus::Available;
    });
    let settled = |world: &World, allow| {
        let mut inventory = world.look(std::slice::from_ref(&policy));
        decrypt(&policy, &mut inventory, false, allow).map(|becomes| (becomes, inventory))
    };
    let readable = NotRestored::Readable(name("backup/new/eds"));
    assert_eq!(settled(&world, false).map(|(becomes, _)| becomes), Err(readable.clone()));
    assert_eq!(settled(&world, true).unwrap().0, Becomes::Readable);
    let public = world.clone().edit_source("tank/data", |dataset| dataset.encryption = None);
    assert_eq!(settled(&public, false).unwrap().0, Becomes::Readable);
    let sent_plain = decrypt(&policy, &mut public.look(std::slice::from_ref(&policy)), true, false);
    assert_eq!(sent_plain, Err(readable), "it is not known to be public");

    let below = |key| {
        let locked = move |dataset: &mut Dataset| {
            dataset.encryption = Some(crate::model::Encryption { key, ..encryption("backup/new") });
        };
        world.clone().target("backup/new", "").edit_target("backup/new", locked)
    };
    let locked = settled(&below(KeyStatus::Unavailable), false).map(|(becomes, _)| becomes);
    assert_eq!(locked, Err(NotRestored::Locked { into: name("backup/new/eds"), root: name("backup/new") }));
    let (becomes, inventory) = settled(&below(KeyStatus::Available), false).unwrap();
    assert_eq!(becomes, Becomes::Encrypted { root: name("backup/new") });
    let plan = plan::plan(std::slice::from_ref(&policy), &inventory, &epoch());
    let creation = plan.datasets[0].sends().next().and_then(|send| send.creation.clone()).unwrap();
    assert!(!creation.unencrypted_below_encrypted, "it would stand there unencrypted");
}

/// A second restore of the same, after the first one ended in the middle of the history.
#[test]
fn what_was_decrypted_in_part_is_gone_on_with() {
    let policy = Policy { send: SendMode::Plain, ..policy() };
    let open = |dataset: &mut Dataset| dataset.encryption.as_mut().unwrap().key = KeyStatus::Available;
    let world = World::new()
        .source("tank/data", "@a,1 @b,2 @c,3")
        .edit_source("tank/data", open)
        .target("backup/eds", "@a,1")
        .edit_target("backup/eds", |dataset| {
            dataset.source = Some(guid_of("tank/data"));
            dataset.encryption.as_mut().unwrap().root = name("backup");
            dataset.encryption.as_mut().unwrap().keyguid = Some(Guid(99));
            dataset.resume = ResumeState::Clean;
        });
    let mut inventory = world.look(std::slice::from_ref(&policy));
    set_others_aside(&policy, &mut inventory);
    decrypt(&policy, &mut inventory, false, true).unwrap();
    find_obstacle(&policy, &inventory).unwrap();
    let plan = plan::plan(std::slice::from_ref(&policy), &inventory, &epoch());
    assert_eq!(plan::check::check(std::slice::from_ref(&policy), &inventory, &plan, &epoch()), []);
    assert_eq!(streams(&plan.datasets[0]), "1-I-3");
}

/// An earlier restore of another snapshot ended in its midst. That snapshot is still on the drive.
#[test]
fn what_was_begun_with_another_snapshot_is_dropped_in_words_that_are_true() {
    let policy = policy();
    let world = World::new()
        .source("tank/data", "@a,1 @b,2")
        .target("backup/eds", "")
        .edit_target("backup/eds", |there| there.resume = ResumeState::Token(token(None, Guid(2), true)));
    let plan = planned(&world, &policy, "a");
    let dropped =
        plan.datasets[0].steps.iter().find(|step| matches!(step, Step::DropPartial(..))).unwrap().to_string();
    assert!(dropped.ends_with("(guid 2) is none of those that are restored now"), "{dropped}");
    assert_eq!(restored(&world, &policy, "a"), [("backup/eds".to_owned(), "full 1".to_owned())]);
}

#[test]
fn large_blocks_that_did_not_come_back_are_told_of() {
    let facts = |pool: &str, state: &str| {
        let features = [("feature@large_blocks".to_owned(), state.to_owned())];
        PoolFacts::read(name(pool), DRIVE, features.iter().map(|(key, value)| (key, value)))
    };
    let told = |there, here, send| {
        large_blocks(&Policy { send, ..policy() }, &facts("backup", there), &facts("rpool", here))
    };
    let text = told("active", "enabled", SendMode::Raw).unwrap();
    assert!(text.contains("backup has large_blocks active and rpool has it enabled"), "{text}");
    for (there, here) in [("active", "active"), ("enabled", "enabled"), ("enabled", "active")] {
        assert_eq!(told(there, here, SendMode::Raw), None, "{there} {here}");
    }
    assert_eq!(told("active", "enabled", SendMode::Plain), None, "runs do not go on from it at all");
}
