//! A source and a drive, and a run between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::request::{Common, DrillRequest, Format, Verbosity, VerifyRequest, Wait};
use crate::drive::Root;
use crate::event::{Silence, Summary, Unplug};
use crate::execute::session::After;
use crate::jobs::drive_run::DriveRun;
use crate::jobs::own::OwnSnapshots;
use crate::jobs::rescue::Rescue;
use crate::jobs::{Environment, JobError};
use crate::model::{Guid, Policy, PoolName};
use crate::plan::testing::name;
use crate::process::{Cancel, Runner};
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty, Place};
use crate::sim::state::{Dataset, State};
use crate::state::Store;

/// The drive's pool.
pub const DRIVE: Guid = Guid(7);
const KEY: u64 = 77;
const MIB: u64 = 1 << 20;

/// An encrypted tree: a parent without snapshots, two filesystems, a volume; and an empty drive.
pub fn new_host() -> Host {
    let mut state = State::default();
    state.add_pool("rpool", 1, None);
    state.add_drive("backup", DRIVE.0);
    state.add_dataset("rpool/nixos", Some(KEY));
    for below in ["home", "home/anna", "vm"] {
        let dataset = format!("rpool/nixos/{below}");
        state.add_dataset(&dataset, Some(KEY));
        let there = state.datasets.get_mut(&dataset).unwrap();
        there.key.as_mut().unwrap().root = "rpool/nixos".to_owned();
        there.volume = below == "vm";
        for day in 1..=3 {
            state.take_snapshot(&dataset, &format!("day{day}"), 10 * MIB);
        }
    }
    Host::new(state)
}

/// A day passes: new snapshots, old ones are pruned, one is renamed, a name is used again.
pub fn a_day_passes(state: &mut State) {
    state.destroy_snapshot("rpool/nixos/home", "day1");
    state.destroy_snapshot("rpool/nixos/home", "day2");
    state.take_snapshot("rpool/nixos/home", "day4", 5 * MIB);
    state.take_snapshot("rpool/nixos/home", "day5", 5 * MIB);
    state.destroy_snapshot("rpool/nixos/home/anna", "day1");
    state.take_snapshot("rpool/nixos/home/anna", "day1", 7 * MIB);
    let vm = state.datasets.get_mut("rpool/nixos/vm").unwrap();
    vm.snapshots[1].name = "kept".to_owned();
}

/// The drive has room for what a day brings only when what the source gave up goes first.
pub fn the_drive_is_nearly_full(state: &mut State) {
    state.pools.get_mut("backup").unwrap().available = 4 * MIB;
}

/// The parent gets a snapshot of its own: its placeholder gives way.
pub fn the_parent_is_snapshotted(state: &mut State) {
    state.take_snapshot("rpool/nixos", "first", MIB);
    state.take_snapshot("rpool/nixos/vm", "day4", MIB);
}

pub fn policy() -> Policy {
    Policy {
        drive: DRIVE,
        source: name("rpool/nixos"),
        target: name("backup/eds"),
        ..crate::plan::testing::policy()
    }
}

/// One run through this runner, from import to power-off.
pub fn run(runner: &dyn Runner, root: &Root) -> Result<Summary, JobError> {
    run_and_wait(runner, root, Duration::ZERO)
}

/// One that waits so long for a drive that is gone.
pub fn run_and_wait(runner: &dyn Runner, root: &Root, replug_wait: Duration) -> Result<Summary, JobError> {
    run_as(&policy(), 1_800_000_000, (runner, root), replug_wait)
}

/// One of this backup, at this time.
pub fn run_as(
    policy: &Policy,
    now: i64,
    through: (&dyn Runner, &Root),
    replug_wait: Duration,
) -> Result<Summary, JobError> {
    run_and_scrub(policy, now, through, (replug_wait, None))
}

/// `zferry verify t7`, with or without a drill.
pub fn verify_request(drill: Option<DrillRequest>) -> VerifyRequest {
    const CONFIG: &str = "[drives.t7]\npool = \"backup\"\npool-guid = \"7\"\n\n[backups.home]\nsource = \"rpool/nixos\"\ntarget = \"eds\"\nprune = \"mirror\"\n";
    let common = Common {
        format: Format::Human,
        verbosity: Verbosity::Quiet,
        command: "zferry".to_owned(),
        host: "laptop".to_owned(),
        warnings: Vec::new(),
    };
    let drive = crate::config::parse(CONFIG, Path::new("c"), "laptop").unwrap().drives.remove(0);
    VerifyRequest { common, drive, wait: Wait::Unsaid, retry: "zferry verify t7".to_owned(), drill }
}

/// One that scrubs the drive when the last scrub is so old.
pub fn run_and_scrub(
    policy: &Policy,
    now: i64,
    (runner, root): (&dyn Runner, &Root),
    (replug_wait, scrub): (Duration, Option<Duration>),
) -> Result<Summary, JobError> {
    let directory = tempfile::tempdir().unwrap();
    let (cancel, store) = (Cancel::new(), Store::new(directory.path().join("state")));
    let clock = || Timestamp::from_second(now).unwrap();
    let env = Environment {
        runner,
        cancel: &cancel,
        root,
        sink: &Silence,
        ask: &crate::execute::luks::nobody,
        clock: &clock,
        zone: &jiff::tz::TimeZone::UTC,
        store: &store,
        locks: directory.path(),
        ending: &|_| crate::live::Ending::default(),
        interactive: false,
    };
    let pool: PoolName = name("backup");
    let own = OwnSnapshots::new(vec![policy.clone()]);
    let run = DriveRun {
        drive: "t7",
        pool: &pool,
        guid: DRIVE,
        luks: None,
        policies: vec![policy.clone()],
        own: &own,
        wait: Duration::ZERO,
        replug_wait,
        last_used_by: None,
        after: After::PowerOff,
        export_foreign: false,
        retry: "zferry run t7".to_owned(),
        scrub,
        rescue: rescue(root),
        metrics: None,
        foreboding: Duration::ZERO,
    };
    run.run(&env)
}

/// What the drive's rescue file system gets, if it has one.
fn rescue(root: &Root) -> Option<Rescue> {
    let disk = root.members().ok()?.pop()?.disk;
    let is_there = !crate::drive::rescue_partitions(root, &[disk]).is_empty();
    is_there.then(|| Rescue { config: "c = 1\n".to_owned(), host: "laptop".to_owned(), program: None })
}

/// One run on a host with these faults. What it says of the drive has to be true, if somebody hears it (S8).
pub fn disturbed_run(host: &Host, faults: Vec<(Place, Fault)>) -> Result<(), String> {
    let faulty = Faulty::new(host, faults);
    let summary = run(&faulty, &host.drives.root());
    let Ok(Summary { unplug: Unplug::Safe { powered_off }, .. }) = summary else { return Ok(()) };
    let pool = &host.state().pools["backup"];
    match (&pool.imported, powered_off && host.drives.is_attached()) {
        (None, false) => Ok(()),
        other => Err(format!("“safe to unplug” is not true: {other:?}")),
    }
}

/// A run on a sound host, which must do everything.
pub fn clean_run(host: &Host) -> Summary {
    host.drives.plug_in();
    let summary = run(host, &host.drives.root());
    let summary = summary.unwrap_or_else(|error| panic!("{}", crate::execute::chain(&error)));
    assert_eq!((summary.failed, &summary.unplug), (0, &Unplug::Safe { powered_off: true }), "{summary:?}");
    assert!(!host.drives.is_attached());
    summary
}

/// A snapshot's name, guid, content and IV set.
type Seen = (String, u64, u64, Option<u64>);

/// What counts of a state: not when things were written, nor how datasets on the drive are numbered.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    drive: BTreeMap<String, Vec<Seen>>,
    records: BTreeMap<String, BTreeMap<String, String>>,
    bookmarks: BTreeMap<String, BTreeSet<String>>,
    holds: usize,
    unfinished: usize,
}

impl Outcome {
    /// Whether it is another one; if not, the first thing that differs.
    pub fn is(&self, wanted: &Self) -> Result<(), String> {
        let differs = |what: &str, came: &dyn std::fmt::Debug, wanted: &dyn std::fmt::Debug| {
            Err(format!("{what}: {came:?} instead of {wanted:?}"))
        };
        if self.drive != wanted.drive {
            return differs("on the drive", &self.drive, &wanted.drive);
        }
        if self.records != wanted.records {
            return differs("recorded there", &self.records, &wanted.records);
        }
        if self.bookmarks != wanted.bookmarks {
            return differs("bookmarks", &self.bookmarks, &wanted.bookmarks);
        }
        match (self.holds, self.unfinished) == (wanted.holds, wanted.unfinished) {
            true => Ok(()),
            false => differs(
                "holds and unfinished",
                &(self.holds, self.unfinished),
                &(wanted.holds, wanted.unfinished),
            ),
        }
    }
}

impl Outcome {
    /// Nothing is held, nothing is unfinished, and a dataset has one bookmark at most.
    pub fn is_tidy(&self) -> Result<(), String> {
        let several = self.bookmarks.iter().find(|(_, bookmarks)| bookmarks.len() > 1);
        match (self.holds, self.unfinished, several) {
            (0, 0, None) => Ok(()),
            left => Err(format!("left behind: holds, unfinished, bookmarks: {left:?}")),
        }
    }
}

/// What counts of a host's state.
pub fn outcome(state: &State) -> Outcome {
    let of = |pool: &'static str| state.datasets.iter().filter(move |(name, _)| name.starts_with(pool));
    let snapshots = |dataset: &Dataset| {
        dataset.snapshots.iter().map(|s| (s.name.clone(), s.guid, s.content, s.ivset)).collect()
    };
    let held = |dataset: &Dataset| dataset.snapshots.iter().map(|s| s.holds.len()).sum::<usize>();
    let unfinished = |dataset: &Dataset| dataset.partial.is_some() || dataset.written != 0;
    Outcome {
        drive: of("backup").map(|(name, dataset)| (name.clone(), snapshots(dataset))).collect(),
        records: of("backup").map(|(name, dataset)| (name.clone(), dataset.properties.clone())).collect(),
        bookmarks: of("rpool")
            .map(|(name, d)| (name.clone(), d.bookmarks.keys().cloned().collect()))
            .collect(),
        holds: state.datasets.values().map(held).sum(),
        unfinished: state.datasets.values().filter(|dataset| unfinished(dataset)).count(),
    }
}

/// What no run may break, wherever it stops: the source is as it was but for our marks, and what is on the drive can be
/// continued and was not lost while the source has it.
pub fn invariants_hold(before: &State, after: &State) -> Result<(), String> {
    for (name, old) in &before.datasets {
        let here = after.datasets.get(name);
        if name.starts_with("rpool") {
            let plain = |dataset: &Dataset| -> Vec<(String, u64)> {
                dataset.snapshots.iter().map(|snapshot| (snapshot.name.clone(), snapshot.guid)).collect()
            };
            if here.map(plain) != Some(plain(old)) {
                return Err(format!("the snapshots of {name} changed"));
            }
        }
    }
    let copies = after.datasets.iter().filter(|(name, _)| name.starts_with("backup/eds"));
    for (name, copy) in copies.filter(|(_, copy)| !copy.snapshots.is_empty()) {
        let Some(source) = source_of(after, copy) else { continue };
        let newest = copy.snapshots.last().map(|newest| newest.guid).unwrap_or_default();
        let known = source.snapshot(newest).is_some() || source.bookmarks.values().any(|b| b.guid == newest);
        if !known {
            return Err(format!("the newest snapshot of {name} is no base any more"));
        }
        if copy.written != 0 {
            return Err(format!("{name} was modified"));
        }
    }
    nothing_is_lost(before, after)
}

/// What the source still has stays on the drive once it is there, whatever it is called there by now.
fn nothing_is_lost(before: &State, after: &State) -> Result<(), String> {
    let on_drive = |state: &State| -> BTreeSet<u64> {
        let copies = state.datasets.iter().filter(|(name, _)| name.starts_with("backup"));
        copies.flat_map(|(_, copy)| copy.snapshots.iter().map(|snapshot| snapshot.guid)).collect()
    };
    let at_source: BTreeSet<u64> = after
        .datasets
        .iter()
        .filter(|(name, _)| name.starts_with("rpool"))
        .flat_map(|(_, dataset)| dataset.snapshots.iter().map(|snapshot| snapshot.guid))
        .collect();
    let now = on_drive(after);
    match on_drive(before).iter().find(|guid| at_source.contains(guid) && !now.contains(guid)) {
        Some(guid) => Err(format!("snapshot {guid}, which the source has, is gone from the drive")),
        None => Ok(()),
    }
}

/// The source that a copy has recorded, or that has its newest snapshot.
fn source_of<'a>(state: &'a State, copy: &Dataset) -> Option<&'a Dataset> {
    let recorded = copy.properties.get("org.zferry:source")?;
    state.datasets.values().find(|dataset| dataset.guid.to_string() == *recorded)
}
