//! A fault at every command, and two at random: after each the invariants hold, and one clean run completes (S12).

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty, Place};
use crate::sim::state::State;

use super::setting::{
    a_day_passes, clean_run, disturbed_run, invariants_hold, new_host, outcome, run,
    the_drive_is_nearly_full, the_parent_is_snapshotted,
};

/// Hosts before a run: the first, one that sends and prunes, one that has to prune first, one that swaps a placeholder.
fn stages() -> [(&'static str, State); 4] {
    let host = new_host();
    let fresh = host.state();
    clean_run(&host);
    host.change(a_day_passes);
    let daily = host.state();
    let full = Host::new(daily.clone());
    full.change(the_drive_is_nearly_full);
    let full = full.state();
    clean_run(&host);
    host.change(the_parent_is_snapshotted);
    [("first run", fresh), ("daily run", daily), ("little room", full), ("swap", host.state())]
}

/// The commands of a run on which nothing goes wrong, and what comes of it. A second run tidies what can only be tidied
/// then: the name of a snapshot that was taken when it arrived.
fn undisturbed(before: &State) -> (Vec<Place>, State) {
    let host = Host::new(before.clone());
    let faulty = Faulty::new(&host, Vec::new());
    run(&faulty, &host.drives.root()).unwrap();
    let given = faulty.given();
    clean_run(&host);
    (given, host.state())
}

/// One run with these faults, then a clean one, and one that finds nothing to do but to tidy.
fn disturb(before: &State, wanted: &State, faults: &[(Place, Fault)]) -> Result<(), String> {
    let host = Host::new(before.clone());
    disturbed_run(&host, faults.to_vec())?;
    invariants_hold(before, &host.state())?;
    clean_run(&host);
    invariants_hold(before, &host.state())?;
    let last = clean_run(&host);
    if last.snapshots > 0 {
        return Err("a clean run did not send everything".to_owned());
    }
    outcome(&host.state()).is(&outcome(wanted))
}

/// A power-off that is accepted and does nothing is waited for: `drive/poweroff` tries that, with less patience.
pub(super) fn takes_long((command, _): &Place, fault: Fault) -> bool {
    command.starts_with("udisksctl") && matches!(fault, Fault::DoesNothing | Fault::Hangs)
}

/// Does so much work on as many threads as there are processors, and wants nothing to be wrong.
pub(super) fn all_of(total: usize, work: impl Fn(usize) -> Result<(), String> + Sync) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let take = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                break;
            }
            if let Err(why) = work(number) {
                failures.lock().unwrap().push(why);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(take))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {total}:\n{}", failures.len(), failures.join("\n"));
}

/// What a command of a run is there for, as docs/reliability.md names it.
fn phase(command: &str) -> &'static str {
    let has = |words: &str| command.contains(words);
    match command.split([' ', '-']).take(2).collect::<Vec<_>>()[..] {
        _ if has(" | zfs receive") => "send and receive",
        ["zpool", "import"] => "import",
        ["zpool", "sync" | "export"] => "export",
        ["udisksctl", _] => "power off",
        ["zfs", "hold"] => "hold",
        ["zfs", "release"] => "release",
        ["zfs", "set"] => "record",
        ["zfs", "bookmark"] => "bookmark",
        ["zfs", "program"] if has("program -j rpool") => "bookmark",
        ["zfs", "program"] => "prune",
        ["zfs", "destroy"] if has("#") => "bookmark",
        ["zfs", "list"] if has(" -d 0 ") || has("name,guid,ivsetguid") => "verify",
        ["zfs", "list" | "get" | "holds" | "version"] | ["zpool", "list" | "get" | "status" | "version"] => {
            "look"
        }
        _ => "rearrange",
    }
}

/// For `cargo lab reliability`: how many runs there were of each kind.
fn tell(counts: &BTreeMap<(String, &str), usize>) {
    for ((fault, phase), runs) in counts {
        println!("reliability\t{fault}\t{phase}\t{runs}");
    }
}

fn name_of(fault: Fault) -> String {
    match fault {
        Fault::Cut { .. } => "Cut".to_owned(),
        fault => format!("{fault:?}"),
    }
}

#[test]
fn after_a_fault_at_any_command_nothing_is_lost_and_the_next_run_completes() {
    let mut counts = BTreeMap::new();
    for (stage, before) in stages() {
        let (commands, wanted) = undisturbed(&before);
        let all = commands.iter().flat_map(|at| Fault::ALL.map(|fault| (at, fault)));
        let all: Vec<_> = all.filter(|(at, fault)| !takes_long(at, *fault)).collect();
        for ((command, _), fault) in &all {
            *counts.entry((name_of(*fault), phase(command))).or_default() += 1;
        }
        all_of(all.len(), |number| {
            let (at, fault) = all[number];
            let explained = |why| format!("{stage}, {fault:?} at {at:?}: {why}");
            disturb(&before, &wanted, &[(at.clone(), fault)]).map_err(explained)
        });
    }
    tell(&counts);
}

/// Found by pairs of faults: a release and the question whether it had an effect, both without one.
#[test]
fn a_hold_whose_release_and_whose_count_are_not_true_is_released_by_the_next_run() {
    for (stage, before) in stages() {
        let (commands, wanted) = undisturbed(&before);
        let with = |words: &'static str| commands.iter().filter(move |(command, _)| command.contains(words));
        let pairs: Vec<_> = with("zfs release")
            .flat_map(|release| {
                let asked = with("userrefs rpool").chain(with("zfs holds"));
                asked.map(move |count| [release.clone(), count.clone()])
            })
            .collect();
        assert!(!pairs.is_empty(), "{stage}: {commands:?}");
        for pair in pairs {
            let faults = pair.map(|place| (place, Fault::DoesNothing));
            disturb(&before, &wanted, &faults).unwrap_or_else(|why| panic!("{stage}, {faults:?}: {why}"));
        }
    }
}

/// So many pairs of faults in each run of the tests.
const PAIRS: usize = 5_000;
/// And with `cargo lab test --full`.
const PAIRS_IN_FULL: usize = 100_000;

/// Numbers that look like chance and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) % sides as u64).unwrap()
    }
}

/// Two faults: of one run, or each of a run of its own.
fn two_faults(stages: &[(&str, State, Vec<Place>)], number: usize) -> Result<(), String> {
    let mut dice = Dice(number as u64);
    let (stage, before, commands) = &stages[dice.roll(stages.len())];
    let mut fault = || (commands[dice.roll(commands.len())].clone(), Fault::ALL[dice.roll(Fault::ALL.len())]);
    let (first, second) = (fault(), fault());
    if takes_long(&first.0, first.1) || takes_long(&second.0, second.1) {
        return Ok(());
    }
    let runs = if dice.roll(2) == 0 { vec![vec![first, second]] } else { vec![vec![first], vec![second]] };
    let explained = |why: String| format!("pair {number}, {stage}, {runs:?}: {why}");
    let host = Host::new(before.clone());
    for faults in &runs {
        host.drives.plug_in();
        disturbed_run(&host, faults.clone()).map_err(explained)?;
        invariants_hold(before, &host.state()).map_err(explained)?;
    }
    clean_run(&host);
    invariants_hold(before, &host.state()).and_then(|()| outcome(&host.state()).is_tidy()).map_err(explained)
}

fn many_pairs(pairs: usize) {
    let stages = stages().map(|(stage, before)| {
        let (commands, _) = undisturbed(&before);
        (stage, before, commands)
    });
    all_of(pairs, |number| two_faults(&stages, number));
    println!("reliability\ttwo at random\tany\t{pairs}");
}

#[test]
fn after_two_faults_nothing_is_lost_and_the_next_run_completes() {
    many_pairs(PAIRS);
}

#[test]
#[ignore = "minutes: `cargo lab test --full` runs it"]
fn after_very_many_pairs_of_faults_nothing_is_lost_and_the_next_run_completes() {
    many_pairs(PAIRS_IN_FULL);
}
