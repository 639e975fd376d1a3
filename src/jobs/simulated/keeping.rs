//! Runs that take snapshots first, and keep by rules: on a sound host, and with a fault at every command.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{Summary, Unplug};
use crate::model::{Keep, Policy, Prune};
use crate::process::Runner;
use crate::sim::Host;
use crate::sim::fault::{Fault, Faulty, Place};
use crate::sim::state::State;

use super::faults::{all_of, takes_long};
use super::setting::{new_host, outcome, policy, run_as};

const HOME: &str = "rpool/nixos/home";
const NIGHT: i64 = 86_400;

fn last(last: u32) -> Keep {
    Keep { last, ..Keep::default() }
}

fn taking() -> Policy {
    Policy { own: Some(last(2)), prune: Prune::Keep(last(4)), prune_limit: 100, ..policy() }
}

/// The run of a day.
fn run(host: &Host, runner: &dyn Runner, day: i64) -> Option<Summary> {
    host.drives.plug_in();
    let at = 1_800_000_000 + day * NIGHT;
    run_as(&taking(), at, (runner, &host.drives.root()), Duration::ZERO).ok()
}

fn clean(host: &Host, day: i64) -> Summary {
    let summary = run(host, host, day).unwrap();
    assert_eq!((summary.failed, &summary.unplug), (0, &Unplug::Safe { powered_off: true }), "{summary:?}");
    outcome(&host.state()).is_tidy().unwrap();
    summary
}

fn names(host: &Host, dataset: &str) -> Vec<String> {
    host.state().datasets[dataset].snapshots.iter().map(|snapshot| snapshot.name.clone()).collect()
}

/// What zferry calls the snapshots of a day.
fn own(day: i64) -> String {
    let at = jiff::Timestamp::from_second(1_800_000_000 + day * NIGHT).unwrap();
    crate::plan::own_name(at).unwrap().to_string()
}

#[test]
fn each_run_takes_one_and_both_sides_keep_what_they_should() {
    let host = new_host();
    clean(&host, 1);
    let all: Vec<String> = ["day1", "day2", "day3"].map(str::to_owned).into();
    assert_eq!(names(&host, HOME), [all.clone(), vec![own(1)]].concat());
    assert_eq!(names(&host, "rpool/nixos"), [own(1)], "the parent had none");
    assert_eq!(names(&host, "backup/eds/home"), names(&host, HOME));
    let second = clean(&host, 2);
    assert_eq!((second.snapshots, second.pruned), (4, 3), "one of each that had three already");
    clean(&host, 3);
    clean(&host, 4);
    assert_eq!(names(&host, HOME), [all, vec![own(3), own(4)]].concat());
    assert_eq!(names(&host, "backup/eds/home"), [own(1), own(2), own(3), own(4)]);
    // All of one run are of one moment.
    let txg = |dataset: &str| host.state().datasets[dataset].named(&own(4)).unwrap().txg;
    assert!(["rpool/nixos/vm", "rpool/nixos", HOME].iter().all(|dataset| txg(dataset) == txg(HOME)));
}

#[test]
fn one_that_was_renamed_or_only_has_such_a_name_is_the_users() {
    let host = new_host();
    clean(&host, 1);
    host.change(|state| {
        let home = state.datasets.get_mut(HOME).unwrap();
        home.snapshots.iter_mut().filter(|s| s.name == own(1)).for_each(|s| s.name = own(-9));
        state.take_snapshot("rpool/nixos/vm", &own(-7), 1);
    });
    (2..=5).for_each(|day| drop(clean(&host, day)));
    assert!(names(&host, HOME).contains(&own(-9)));
    assert!(names(&host, "rpool/nixos/vm").contains(&own(-7)));
    assert_eq!(names(&host, "rpool/nixos"), [own(4), own(5)]);
}

/// What others made on the source.
fn of_others(state: &State) -> BTreeMap<String, Vec<u64>> {
    let datasets = state.datasets.iter().filter(|(name, _)| name.starts_with("rpool"));
    let others = datasets.map(|(name, dataset)| {
        let others = dataset.snapshots.iter().filter(|s| !s.name.starts_with("zferry_"));
        (name.clone(), others.map(|s| s.guid).collect())
    });
    others.collect()
}

/// One run with a fault, then two on which nothing goes wrong.
fn disturb(before: &State, at: &Place, fault: Fault) -> Result<(), String> {
    let host = Host::new(before.clone());
    let summary = run(&host, &Faulty::new(&host, vec![(at.clone(), fault)]), 4);
    let state = host.state();
    if of_others(&state) != of_others(before) {
        return Err("what others made on the source changed".to_owned());
    }
    let taken = state.datasets[HOME].named(&own(4)).is_some();
    let told = summary.is_none_or(|summary| summary.failed > 0 || summary.interrupted);
    // A run that begins at all takes one or says so.
    if !taken && !told {
        return Err("no snapshot was taken, and nobody was told".to_owned());
    }
    clean(&host, 5);
    clean(&host, 6);
    let wanted = [own(5), own(6)];
    let here: Vec<_> = names(&host, HOME).into_iter().filter(|name| name.starts_with("zferry_")).collect();
    let there = names(&host, "backup/eds/home");
    match (here == wanted, there.len(), there.ends_with(&wanted)) {
        (true, 4, true) => Ok(()),
        _ => Err(format!("here {here:?}, there {there:?}")),
    }
}

#[test]
fn after_a_fault_at_any_command_only_our_own_went_and_the_next_runs_complete() {
    let host = new_host();
    (1..=3).for_each(|day| drop(clean(&host, day)));
    let before = host.state();
    let faulty = Faulty::new(&host, Vec::new());
    run(&host, &faulty, 4).unwrap();
    let commands = faulty.given();
    assert!(commands.iter().any(|(command, _)| command.starts_with("zfs snapshot -o")));
    assert!(commands.iter().any(|(command, _)| command.starts_with("zfs program -j rpool")));
    let all = commands.iter().flat_map(|at| Fault::ALL.map(|fault| (at, fault)));
    let all: Vec<_> = all.filter(|(at, fault)| !takes_long(at, *fault)).collect();
    all_of(all.len(), |number| {
        let (at, fault) = all[number];
        disturb(&before, at, fault).map_err(|why| format!("{fault:?} at {at:?}: {why}"))
    });
}
