//! Runs that end with a scrub: it is done when it is due, takes nothing back of the backup, and what it finds is told.

use std::time::Duration;

use crate::event::{Fault as Blame, Summary, Unplug};
use crate::jobs::JobError;
use crate::process::Runner;
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty};
use crate::sim::state::{Scrub, State};

use super::faults::{all_of, takes_long};
use super::setting::{a_day_passes, clean_run, invariants_hold, new_host, outcome, policy, run_and_scrub};

const NOW: i64 = 1_800_000_000;
const ALWAYS: Option<Duration> = Some(Duration::from_secs(1));
const SELDOM: Option<Duration> = Some(Duration::from_secs(100 * 365 * 24 * 3600));

fn run(runner: &dyn Runner, host: &Host, scrub: Option<Duration>) -> Result<Summary, JobError> {
    host.drives.plug_in();
    run_and_scrub(&policy(), NOW, (runner, &host.drives.root()), (Duration::ZERO, scrub))
}

fn clean(host: &Host, scrub: Option<Duration>) -> Summary {
    let summary = run(host, host, scrub).unwrap_or_else(|error| panic!("{}", crate::execute::chain(&error)));
    assert_eq!((summary.failed, &summary.unplug), (0, &Unplug::Safe { powered_off: true }), "{summary:?}");
    summary
}

fn scrub_of(host: &Host) -> Scrub {
    host.state().pools["backup"].scrub
}

/// A drive with a backup, and a day later.
fn a_day_later(damaged: u64) -> State {
    let host = new_host();
    clean_run(&host);
    host.change(a_day_passes);
    host.change(|state| state.pools.get_mut("backup").unwrap().damaged = damaged);
    host.state()
}

#[test]
fn a_drive_is_scrubbed_when_that_is_due_and_then_not_again() {
    let host = Host::new(a_day_later(0));
    clean(&host, None);
    assert_eq!(scrub_of(&host), Scrub::Never);
    assert_eq!(clean(&host, SELDOM).fault, Blame::None);
    let first = scrub_of(&host);
    assert!(matches!(first, Scrub::Finished { errors: 0, .. }), "{first:?}");
    clean(&host, SELDOM);
    assert_eq!(scrub_of(&host), first, "it is not due");
    clean(&host, ALWAYS);
    assert_ne!(scrub_of(&host), first);
    host.change(|state| state.pools.get_mut("backup").unwrap().scrub = Scrub::Paused(1));
    clean(&host, None);
    assert_eq!(scrub_of(&host), Scrub::Paused(1), "nobody asked for scrubs");
    clean(&host, SELDOM);
    assert!(matches!(scrub_of(&host), Scrub::Finished { .. }), "what was begun is finished");
}

#[test]
fn what_a_scrub_finds_does_not_make_the_backup_one_that_failed() {
    let host = Host::new(a_day_later(2));
    let summary = clean(&host, ALWAYS);
    assert_eq!((summary.fault, summary.failed, summary.interrupted), (Blame::Damage, 0, false));
    assert!(summary.snapshots > 0);
}

#[test]
fn after_a_fault_at_any_command_of_a_run_that_scrubs_the_next_one_completes() {
    let (sound, bad) = (a_day_later(0), a_day_later(3));
    let host = Host::new(sound.clone());
    let faulty = Faulty::new(&host, Vec::new());
    run(&faulty, &host, ALWAYS).unwrap();
    let commands = faulty.given();
    clean(&host, ALWAYS);
    let wanted = outcome(&host.state());
    let all: Vec<_> = commands.iter().flat_map(|at| Fault::ALL.map(|fault| (at, fault))).collect();
    let all: Vec<_> = all.into_iter().filter(|(at, fault)| !takes_long(at, *fault)).collect();
    all_of(all.len(), |number| {
        let (at, fault) = all[number];
        let explained = |why: String| format!("{fault:?} at {at:?}: {why}");
        // Every second one with a damaged drive, of every fault and of every command.
        let before = if (number / Fault::ALL.len() + number).is_multiple_of(2) { &sound } else { &bad };
        let host = Host::new(before.clone());
        let faulty = Faulty::new(&host, vec![(at.clone(), fault)]);
        let damaged = before.pools["backup"].damaged > 0;
        if let Ok(summary) = run(&faulty, &host, ALWAYS) {
            let imported = host.state().pools["backup"].imported.is_some();
            if matches!(summary.unplug, Unplug::Safe { .. }) && imported {
                return Err(explained("it was called safe".to_owned()));
            }
            if summary.fault == Blame::Damage && !damaged {
                return Err(explained("it was called damaged".to_owned()));
            }
        }
        invariants_hold(before, &host.state()).map_err(explained)?;
        let next = clean(&host, ALWAYS);
        if (next.fault == Blame::Damage) != damaged {
            return Err(explained(format!("the next one does not tell what there is: {next:?}")));
        }
        clean(&host, ALWAYS);
        outcome(&host.state()).is(&wanted).map_err(explained)?;
        Ok(())
    });
}
