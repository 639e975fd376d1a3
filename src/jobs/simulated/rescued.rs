//! Runs on a drive with a rescue file system: whatever goes wrong with it, the backup is whole and the pool exported.

use crate::event::Unplug;
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty, Place};
use crate::sim::state::State;

use super::faults::all_of;
use super::setting::{a_day_passes, clean_run, new_host, outcome, run};

fn host_of(state: &State) -> Host {
    let host = Host::new(state.clone());
    host.drives.with_rescue();
    host
}

/// The commands of a run, and what comes of it.
fn undisturbed(before: &State) -> (Vec<Place>, State) {
    let host = host_of(before);
    let faulty = Faulty::new(&host, Vec::new());
    let summary = run(&faulty, &host.drives.root()).unwrap();
    // That the parent has no snapshot, as in every run here.
    assert_eq!((summary.failed, summary.warnings), (0, 1), "{summary:?}");
    (faulty.given(), host.state())
}

/// Of the rescue file system only.
fn is_its((command, _): &Place) -> bool {
    command.starts_with("mount ") || command.starts_with("umount ")
}

fn disturb(before: &State, wanted: &State, at: &Place, fault: Fault) -> Result<(), String> {
    let host = host_of(before);
    let summary = run(&Faulty::new(&host, vec![(at.clone(), fault)]), &host.drives.root());
    let summary = summary.map_err(|error| crate::execute::chain(&error))?;
    if !matches!(fault, Fault::DiesBefore | Fault::DiesAfter) {
        if summary.failed != 0 {
            return Err(format!("the backup failed: {summary:?}"));
        }
        outcome(&host.state()).is(&outcome(wanted))?;
        let imported = host.state().pools["backup"].imported.is_some();
        let mounted = !host.drives.mounts().is_empty();
        // It is safe exactly when nothing of the disk is in use.
        match (&summary.unplug, imported, mounted) {
            (Unplug::Safe { powered_off: true }, false, false) => {}
            (Unplug::OthersInUse { what }, false, true) if what.contains("rescue file system") => {}
            other => return Err(format!("{other:?}")),
        }
    }
    host.drives.plug_in();
    clean_run(&host);
    if host.drives.mounts().is_empty() { Ok(()) } else { Err("it is still mounted".to_owned()) }
}

#[test]
fn a_fault_at_the_rescue_file_system_is_a_warning() {
    let host = new_host();
    clean_run(&host);
    host.change(a_day_passes);
    let before = host.state();
    let (commands, wanted) = undisturbed(&before);
    let its: Vec<_> = commands.iter().filter(|place| is_its(place)).collect();
    assert_eq!(its.len(), 2, "{commands:?}");
    let all: Vec<_> = its.into_iter().flat_map(|at| Fault::ALL.map(|fault| (at, fault))).collect();
    all_of(all.len(), |number| {
        let (at, fault) = all[number];
        disturb(&before, &wanted, at, fault).map_err(|why| format!("{fault:?} at {at:?}: {why}"))
    });
}

#[test]
fn what_a_desktop_has_mounted_is_unmounted_before_the_drive_is_let_go() {
    let host = new_host();
    host.drives.with_rescue();
    host.automount("/media/anna/RESCUE-t7");
    clean_run(&host);
    assert_eq!(host.drives.mounts(), "");
}

/// The commands that only a run on such a drive has: what it looks at again, mounts and unmounts.
#[test]
fn after_a_fault_at_any_command_of_its_own_the_next_run_completes_and_nothing_stays_mounted() {
    let before = new_host().state();
    let (commands, _) = undisturbed(&before);
    let without = {
        let host = Host::new(before.clone());
        let faulty = Faulty::new(&host, Vec::new());
        run(&faulty, &host.drives.root()).unwrap();
        faulty.given()
    };
    let its = commands.iter().filter(|place| !without.contains(place));
    let all: Vec<_> = its.flat_map(|at| Fault::ALL.map(|fault| (at, fault))).collect();
    assert!(all.len() >= 5 * Fault::ALL.len(), "{commands:?}");
    all_of(all.len(), |number| {
        let (at, fault) = all[number];
        let host = host_of(&before);
        let _ = run(&Faulty::new(&host, vec![(at.clone(), fault)]), &host.drives.root());
        host.drives.plug_in();
        clean_run(&host);
        let left = host.drives.mounts();
        if left.is_empty() { Ok(()) } else { Err(format!("{fault:?} at {at:?}: still mounted: {left}")) }
    });
}
