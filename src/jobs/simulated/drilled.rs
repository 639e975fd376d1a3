//! `verify --drill` on a host in memory: sound copies, one that is another, and a fault at every command.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::config::request::DrillRequest;
use crate::event::{Event, Silence, Sink, Summary, Unplug};
use crate::execute::files::{Ask, NotTyped, Secret};
use crate::jobs::{Environment, JobError, files};
use crate::model::DatasetName;
use crate::process::{Cancel, Runner};
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty};
use crate::sim::mounts::PASSPHRASE;
use crate::sim::state::State;
use crate::state::Store;

use super::faults::{all_of, takes_long};
use super::setting::{clean_run, new_host, verify_request};

/// Types this whenever it is asked.
struct Person(&'static str);

impl Ask for Person {
    fn ask(&mut self, _dataset: &DatasetName, _again: bool) -> Result<Secret, NotTyped> {
        Ok(Secret::new(self.0.as_bytes().to_vec()))
    }
}

/// Whether it was said that there was nothing to compare with.
#[derive(Default)]
struct Told(AtomicBool);

impl Sink for Told {
    fn event(&self, event: Event) {
        if matches!(event, Event::Warning { text } if text.contains("not compared, since")) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// A host whose source is mounted below a directory.
struct Mounted {
    host: Host,
    directory: tempfile::TempDir,
}

impl Mounted {
    fn new(state: State) -> Self {
        let (host, directory) = (Host::new(state), tempfile::tempdir().unwrap());
        for dataset in ["rpool/nixos/home", "rpool/nixos/home/anna"] {
            host.show(dataset, directory.path());
        }
        host.drives.plug_in();
        Self { host, directory }
    }

    fn drill(
        &self,
        runner: &dyn Runner,
        types: &'static str,
        cancel: &Cancel,
        sink: &dyn Sink,
    ) -> Result<Summary, JobError> {
        let store = Store::new(self.directory.path().join("state"));
        let locks = self.directory.path().join("locks");
        let (clock, root) = (|| Timestamp::from_second(1_800_000_000).unwrap(), self.host.drives.root());
        let env = Environment {
            runner,
            cancel,
            root: &root,
            sink,
            ask: &crate::execute::luks::nobody,
            clock: &clock,
            zone: &jiff::tz::TimeZone::UTC,
            store: &store,
            locks: &locks,
            ending: &|_| crate::live::Ending::default(),
            interactive: false,
        };
        let which = DrillRequest::Some(None);
        files::drill(&verify_request(Some(which)), which, &env, &mut Person(types))
    }

    /// One on which nothing goes wrong: how many copies are not as they should be.
    fn clean(&self) -> usize {
        self.host.drives.plug_in();
        let summary = self.drill(&self.host, PASSPHRASE, &Cancel::new(), &Silence);
        let summary = summary.unwrap_or_else(|error| panic!("{}", crate::execute::chain(&error)));
        assert_eq!(summary.unplug, Unplug::Safe { powered_off: true });
        self.is_closed().unwrap();
        summary.failed
    }

    fn is_closed(&self) -> Result<(), String> {
        let state = self.host.state();
        let loaded = state.datasets.iter().find(|(name, dataset)| {
            name.starts_with("backup") && dataset.key.as_ref().is_some_and(|key| key.loaded)
        });
        match (&state.pools["backup"].imported, loaded, self.host.mounted_of("backup").len()) {
            (None, None, 0) => Ok(()),
            other => Err(format!("something is left open: {other:?}")),
        }
    }
}

fn backed_up() -> State {
    let host = new_host();
    clean_run(&host);
    host.state()
}

/// The copy has the guid of the source's snapshot, and other files.
fn forged(mut state: State) -> State {
    let copy = state.datasets.get_mut("backup/eds/home").unwrap();
    copy.snapshots.last_mut().unwrap().content += 1;
    state
}

#[test]
fn a_copy_that_is_another_is_found_and_a_sound_one_is_not() {
    let before = backed_up();
    let sound = Mounted::new(before.clone());
    assert_eq!(sound.clean(), 0);
    let datasets = sound.host.state().datasets.into_iter().filter(|(name, _)| name.starts_with("backup"));
    let unchanged = |(name, dataset): (String, _)| before.datasets.get(&name) == Some(&dataset);
    assert!(datasets.into_iter().all(unchanged), "the drive changed");
    assert_eq!(Mounted::new(forged(before)).clean(), 1);
}

#[test]
fn a_wrong_passphrase_and_ctrl_c_leave_nothing_open() {
    let host = Mounted::new(backed_up());
    let error = host.drill(&host.host, "wrong", &Cancel::new(), &Silence).unwrap_err();
    assert!(error.to_string().contains("wrong 3 times"), "{error}");
    host.is_closed().unwrap();
    host.host.drives.plug_in();
    let cancel = Cancel::new();
    cancel.request(2);
    host.drill(&host.host, PASSPHRASE, &cancel, &Silence).unwrap_err();
    host.is_closed().unwrap();
    assert_eq!(host.clean(), 0);
}

#[test]
fn after_a_fault_at_any_command_nothing_is_called_good_unread_and_the_next_drill_completes() {
    let sound = backed_up();
    let host = Mounted::new(sound.clone());
    let faulty = Faulty::new(&host.host, Vec::new());
    host.drill(&faulty, PASSPHRASE, &Cancel::new(), &Silence).unwrap();
    // The directory is another one in each test.
    let generic = |command: &str| command.replace(&host.directory.path().display().to_string(), "DIR");
    let commands: Vec<_> = faulty.given().iter().map(|(command, at)| (generic(command), *at)).collect();
    let all: Vec<_> = commands.iter().flat_map(|at| Fault::ALL.map(|fault| (at, fault))).collect();
    let all: Vec<_> = all.into_iter().filter(|(at, fault)| !takes_long(at, *fault)).collect();
    all_of(all.len(), |number| {
        let ((command, nth), fault) = all[number];
        for (before, wrong) in [(sound.clone(), 0), (forged(sound.clone()), 1)] {
            let host = Mounted::new(before.clone());
            let at = (command.replace("DIR", &host.directory.path().display().to_string()), *nth);
            let faulty = Faulty::new(&host.host, vec![(at.clone(), fault)]);
            let explained = |why: String| Err(format!("{fault:?} at {at:?}, {wrong}: {why}"));
            let told = Told::default();
            match host.drill(&faulty, PASSPHRASE, &Cancel::new(), &told) {
                Ok(summary) if summary.failed < wrong && !told.0.load(Ordering::Relaxed) => {
                    return explained("it was called good".to_owned());
                }
                Ok(Summary { unplug: Unplug::Safe { .. }, .. }) => {
                    host.is_closed().or_else(explained)?;
                }
                _ => {}
            }
            if host.clean() != wrong {
                return explained("the next one finds something else".to_owned());
            }
            let drive = |state: &State| -> Vec<_> {
                let all = state.datasets.clone().into_iter();
                all.filter(|(name, _)| name.starts_with("backup")).collect()
            };
            if drive(&host.host.state()) != drive(&before) {
                return explained("the drive changed".to_owned());
            }
        }
        Ok(())
    });
}
