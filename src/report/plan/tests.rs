//! What `plan` prints for one of everything.

use std::str::FromStr;

use jiff::Timestamp;

use super::*;
use crate::model::{
    Base, Bookmark, DatasetKind, DatasetName, Guid, IvsetGuid, SendMode, Snapshot, SnapshotName, Txg,
};
use crate::plan::testing::EXPORTED;
use crate::plan::{
    Bookmarking, Cause, Delivery, Drop, Expected, Frees, HeldBack, Kept, MakeRoom, Obsolete, PruneHold,
    Refusal, Rollback, SendKind, SendStep, Shown, Stay,
};
use crate::zfs::argv::Creation;

fn name<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn plan_of(source: &str, target: &str, verdict: Verdict, steps: Vec<Step>) -> DatasetPlan {
    DatasetPlan {
        backup: "home".to_owned(),
        source: name(source),
        target: name(target),
        verdict,
        steps,
        held_back: None,
        kept: Vec::new(),
        notes: Vec::new(),
        warnings: Vec::new(),
    }
}

fn base(text: &str, guid: u64) -> Base {
    let (guid, txg) = (Guid(guid), Txg(guid));
    match text.split_at(1) {
        ("@", rest) => Base::Snapshot(Snapshot { name: name(rest), guid, txg }),
        (_, rest) => Base::Bookmark(Bookmark { name: name(rest), guid, txg }),
    }
}

fn send(kind: SendKind, delivers: &[(&str, u64)], estimate: u64) -> Step {
    let delivers =
        delivers.iter().map(|(text, guid)| Delivery { name: name(text), guid: Guid(*guid) }).collect();
    Step::Send(SendStep {
        source: name("rpool/home"),
        into: name("backup/eds"),
        kind,
        delivers,
        rename_to: None,
        creation: None,
        mode: SendMode::Raw,
        estimate: Bytes(estimate),
    })
}

fn obsolete(text: &str, guid: u64) -> Obsolete {
    let (cause, frees) = (Cause::Gone, Frees::default());
    Obsolete { snapshot: name(text), guid: Guid(guid), cause, frees }
}

/// Every kind of step, in the order of phases.
fn steps() -> Vec<Step> {
    let bookmark = |from: Base, text: &str| Bookmarking { from, bookmark: name(text) };
    let mut renamed = send(SendKind::Increment(base("@b", 2)), &[("c", 3)], 4 << 10);
    if let Step::Send(send) = &mut renamed {
        send.rename_to = Some(name("c_00000003"));
        send.creation = Some(Creation {
            kind: DatasetKind::Filesystem,
            unencrypted_below_encrypted: false,
            source: Guid(5),
            properties: Vec::new(),
        });
    }
    vec![
        Step::DropPartial(name("backup/eds"), Drop::SnapshotGone(Guid(99))),
        Step::DropPartial(name("backup/eds"), Drop::Unreadable("it is torn".to_owned())),
        Step::DropPartial(name("backup/eds"), Drop::OtherBase),
        Step::DropPartial(name("backup/eds"), Drop::OtherMode),
        Step::Rollback(Rollback {
            to: name("backup/eds@a"),
            guid: Guid(1),
            discards: vec![obsolete("backup/eds@their", 12), obsolete("backup/eds@mine", 11)],
            written: Bytes(14 << 10),
        }),
        Step::DropPartial(
            name("backup/eds"),
            Drop::NoRoom { rest: Bytes(9 << 30), available: Bytes(1 << 30) },
        ),
        Step::Alarm { target: name("backup/eds"), since: Guid(1) },
        Step::Protect(bookmark(base("@c", 3), "rpool/home#zferry-pending_7_3")),
        Step::Hold(name("rpool/home@c")),
        Step::MakeRoom(MakeRoom { candidates: vec![obsolete("backup/eds@gone", 8)], ..MakeRoom::default() }),
        Step::CreatePlaceholder { dataset: name("backup/eds"), parent_encrypted: false },
        send(SendKind::Full, &[("a", 1)], 312 << 20),
        send(SendKind::Resume("1-a-b-c".to_owned()), &[("b", 2)], 1 << 20),
        renamed,
        send(SendKind::Increment(base("#old", 1)), &[("d", 4)], 8 << 10),
        send(SendKind::Range(name("d"), Guid(4)), &[("e", 5), ("f", 6)], 16 << 10),
        Step::Verify(Expected {
            sent: name("rpool/home@f"),
            into: name("backup/eds"),
            name: name("f"),
            guid: Guid(6),
            compare_ivset: true,
            ivset: Some(IvsetGuid(1)),
        }),
        Step::Keep(bookmark(base("@f", 6), "rpool/home#zferry_7_6")),
        Step::Unbookmark(name("rpool/home#zferry_7_1"), Guid(1)),
        Step::Prune(obsolete("backup/eds@gone", 8)),
        Step::RenameSnapshot { from: name("backup/eds@c_00000003"), guid: Guid(3), to: name("c") },
        Step::Record { target: name("backup/eds"), source: Guid(5), shown: Shown::Mirror },
        Step::Mark { snapshot: name("backup/eds@g"), guid: Guid(9), since: Some(Timestamp::UNIX_EPOCH) },
        Step::Mark { snapshot: name("backup/eds@h"), guid: Guid(10), since: None },
        Step::EndAlarm(name("backup/eds")),
        Step::Swap {
            placeholder: name("backup/eds"),
            received: name("backup/eds.zferry-swap"),
            kind: DatasetKind::Filesystem,
        },
    ]
}

/// Every verdict, pruning that was held back, a warning and a note.
fn everything() -> Plan {
    let kept: Vec<SnapshotName> = ["backup/eds@x", "backup/eds@y"].map(name).to_vec();
    let mut first = plan_of("rpool/home", "backup/eds", Verdict::Behind, steps());
    let why = PruneHold::Limit { total: 3, percent: 60 };
    first.held_back = Some(HeldBack {
        snapshots: kept,
        frees: Frees { least: Bytes(3 << 20), most: Bytes(5 << 20) },
        cause: Cause::Gone,
        why,
    });
    first.warnings.push("home: the newest snapshot is older than max-age.".to_owned());
    let why = vec![Stay::Last(1), Stay::Period("daily", "2026-11-03".to_owned())];
    first.kept.push(Kept { snapshot: name("backup/eds@z"), why });
    first.notes.push("A note.".to_owned());
    let common: SnapshotName = name("backup/eds/mail@a");
    let ahead = Refusal::Ahead { common, extra: vec![name("backup/eds/mail@b")], stuck: None };
    let refused = Verdict::Refused(Box::new(ahead));
    let other: DatasetName = name("backup/eds/docs");
    Plan {
        datasets: vec![
            first,
            plan_of("rpool/home/mail", "backup/eds/mail", refused, Vec::new()),
            plan_of("rpool/home/docs", other.as_str(), Verdict::UpToDate, Vec::new()),
            plan_of("rpool/home/all", "backup/eds/all", Verdict::Parent, Vec::new()),
        ],
        warnings: vec!["--rollback-target: there is nothing to roll back in backup/eds/docs.".to_owned()],
    }
}

#[test]
fn a_plan_is_told_step_by_step_without_its_bookkeeping() {
    insta::assert_snapshot!(text("t7", &EXPORTED, &everything()));
}

#[test]
fn machines_get_every_step() {
    let value = json("t7", &EXPORTED, &everything());
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn every_phase_has_a_step_in_these_snapshots() {
    let all = steps();
    for phase in Phase::ALL {
        assert!(all.iter().any(|step| step.phase() == phase), "{phase:?}");
    }
    assert!(all.is_sorted_by_key(Step::phase));
}
