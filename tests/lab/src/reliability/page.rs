//! The page.

use std::fmt::Write as _;

use crate::mutants::{self, Mutant};
use crate::results::Record;
use crate::soak::Progress;

use super::SIMULATIONS;
use super::found;
use super::table::{Counts, PHASES};

/// What is done to a command in the simulation.
const SIMULATED: [(&str, &str); 10] = [
    ("Fails", "it fails, and did nothing"),
    ("FailsAfterwards", "it fails, and did its work"),
    ("DoesNothing", "it succeeds, and did nothing"),
    ("Hangs", "it hangs, and did nothing"),
    ("HangsAfterwards", "it hangs, and did its work"),
    ("Garbage", "it prints something else"),
    ("HalfOfIt", "it prints half of it"),
    ("Cut", "a stream ends in the middle, in four ways; another command fails"),
    ("DiesBefore", "zferry dies before it"),
    ("DiesAfter", "zferry dies after it"),
];

/// What is done to a run on real ZFS.
const REAL: [(&str, &str); 9] = [
    ("KillBefore", "`kill -9` before the command"),
    ("KillAfter", "`kill -9` after it"),
    ("Kill", "`kill -9` in the middle"),
    ("CtrlC", "Ctrl-C"),
    ("Stop", "`systemctl stop`"),
    ("Pull", "cable pulled"),
    ("Cut", "power cut"),
    ("Writes", "the drive answers writes with errors"),
    ("Reads", "the drive answers reads with errors"),
];

/// What scenarios call the phases, where it is another word.
const ALSO: [(&str, &str); 6] = [
    ("list", "look"),
    ("protect", "bookmark"),
    ("reduce", "bookmark"),
    ("send", "send and receive"),
    ("receive", "send and receive"),
    ("power-off", "power off"),
];

const HEAD: &str = "# How reliable it is

Written by `cargo lab reliability` from what was run, and what came of it. Each number counts runs that ended well: everything that
must hold after a fault held, and the next run, without a word more than usual, brought everything over.

What must hold after each fault, wherever it strikes ([safety](safety.md) says more):

- The source is as it was: all its snapshots, no hold left behind once a run has gone through (S1, S12).
- What the drive had, it has, unless the source gave it up: each snapshot by its guid (S3, S4, S21).
- The newest snapshot of each copy can be continued from: the source has it, or a bookmark of it (S10).
- Nothing on the drive was rolled back or modified (S2).
- \"Safe to unplug\" was said only of a drive that was exported and, where said, powered off (S8).
- One run without a fault completes, and one after it finds nothing to do (S12).

On real ZFS also: the pool is exported, by all four labels read from outside; each snapshot has the guid and the IV set that it has on
the source; no hold and no partial receive is left. Where a run is struck at a command, or its drive fails, all files of all snapshots
are compared at the end as well, with the key loaded, by SHA-256.
";

/// docs/reliability.md.
pub fn page(results: &[Record], soaks: &[Progress]) -> String {
    let mut page = HEAD.to_owned();
    simulated(&mut page, results);
    real(&mut page, results);
    soaked(&mut page, soaks);
    others(&mut page, results);
    page.push_str(&found::section());
    page
}

fn simulated(page: &mut String, results: &[Record]) {
    let last = |what| results.iter().rfind(|record| record.what == what && record.passed);
    let records: Vec<&Record> = SIMULATIONS.iter().filter_map(|(what, _)| last(*what)).collect();
    if records.len() < SIMULATIONS.len() {
        page.push_str("\n## Simulated\n\nNot run in full yet: `cargo lab reliability --run`.\n");
        return;
    }
    let (mut counts, mut pairs, mut histories) = (Counts::default(), 0, Vec::new());
    for line in records.iter().flat_map(|record| &record.remarks) {
        let parts: Vec<&str> = line.split('\t').collect();
        let [kind, phase, number] = parts[..] else { continue };
        let number: u64 = number.parse().unwrap_or_default();
        match kind {
            "two at random" => pairs = pairs.max(number),
            "planned" => histories.push((phase, number)),
            fault => counts.add(fault, phase, number),
        }
    }
    let longest = histories.iter().max_by_key(|(_, cases)| *cases);
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n## Simulated\n\nA host in memory, whose ZFS keeps the rules of the contract (below). Each external command of four \
         runs (a first one,\na daily one that prunes, one that must prune first, one in which a placeholder gives way) meets each fault: {} runs.\n\n{}\n\
         Two such faults at random, in one run or in two: {pairs} runs.\n",
        counts.total(),
        counts.table(&SIMULATED)
    );
    if let Some((what, cases)) = longest {
        let _ = writeln!(
            page,
            "\nThe planner alone: all {what} snapshots that two sides can have, with every kind of selection, {cases} cases. Each plan \
             passed the\nindependent checker, did what the policy says, and left nothing to do; no refusal had a safe plan."
        );
    }
    let measured: Vec<String> = records.into_iter().map(measured).collect();
    let _ = writeln!(page, "\n{}", measured.join(" "));
}

fn real(page: &mut String, results: &[Record]) {
    let (mut counts, mut others) = (Counts::default(), 0_u64);
    let mut commits: Vec<&str> = Vec::new();
    for record in results.iter().filter(|record| record.passed) {
        for (fault, phase) in record.remarks.iter().filter_map(|remark| strike(remark)) {
            counts.add(fault, phase, 1);
            if commits.last() != Some(&record.commit.as_str()) {
                commits.push(&record.commit);
            }
        }
        others += u64::from(record.remarks.iter().any(|remark| remark.contains("after a restart")));
    }
    commits.sort_unstable();
    commits.dedup();
    let _ = write!(
        page,
        "\n## Real\n\nDebian with kernel ZFS, udev, systemd and udisks in emulated guests, a virtual USB drive: {} runs. A scenario \
         counts when it passed.\n\n{}\nIn {others} scenarios ZFS itself did not go on with the pool after a pull, as \
         [safety](safety.md) tells (S13); the run said so, and the next one\nafter the restart completed. Commits: {}.\n",
        counts.total(),
        counts.table(&REAL),
        if commits.is_empty() { "none yet".to_owned() } else { commits.join(", ") },
    );
}

/// A remark such as "Pull at import, …".
fn strike(remark: &str) -> Option<(&'static str, &'static str)> {
    let (fault, rest) = remark.split_once(" at ")?;
    let phase = rest.split([' ', ',', ';', ':']).next()?;
    let phase = ALSO.iter().find(|(word, _)| *word == phase).map_or(phase, |(_, phase)| phase);
    let fault = REAL.iter().find(|(name, _)| *name == fault)?.0;
    let phase = PHASES.iter().find(|name| **name == phase)?;
    Some((fault, phase))
}

fn soaked(page: &mut String, soaks: &[Progress]) {
    let rounds: u64 = soaks.iter().map(|soak| soak.rounds).sum();
    let compared: u64 = soaks.iter().map(|soak| soak.compared).sum();
    let _ = write!(
        page,
        "\n## Months of use\n\n`cargo lab soak`: two drives, one source that is written to, snapshotted, pruned, renamed, rolled back \
         and given new keys; in most\nrounds something happens to a backup at a moment drawn by lot. {rounds} rounds; all files of all \
         snapshots of a drive were compared\nwith the source's {compared} times.\n"
    );
    if rounds > 0 {
        page.push_str("\n| seed | rounds | what happened |\n|--:|--:|---|\n");
    }
    for soak in soaks {
        let faults: Vec<_> = soak.faults.iter().map(|(fault, times)| format!("{fault}: {times}")).collect();
        let _ = writeln!(page, "| {} | {} | {} |", soak.seed, soak.rounds, faults.join("; "));
    }
}

/// What else was asked, by the beginning of its name among the results.
const OTHERS: [(&str, &str); 2] = [
    ("the rules that the simulation keeps are those of zfs", "the contract, on ZFS"),
    ("fuzzing", "parsers of foreign text, given anything"),
];

/// What is put into a copy of the sources, for tests to notice.
const WRONG: [(&str, &str, &[Mutant]); 2] = [
    (mutants::BUG, "deliberate bugs of the planner, each to be noticed by its tests", mutants::ALL),
    (mutants::RULE, "rules switched off in the simulation, each to be missed by its case", mutants::RULES),
];

fn others(page: &mut String, results: &[Record]) {
    page.push_str("\n## What the above relies on\n\n| | | |\n|---|---|---|\n");
    for (beginning, words) in OTHERS {
        let mut newest: Vec<&Record> = Vec::new();
        for record in results.iter().filter(|record| record.what.to_lowercase().starts_with(beginning)) {
            newest.retain(|other| other.what != record.what);
            newest.push(record);
        }
        if newest.is_empty() {
            let _ = writeln!(page, "| {words} | not run yet | |");
        }
        for record in newest {
            let came = if record.passed { record.remarks.join("; ") } else { "FAILED".to_owned() };
            let _ = writeln!(page, "| {words} | {}: {came} | {} |", record.what, measured(record));
        }
    }
    noticed(page, results);
}

/// How many of those that there are today were caught, and by name those that were not, when they were tried last.
fn noticed(page: &mut String, results: &[Record]) {
    for (kind, words, all) in WRONG {
        let last = |mutant: &&Mutant| {
            results.iter().rfind(|record| record.what.strip_prefix(kind) == Some(mutant.name))
        };
        let tried: Vec<&Record> = all.iter().filter_map(|mutant| last(&mutant)).collect();
        if tried.is_empty() {
            let _ = writeln!(page, "| {words} | not run yet | |");
            continue;
        }
        let caught = tried.iter().filter(|record| record.passed).count();
        let missed: Vec<&str> =
            tried.iter().filter(|record| !record.passed).map(|record| record.what.as_str()).collect();
        let missed = if missed.is_empty() { String::new() } else { format!("; NOT: {}", missed.join("; ")) };
        let mut commits: Vec<&str> = tried.iter().map(|record| record.commit.as_str()).collect();
        commits.sort_unstable();
        commits.dedup();
        let minutes = tried.iter().map(|record| record.seconds).sum::<u64>().div_ceil(60);
        let _ = writeln!(
            page,
            "| {words} | {caught} of {}{missed} | Commit {}, {minutes} min. |",
            all.len(),
            commits.join(", ")
        );
    }
}

/// Where a number is from.
fn measured(record: &Record) -> String {
    format!("Commit {}, {} min.", record.commit, record.seconds.div_ceil(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(what: &str, passed: bool, remarks: &[&str]) -> Record {
        Record {
            what: what.to_owned(),
            commit: "abc".to_owned(),
            ended: 0,
            seconds: 61,
            passed,
            remarks: remarks.iter().map(|&remark| remark.to_owned()).collect(),
        }
    }

    #[test]
    fn only_what_passed_is_counted_and_other_remarks_are_not() {
        let results = [
            record("a", true, &["Pull at import", "KillBefore at power-off", "said at once"]),
            record("b", true, &["CtrlC at receive, 5 MB were there", "Pull at noon"]),
            record("c", false, &["Pull at import"]),
        ];
        let page = page(&results, &[]);
        assert!(page.contains("virtual USB drive: 3 runs"), "{page}");
        assert!(page.contains("| cable pulled | 1 |"), "{page}");
        assert!(page.contains("Not run in full yet"), "{page}");
    }

    #[test]
    fn a_bug_counts_by_what_came_of_it_last() {
        let [first, second] =
            [mutants::ALL[0].name, mutants::ALL[1].name].map(|name| format!("{}{name}", mutants::BUG));
        let gone = format!("{}of a planner long gone", mutants::BUG);
        let results = [
            record(&first, false, &[]),
            record(&first, true, &["by a test"]),
            record(&second, true, &[]),
            record(&second, false, &[]),
            record(&gone, true, &[]),
        ];
        let page = page(&results, &[]);
        assert!(page.contains(&format!("| 1 of {}; NOT: {second} |", mutants::ALL.len())), "{page}");
        assert!(page.contains("each to be missed by its case | not run yet"), "{page}");
    }

    #[test]
    fn the_simulation_tells_by_its_lines() {
        let lines = [
            "Hangs\thold\t13",
            "two at random\tany\t5000",
            "two at random\tany\t100000",
            "planned\thistories of up to 4\t9",
        ];
        let [faults, histories] = SIMULATIONS.map(|(what, _)| record(what, true, &lines));
        let half = page(std::slice::from_ref(&faults), &[]);
        assert!(half.contains("Not run in full yet"), "{half}");
        let page = page(&[faults, histories], &[]);
        assert!(page.contains("each fault: 26 runs") && page.contains("in two: 100000 runs"), "{page}");
        assert!(page.contains("all histories of up to 4 snapshots"), "{page}");
        assert!(page.contains("Commit abc, 2 min."), "{page}");
    }
}
