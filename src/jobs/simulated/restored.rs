//! The way back: the computer is gone, what the drive has becomes its datasets again, and normal runs go on from there.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::request::{Common, Form, Format, RestoreRequest, Verbosity, Wait};
use crate::config::{Backup, Drive, PowerOff};
use crate::drive::Root;
use crate::event::{Silence, Summary};
use crate::execute::files::{Ask, NotTyped, Secret};
use crate::jobs::{Environment, JobError, restore};
use crate::model::{DatasetName, Prune};
use crate::plan::NotRestored;
use crate::plan::testing::name;
use crate::process::{Cancel, Runner};
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty};
use crate::sim::mounts::PASSPHRASE;
use crate::sim::state::State;
use crate::state::Store;
use crate::zfs::argv;

use super::faults::all_of;
use super::setting::{DRIVE, a_day_passes, clean_run, new_host, the_parent_is_snapshotted};

fn request(into: &str) -> RestoreRequest {
    let backup = Backup::new("home".into(), name("rpool/nixos"), name("backup/eds"), Prune::Mirror);
    let common = Common {
        format: Format::Human,
        verbosity: Verbosity::Normal,
        command: "zferry".into(),
        host: "laptop".into(),
        warnings: Vec::new(),
    };
    let drive = Drive {
        luks: None,
        name: name("t7"),
        pool: name("backup"),
        guid: DRIVE,
        power_off: PowerOff::Yes,
        rescue: None,
        replug_wait: Duration::ZERO,
        scrub: None,
        rehearse: None,
        min_interval: crate::config::MIN_INTERVAL,
        warn_after: None,
        alerts: crate::model::Alerts::default(),
        backups: vec![backup.clone()],
    };
    let retry = format!("zferry restore t7 home --into {into}");
    let (from, form) = (None, Form::Raw);
    RestoreRequest {
        common,
        drive,
        backup,
        into: name(into),
        from,
        form,
        wait: Wait::For(Duration::ZERO),
        retry,
    }
}

fn restore_through(runner: &dyn Runner, root: &Root, into: &str) -> Result<Summary, JobError> {
    restore_as(&request(into), runner, root)
}

/// Types the passphrase of everything on this host.
struct Typist;

impl Ask for Typist {
    fn ask(&mut self, _: &DatasetName, _: bool) -> Result<Secret, NotTyped> {
        Ok(Secret::new(PASSPHRASE.as_bytes().to_vec()))
    }
}

fn restore_as(request: &RestoreRequest, runner: &dyn Runner, root: &Root) -> Result<Summary, JobError> {
    let directory = tempfile::tempdir().unwrap();
    let (cancel, store) = (Cancel::new(), Store::new(directory.path().join("state")));
    let env = Environment {
        runner,
        cancel: &cancel,
        root,
        sink: &Silence,
        ask: &crate::execute::luks::nobody,
        clock: &|| Timestamp::from_second(1_800_000_000).unwrap(),
        zone: &jiff::tz::TimeZone::UTC,
        store: &store,
        locks: directory.path(),
        ending: &|_| crate::live::Ending::default(),
        interactive: false,
    };
    restore::restore_within(request, &env, Duration::ZERO, &mut Typist)
}

fn restored(host: &Host, into: &str) -> Summary {
    host.drives.plug_in();
    let summary = restore_through(host, &host.drives.root(), into).unwrap();
    assert_eq!(summary.failed, 0, "{summary:?}");
    summary
}

/// Backed up, and then another computer: its pool has the name, and none of the datasets.
fn on_a_new_computer() -> State {
    let host = new_host();
    host.change(|state| {
        let home = &mut state.datasets.get_mut("rpool/nixos/home").unwrap().properties;
        let set = [("mountpoint", "/home"), ("compression", "zstd"), ("my:own", "1"), ("canmount", "noauto")];
        home.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
    });
    clean_run(&host);
    host.change(a_day_passes);
    clean_run(&host);
    host.change(the_parent_is_snapshotted);
    clean_run(&host);
    host.change(|state| state.datasets.retain(|name, _| !name.starts_with("rpool/nixos")));
    host.state()
}

/// A dataset's place, and of each snapshot the name, guid, content and IV set.
type Seen = (String, Vec<(String, u64, u64, Option<u64>)>);

/// Each dataset below, with its snapshots.
fn below(state: &State, top: &str) -> Vec<Seen> {
    let seen = |s: &crate::sim::state::Snapshot| (s.name.clone(), s.guid, s.content, s.ivset);
    let tree = state.tree(top);
    let dataset = |name: &String| {
        (name[top.len()..].to_owned(), state.datasets[name].snapshots.iter().map(seen).collect())
    };
    tree.iter().map(dataset).collect()
}

#[test]
fn what_is_restored_is_the_copy_and_the_next_run_sends_only_what_is_new() {
    let host = Host::new(on_a_new_computer());
    let before = host.state();
    let summary = restored(&host, "rpool/nixos");
    assert_eq!((summary.done, summary.snapshots > 8), (4, true), "{summary:?}");
    let after = host.state();
    assert_eq!(below(&after, "rpool/nixos"), below(&before, "backup/eds"));
    assert_eq!(below(&after, "backup"), below(&before, "backup"), "the drive was only read");
    let usable = |(_, dataset): &(&String, &crate::sim::state::Dataset)| {
        !dataset.properties.contains_key("readonly") && !dataset.properties.contains_key("volmode")
    };
    assert!(after.datasets.iter().filter(|(name, _)| name.starts_with("rpool/nixos")).all(|d| usable(&d)));

    // What mounts nothing is as it was; the place in the tree is left to a person.
    let home = &after.datasets["rpool/nixos/home"].properties;
    let set = |name: &str| home.get(name).map(String::as_str);
    assert_eq!(
        [set("compression"), set("my:own"), set("canmount")],
        [Some("zstd"), Some("1"), Some("noauto")]
    );
    assert_eq!([set("mountpoint"), set(argv::PROPERTY_SETTINGS)], [None, None]);

    let next = clean_run(&host);
    assert_eq!((next.snapshots, next.pruned, next.sent.0), (0, 0, 0), "{next:?}");
    host.change(|state| {
        state.take_snapshot("rpool/nixos/home", "day9", 1 << 20);
        state.destroy_snapshot("rpool/nixos/home", "day4");
    });
    let third = clean_run(&host);
    assert_eq!((third.snapshots, third.pruned), (1, 1), "{third:?}");
}

#[test]
fn nothing_is_restored_over_something_else() {
    let host = Host::new(on_a_new_computer());
    host.change(|state| {
        state.add_dataset("rpool/other", None);
        state.add_dataset("rpool/tree", None);
        state.add_dataset("rpool/tree/vm", None);
    });
    for (into, in_the_way) in [("rpool/other", "rpool/other"), ("rpool/tree", "rpool/tree")] {
        host.drives.plug_in();
        let before = host.state();
        let error = restore_through(&host, &host.drives.root(), into).unwrap_err();
        let expected = NotRestored::Exists(name(in_the_way));
        assert!(matches!(&error, JobError::NotRestored(why) if *why == expected), "{error}");
        assert_eq!(below(&host.state(), "rpool"), below(&before, "rpool"));
    }
    let error = restore_through(&host, &host.drives.root(), "tank/home").unwrap_err();
    assert!(matches!(&error, JobError::NotImported(pool) if pool == "tank"), "{error}");
}

#[test]
fn what_was_restored_and_is_in_use_is_not_touched_again() {
    let host = Host::new(on_a_new_computer());
    restored(&host, "rpool/nixos");
    assert_eq!(restored(&host, "rpool/nixos").snapshots, 0);
    host.change(|state| state.datasets.get_mut("rpool/nixos/home").unwrap().written = 5);
    let error = restore_through(&host, &host.drives.root(), "rpool/nixos").unwrap_err();
    assert!(matches!(error, JobError::NotRestored(NotRestored::InUse { .. })), "{error}");
}

#[test]
fn after_a_fault_at_any_command_the_same_command_finishes_it() {
    let before = on_a_new_computer();
    let host = Host::new(before.clone());
    host.drives.plug_in();
    let faulty = Faulty::new(&host, Vec::new());
    restore_through(&faulty, &host.drives.root(), "rpool/nixos").unwrap();
    let commands = faulty.given();
    let wanted = below(&host.state(), "rpool");
    let all: Vec<_> = commands.iter().flat_map(|at| Fault::ALL.map(|fault| (at, fault))).collect();
    all_of(all.len(), |number| {
        let (at, fault) = &all[number];
        let host = Host::new(before.clone());
        host.drives.plug_in();
        let faulty = Faulty::new(&host, vec![((*at).clone(), *fault)]);
        let _ = restore_through(&faulty, &host.drives.root(), "rpool/nixos");
        host.drives.plug_in();
        let again = restore_through(&host, &host.drives.root(), "rpool/nixos");
        let explained = |why: String| format!("{fault:?} at {at:?}: {why}");
        let again = again.map_err(|error| explained(crate::execute::chain(&error)))?;
        let (now, drive) = (below(&host.state(), "rpool"), below(&host.state(), "backup"));
        match (again.failed, now == wanted, drive == below(&before, "backup")) {
            (0, true, true) => Ok(()),
            other => Err(explained(format!("{other:?}: {now:?}"))),
        }
    });
}

/// Beside what is in use, which has the same snapshots.
#[test]
fn one_snapshot_comes_back_beside_what_is_in_use() {
    let host = new_host();
    clean_run(&host);
    host.change(a_day_passes);
    clean_run(&host);
    let before = host.state();
    let wanted = before.datasets["backup/eds/home"].snapshots.first().unwrap().clone();
    host.drives.plug_in();
    let one = RestoreRequest { from: Some(format!("@{}", wanted.name)), ..request("rpool/old") };
    let summary = restore_as(&one, &host, &host.drives.root()).unwrap();
    assert_eq!(summary.failed, 0, "{summary:?}");
    let after = host.state();
    let there =
        |name: &str| after.datasets[name].snapshots.iter().map(|s| (s.guid, s.content)).collect::<Vec<_>>();
    assert_eq!(there("rpool/old/home"), [(wanted.guid, wanted.content)]);
    assert_eq!(below(&after, "backup"), below(&before, "backup"), "the drive was only read");
    assert_eq!(below(&after, "rpool/nixos"), below(&before, "rpool/nixos"));

    // The same again has nothing to do; another snapshot has no place there.
    host.drives.plug_in();
    let again = restore_as(&one, &host, &host.drives.root()).unwrap();
    assert_eq!((again.failed, again.snapshots), (0, 0), "{again:?}");
    host.drives.plug_in();
    let error = restore_as(&request("rpool/old"), &host, &host.drives.root()).unwrap_err();
    assert!(matches!(error, JobError::NotRestored(NotRestored::Exists(_))), "{error}");
    host.drives.plug_in();
    let none = RestoreRequest { from: Some("day99".into()), ..request("rpool/none") };
    let error = restore_as(&none, &host, &host.drives.root()).unwrap_err();
    assert!(error.to_string().contains("“day99” is no snapshot of backup/eds"), "{error}");
}
