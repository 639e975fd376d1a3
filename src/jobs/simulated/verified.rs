//! `verify` on a host in memory: sound drives, damaged ones, and a fault at every command.

use jiff::Timestamp;

use crate::event::{Silence, Summary, Unplug};
use crate::jobs::{Environment, JobError, verify};
use crate::process::{Cancel, Runner};
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty};
use crate::sim::state::{Scrub, State};
use crate::state::Store;

use super::faults::{all_of, takes_long};
use super::setting::{a_day_passes, clean_run, new_host, verify_request};

fn verify_through(runner: &dyn Runner, host: &Host, cancel: &Cancel) -> Result<Summary, JobError> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(directory.path().join("state"));
    let (clock, root) = (|| Timestamp::from_second(1_800_000_000).unwrap(), host.drives.root());
    let env = Environment {
        runner,
        cancel,
        root: &root,
        sink: &Silence,
        ask: &crate::execute::luks::nobody,
        clock: &clock,
        zone: &jiff::tz::TimeZone::UTC,
        store: &store,
        locks: directory.path(),
        ending: &|_| crate::live::Ending::default(),
        interactive: false,
    };
    verify::verify(&verify_request(None), &env)
}

fn verified(host: &Host) -> Summary {
    host.drives.plug_in();
    let summary = verify_through(host, host, &Cancel::new()).unwrap();
    assert_eq!(summary.unplug, Unplug::Safe { powered_off: true });
    summary
}

fn backed_up(damaged: u64) -> State {
    let host = new_host();
    clean_run(&host);
    host.change(|state| state.pools.get_mut("backup").unwrap().damaged = damaged);
    host.state()
}

#[test]
fn damage_and_broken_chains_are_found_and_nothing_else() {
    let host = Host::new(backed_up(0));
    assert_eq!(verified(&host).failed, 0);
    host.change(a_day_passes);
    assert_eq!(verified(&host).failed, 0, "the bookmarks carry it");
    host.change(|state| state.pools.get_mut("backup").unwrap().damaged = 2);
    assert_eq!(verified(&host).failed, 1);
    host.change(|state| {
        state.pools.get_mut("backup").unwrap().damaged = 0;
        let home = state.datasets.get_mut("rpool/nixos/home").unwrap();
        home.bookmarks.clear();
        home.snapshots.retain(|snapshot| snapshot.name.as_str() > "day3");
    });
    assert_eq!(verified(&host).failed, 1, "its chain is broken");
}

#[test]
fn one_that_is_interrupted_is_paused_and_the_next_goes_on() {
    let host = Host::new(backed_up(0));
    let cancel = Cancel::new();
    cancel.request(2);
    let summary = verify_through(&host, &host, &cancel).unwrap();
    assert_eq!((summary.interrupted, summary.failed > 0), (true, true));
    assert!(matches!(host.state().pools["backup"].scrub, Scrub::Paused(_)));
    assert_eq!(verified(&host).failed, 0);
    // It was running when the drive was last exported.
    host.change(|state| state.pools.get_mut("backup").unwrap().scrub = Scrub::Running(1));
    assert_eq!(verified(&host).failed, 0);
}

#[test]
fn after_a_fault_at_any_command_no_damage_is_passed_over_and_the_next_one_completes() {
    let sound = backed_up(0);
    let host = Host::new(sound.clone());
    let faulty = Faulty::new(&host, Vec::new());
    host.drives.plug_in();
    verify_through(&faulty, &host, &Cancel::new()).unwrap();
    let commands = faulty.given();
    let all: Vec<_> = commands.iter().flat_map(|at| Fault::ALL.map(|fault| (at, fault))).collect();
    let all: Vec<_> = all.into_iter().filter(|(at, fault)| !takes_long(at, *fault)).collect();
    let damaged = backed_up(3);
    all_of(all.len(), |number| {
        let (at, fault) = all[number];
        for before in [&sound, &damaged] {
            let host = Host::new(before.clone());
            host.drives.plug_in();
            let faulty = Faulty::new(&host, vec![(at.clone(), fault)]);
            let explained = |why: &str| Err(format!("{fault:?} at {at:?}: {why}"));
            let result = verify_through(&faulty, &host, &Cancel::new());
            let pool = &host.state().pools["backup"];
            if let Ok(summary) = &result {
                if summary.failed == 0 && (pool.damaged > 0 || !matches!(pool.scrub, Scrub::Finished { .. }))
                {
                    return explained("it was called sound");
                }
                if matches!(summary.unplug, Unplug::Safe { .. }) && pool.imported.is_some() {
                    return explained("it was called safe");
                }
            }
            if verified(&host).failed != usize::from(before == &damaged) {
                return explained("the next one does not find what there is");
            }
            if host.state().datasets != before.datasets {
                return explained("datasets changed");
            }
        }
        Ok(())
    });
}
