//! Every refusal with its evidence, and what the user is told.

use jiff::Timestamp;

use crate::model::{
    Bytes, Dataset, DatasetFilter, DatasetKind, Guid, IvsetGuid, KeyStatus, Policy, SendMode,
};
use crate::plan::refusal::Made;
use crate::plan::testing::{EXPORTED, World, encryption, guid_of, name, policy, refusal, streams, without};
use crate::plan::{Afterwards, DatasetPlan, Frees, Limit, Refusal, Verdict};

fn refused(world: &World, policy: &Policy) -> Option<Refusal> {
    let plan = world.only(policy);
    if let Some(refusal) = refusal(&plan) {
        let finding = refusal.finding(&plan.source, &plan.target).to_string();
        let sentence = finding.ends_with('.') || matches!(refusal, Refusal::NameTooLong(_));
        assert!(sentence && !finding.contains("  "), "{finding}");
        let quiet = matches!(refusal, Refusal::Redacted(_));
        assert_eq!(refusal.remedies(&plan.source, &plan.target, &EXPORTED).is_empty(), quiet, "{finding}");
        assert!(plan.steps.is_empty() && plan.held_back.is_none());
    }
    refusal(&plan).cloned()
}

fn both(source: &str, target: &str) -> World {
    World::new().source("tank/data", source).target("backup/eds", target)
}

#[test]
fn a_source_that_is_missing_empty_or_deselected_is_refused() {
    assert_eq!(refused(&World::new(), &policy()), Some(Refusal::SourceMissing { now: None }));
    let renamed = World::new()
        .source("tank/new", "@a,1")
        .target("backup/eds", "@a,1")
        .edit_target("backup/eds", |there| there.source = Some(guid_of("tank/new")));
    let now = Some(name("tank/new"));
    assert_eq!(refused(&renamed, &policy()), Some(Refusal::SourceMissing { now }));
    let world = World::new().source("tank/data", "#x,1");
    assert_eq!(refused(&world, &policy()), Some(Refusal::NoSnapshot));
    let narrow = Policy { snapshots: without(&["*"]), ..policy() };
    let expected = Refusal::NoneSelected { existing: 2, newest: name("tank/data@b"), by: "exclude" };
    assert_eq!(refused(&World::new().source("tank/data", "@a,1 @b,2"), &narrow), Some(expected));
}

#[test]
fn unencrypted_data_needs_consent_in_the_configuration() {
    let plain = World::new().source("tank/data", "@a,1").edit_source("tank/data", |d| d.encryption = None);
    assert_eq!(refused(&plain, &policy()), Some(Refusal::Plaintext));
    let decrypting = Policy { send: SendMode::Plain, ..policy() };
    let encrypted = World::new().source("tank/data", "@a,1");
    assert_eq!(refused(&encrypted, &decrypting), Some(Refusal::PlainSend));
    let consented = Policy { allow_plaintext: true, ..decrypting };
    let locked = Refusal::KeyNotLoaded { root: name("tank/data") };
    assert_eq!(refused(&encrypted, &consented), Some(locked));
    let open = encrypted.edit_source("tank/data", |d| {
        d.encryption.as_mut().unwrap().key = KeyStatus::Available;
    });
    assert_eq!(refused(&open, &consented), None);
    assert_eq!(refused(&plain, &Policy { allow_plaintext: true, ..policy() }), None);
}

type Change = fn(&mut Dataset);

#[test]
fn a_copy_that_a_stream_would_not_fit_is_refused_before_a_byte_is_sent() {
    let ivset: Change = |t| t.details.get_mut(&Guid(1)).unwrap().ivset = Some(IvsetGuid(5));
    let no_ivset: Change = |t| t.details.get_mut(&Guid(1)).unwrap().ivset = None;
    let drives_own: Change = |t| {
        t.encryption = Some(crate::model::Encryption { keyguid: Some(Guid(5)), ..encryption("backup") });
    };
    let table: [(Change, Refusal); 10] = [
        (|t| t.kind = DatasetKind::Volume, Refusal::OtherKind),
        (|t| t.encryption = None, Refusal::OtherMode),
        (|t| t.encryption.as_mut().unwrap().keyguid = Some(Guid(5)), Refusal::OtherKey),
        (|t| t.encryption.as_mut().unwrap().keyguid = None, Refusal::OtherKey),
        (|t| t.encryption = Some(encryption("backup")), Refusal::EncryptionRoot { root: name("backup") }),
        (drives_own, Refusal::DriveKey { root: name("backup") }),
        (ivset, Refusal::OtherIvset { base: name("backup/eds@a") }),
        (no_ivset, Refusal::OtherIvset { base: name("backup/eds@a") }),
        (|t| t.written = Bytes(9), Refusal::Modified { since: name("backup/eds@a"), written: Bytes(9) }),
        (|t| t.redacted = true, Refusal::Redacted(name("backup/eds"))),
    ];
    for (change, expected) in table {
        let world = both("@a,1 @b,2", "@a,1").edit_target("backup/eds", change);
        assert_eq!(refused(&world, &policy()), Some(expected));
    }
    let redacted = both("@a,1", "@a,1").edit_source("tank/data", |d| d.redacted = true);
    assert_eq!(refused(&redacted, &policy()), Some(Refusal::Redacted(name("tank/data"))));
}

#[test]
fn a_bookmark_without_iv_set_is_no_base() {
    let world = both("#V,1 @b,2", "@a,1")
        .edit_source("tank/data", |d| d.details.get_mut(&Guid(1)).unwrap().ivset = None);
    assert_eq!(refused(&world, &policy()), Some(Refusal::NoIvset { base: name("backup/eds@a") }));
}

#[test]
fn a_redaction_bookmark_is_no_base() {
    let redacted = |world: World| {
        world.edit_source("tank/data", |d| d.details.get_mut(&Guid(1)).unwrap().redaction = true)
    };
    for source in ["#redacted,1 @b,2", "#redacted,1 #another,1 @b,2"] {
        let world = redacted(both(source, "@a,1"));
        assert!(matches!(refused(&world, &policy()), Some(Refusal::NoCommon { .. })), "{source}");
    }
    let ours = redacted(both("#redacted,1 @b,2", "@a,1")).edit_source("tank/data", |d| {
        let good = crate::model::Bookmark { name: name("zferry_7_1"), ..d.history.bookmarks()[0].clone() };
        crate::plan::testing::kernel::change(d, |_, bookmarks| bookmarks.push(good));
        d.details.get_mut(&Guid(1)).unwrap().redaction = false;
    });
    assert_eq!(streams(&ours.only(&policy())), "#1-i-2", "ours is asked about, and the other one not");
}

#[test]
fn an_encrypted_copy_is_not_continued_plain() {
    let policy = Policy { send: SendMode::Plain, allow_plaintext: true, ..policy() };
    let world = both("@a,1 @b,2", "@a,1").edit_source("tank/data", |d| {
        d.encryption.as_mut().unwrap().key = KeyStatus::Available;
    });
    assert_eq!(refused(&world, &policy), Some(Refusal::OtherMode));
}

/// What syncoid makes without raw sends on a drive whose pool is encrypted.
#[test]
fn a_copy_under_the_drives_own_key_is_not_continued_and_said_to_be_that() {
    let drives_own = Some(crate::model::Encryption { keyguid: Some(Guid(5)), ..encryption("backup") });
    let world = both("@a,1 @b,2", "@a,1").edit_target("backup/eds", |d| d.encryption = drives_own);
    let plain = Policy { send: SendMode::Plain, allow_plaintext: true, ..policy() };
    let unlocked = world.clone().edit_source("tank/data", |d| {
        d.encryption.as_mut().unwrap().key = KeyStatus::Available;
    });
    let unencrypted = world.edit_source("tank/data", |d| d.encryption = None);
    for (world, policy) in [
        (&unlocked, &policy()),
        (&unlocked, &plain),
        (&unencrypted, &plain),
        (&unencrypted, &Policy { allow_plaintext: true, ..policy() }),
    ] {
        assert_eq!(refused(world, policy), Some(Refusal::DriveKey { root: name("backup") }));
    }
}

#[test]
fn where_both_sides_parted_is_told() {
    let ahead = |common: &str, extra: &[&str]| Refusal::Ahead {
        common: name(common),
        extra: extra.iter().map(|snapshot| name(snapshot)).collect(),
        stuck: None,
    };
    let world = both("@a,1 @b,2", "@a,1 @mine,8 @mine2,9");
    let expected = ahead("backup/eds@a", &["backup/eds@mine", "backup/eds@mine2"]);
    assert_eq!(refused(&world, &policy()), Some(expected));
    let made = |snapshot: &str, made| Box::new(Made { name: name(snapshot), made });
    let none = |source, target| Refusal::NoCommon {
        source: Some(made("tank/data@b", source)),
        target: made("backup/eds@a", target),
        origin: None,
    };
    let world = both("@a,1 @b,2", "@a,9")
        .edit_source("tank/data", |d| d.details.get_mut(&Guid(2)).unwrap().creation = None)
        .edit_target("backup/eds", |d| d.details.get_mut(&Guid(9)).unwrap().creation = None);
    assert_eq!(refused(&world, &policy()), Some(none(None, None)), "names prove nothing");
    let day = Timestamp::from_second(20_000 * 86_400).ok();
    let dated = world
        .edit_source("tank/data", |d| d.details.get_mut(&Guid(2)).unwrap().creation = day)
        .edit_target("backup/eds", |d| d.details.get_mut(&Guid(9)).unwrap().creation = day);
    assert_eq!(refused(&dated, &policy()), Some(none(day, day)));
    let told = none(day, None).finding(&name("tank/data"), &name("backup/eds")).to_string();
    let dates = "(newest here tank/data@b, made 2024-10-04 00:00 UTC; newest there backup/eds@a).";
    assert!(told.ends_with(dates), "{told}");
}

#[test]
fn snapshots_that_went_to_a_promoted_clone_can_be_taken_back() {
    let world =
        both("@b,2", "@a,1").edit_source("tank/data", |source| source.origin = Some(name("tank/clone@a")));
    let plan = world.only(&policy());
    let refusal = refusal(&plan).unwrap();
    let told = refusal.finding(&plan.source, &plan.target).to_string();
    assert!(
        told.ends_with("tank/data is a clone of tank/clone@a: if tank/clone was promoted, they went there.")
    );
    let remedies = refusal.remedies(&plan.source, &plan.target, &EXPORTED);
    assert_eq!(remedies[0], "zfs promote tank/data   (takes back what went to tank/clone)");
    let aside = "zfs rename backup/eds backup/eds_old && zfs set org.zferry:retired=on backup/eds_old";
    assert!(remedies[1].starts_with(&format!("zpool import -N backup && {aside} && zpool export backup ")));
    // A pool that was imported before the run is so when the command is typed.
    let imported = Afterwards { imported: true, ..EXPORTED };
    assert!(refusal.remedies(&plan.source, &plan.target, &imported)[1].starts_with(&format!("{aside}  ")));
}

#[test]
fn a_copy_whose_source_is_gone_is_told_of_and_left_alone() {
    let world = || both("@a,1", "@a,1").target("backup/eds/x", "@x,11");
    let plan = world().plan(&[policy()]);
    assert_eq!(plan.datasets[0].notes, ["The source of backup/eds/x is gone. The copy is left as it is."]);
    let notes = |world: World| world.plan(&[policy()]).datasets[0].notes.len();
    assert_eq!(notes(world().edit_target("backup/eds/x", |there| there.retired = true)), 0);
    assert_eq!(notes(world().edit_target("backup/eds/x", |there| there.source = None)), 0);
    let excluded = DatasetFilter::new(&["x".to_owned()]).unwrap();
    let plan = world().source("tank/data/x", "@x,11").plan(&[Policy { datasets: excluded, ..policy() }]);
    assert_eq!(plan.datasets[0].notes.len(), 0, "it is excluded, not gone");
}

#[test]
fn what_was_made_by_hand_is_never_received_over() {
    let world = World::new().source("tank/data", "@a,1").target("backup/eds", "");
    assert_eq!(refused(&world, &policy()), Some(Refusal::NotOurs { used: Bytes(1000) }));
    let to_pool = Policy { target: name("backup"), ..policy() };
    assert_eq!(
        refused(&World::new().source("tank/data", "@a,1"), &to_pool),
        Some(Refusal::NotOurs { used: Bytes(1000) })
    );
}

#[test]
fn a_second_full_copy_is_not_begun() {
    let expected = Some(Refusal::Elsewhere {
        copy: name("backup/old"),
        missing: Vec::new(),
        below_encrypted: false,
        follows: None,
    });
    let shares = World::new().source("tank/data", "@a,1 @b,2").target("backup/old", "@x,1");
    assert_eq!(refused(&shares, &policy()), expected, "another tool's, by a snapshot");
    let marked = World::new().source("tank/data", "#V,1 @b,2").target("backup/old", "@x,1");
    assert_eq!(refused(&marked, &policy()), expected, "by a bookmark");
    let recorded = World::new()
        .source("tank/data", "@b,2")
        .target("backup/old", "@x,9")
        .edit_target("backup/old", |there| there.source = Some(guid_of("tank/data")));
    assert_eq!(refused(&recorded, &policy()), expected, "ours, by what it says");
    let of_another = shares.edit_target("backup/old", |there| there.source = Some(Guid(4)));
    assert_eq!(refused(&of_another, &policy()), None, "it says that it is another's");
}

#[test]
fn a_copy_that_is_elsewhere_is_renamed_as_a_whole_and_below_what_is_made_for_it() {
    let there = |name: &str, source: &str| {
        let (name, of) = (name.to_owned(), guid_of(source));
        move |world: World| world.target(&name, "@x,9").edit_target(&name, |there| there.source = Some(of))
    };
    let world = World::new().source("tank/data", "@b,2").source("tank/data/x", "@b,12");
    let world = there("backup/old/x", "tank/data/x")(there("backup/old", "tank/data")(world));
    let far = Policy { target: name("backup/laptop/eds"), ..policy() };
    let plan = world.plan(std::slice::from_ref(&far));
    let printed = |index: usize| {
        let of: &DatasetPlan = &plan.datasets[index];
        let afterwards = Afterwards { retry: "zferry run t7", imported: true };
        refusal(of).map(|refusal| refusal.remedies(&of.source, &of.target, &afterwards).remove(0))
    };
    assert_eq!(
        printed(0).as_deref(),
        Some(
            "zfs create -o canmount=off -o mountpoint=none -o org.zferry:placeholder=on backup/laptop && \
             zfs rename backup/old backup/laptop/eds   (continues it there)"
        )
    );
    assert_eq!(printed(1).as_deref(), Some("what is done about backup/old takes it along"));
}

#[test]
fn a_name_that_would_be_too_long_is_refused() {
    let long = format!("tank/data/{}", "x".repeat(230));
    let world = World::new().source("tank/data", "@a,1").source(&long, "@a,11");
    let plan = world.plan(&[policy()]);
    assert!(matches!(refusal(&plan.datasets[1]), Some(Refusal::NameTooLong(_))), "no room for a bookmark");
    assert_eq!(plan.datasets[0].verdict, Verdict::Behind);
    let far = Policy { target: name(&format!("backup/{}", "y".repeat(240))), ..policy() };
    let world = World::new().source("tank/data", &format!("@{},1", "z".repeat(40)));
    assert!(matches!(refused(&world, &far), Some(Refusal::NameTooLong(_))));
}

#[test]
fn a_pool_that_cannot_hold_encrypted_data_is_refused() {
    let world = World::new().source("tank/data", "@a,1");
    let policies = [policy()];
    let mut seen = world.look(&policies);
    let pool = seen.pools.get_mut(&name("backup")).unwrap();
    pool.features.insert("encryption".to_owned(), "disabled".to_owned());
    let plan = crate::plan::plan(&policies, &seen, &crate::plan::testing::epoch());
    assert_eq!(refusal(&plan.datasets[0]), Some(&Refusal::FeatureMissing { feature: "encryption" }));
}

/// Nothing on the drive could be pruned.
fn no_space(needed: u64, available: u64, limit: Limit) -> Refusal {
    let (needed, available) = (Bytes(needed), Bytes(available));
    let (obsolete, frees, waiting) = (0, Frees::default(), Default::default());
    Refusal::NoSpace { needed, available, limit, obsolete, frees, waiting }
}

#[test]
fn streams_that_do_not_fit_are_refused_and_smaller_ones_still_travel() {
    let world = World::new()
        .source("tank/data", "@a,1 @b,2")
        .source("tank/data/x", "@a,11")
        .edit_target("backup", |pool| pool.available = Bytes(105));
    let plan = world.plan(&[policy()]);
    let expected = no_space(110, 105, Limit::Pool);
    assert_eq!(refusal(&plan.datasets[0]), Some(&expected));
    assert_eq!(streams(&plan.datasets[1]), "full 11");
    let world = both("@a,1", "@a,1").edit_target("backup/eds", |there| there.available = Bytes(0));
    assert_eq!(refused(&world, &policy()), None, "nothing to send needs no room");
}
