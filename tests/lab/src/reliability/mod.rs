//! `cargo lab reliability`: docs/reliability.md, from what was run and what came of it. Nothing on that
//! page is written by hand but its sentences.

mod found;
mod page;
mod table;

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::host::{cargo, memory};
use crate::paths;
use crate::results::{self, Attempt, Record};
use crate::runner::{Selection, Trial};
use crate::scenarios;
use crate::soak;

/// The parts of the simulation: what each is called among the results, and which tests it is. Apart, because each takes the
/// better part of an hour.
pub const SIMULATIONS: [(&str, &str); 2] = [
    ("the simulation, in full: faults", "simulated::"),
    ("the simulation, in full: histories", "exhaustive::"),
];
/// What begins the lines that its tests print for this page.
const PRINTED: &str = "reliability\t";

/// Writes the page.
///
/// # Errors
/// When the results cannot be read, or the page cannot be written.
pub fn write() -> Result<()> {
    results::keep()?;
    soak::keep()?;
    let page = page::page(&results::all()?, &soak::all()?);
    let path = paths::repository()?.join("docs/reliability.md");
    std::fs::write(&path, page).with_context(|| format!("{} could not be written", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

/// The scenarios of the page that have not passed yet.
///
/// # Errors
/// When the results cannot be read.
pub fn missing() -> Result<Selection> {
    let results = results::all()?;
    let trials = scenarios::of_faults()
        .into_iter()
        .flat_map(|scenario| scenario.systems.iter().map(move |system| Trial { scenario, system }));
    let (left_out, chosen): (Vec<_>, Vec<_>) = trials.partition(|trial| has_passed(&results, &trial.title()));
    Ok(Selection { chosen, left_out: left_out.len() })
}

/// Runs the parts of the simulation that have not passed yet: every fault, very many pairs, all histories.
///
/// # Errors
/// When one cannot be run, or found something.
pub fn simulate() -> Result<()> {
    let results = results::all()?;
    SIMULATIONS.iter().filter(|(what, _)| !has_passed(&results, what)).try_for_each(part)
}

fn part((what, tests): &(&str, &str)) -> Result<()> {
    let arguments =
        ["test", "--release", "--quiet", "--lib", "--", "--nocapture", "--include-ignored", tests];
    eprintln!("lab: {what} (cargo {})", arguments.join(" "));
    let attempt = Attempt::with(results::commit());
    let mut command: Command = cargo::cargo()?;
    let _in_memory = memory::lent_to(&mut command);
    let output = command.args(arguments).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    // A test that is run with others may have printed a dot before.
    let told = |line: &str| line.split_once(PRINTED).map(|(_, rest)| rest.to_owned());
    let passed = output.status.success();
    attempt.came_to((*what).to_owned(), passed, printed.lines().filter_map(told).collect())?;
    ensure!(passed, "{what}: something was found:\n{printed}");
    Ok(())
}

fn has_passed(results: &[Record], what: &str) -> bool {
    results.iter().any(|record| record.what == what && record.passed)
}
