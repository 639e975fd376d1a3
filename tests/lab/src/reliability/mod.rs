//! `cargo lab reliability`: docs/reliability.md, from what was run and what came of it. Nothing on that
//! page is written by hand but its sentences.

mod found;
mod page;
mod table;

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::host::cargo;
use crate::paths;
use crate::results::{self, Attempt, Record};
use crate::runner::{Selection, Trial};
use crate::scenarios;
use crate::soak;

/// What the simulation is called among the results.
pub const SIMULATION: &str = "the simulation, in full";
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

/// Runs the simulation in full, unless that was done: every fault, very many pairs, all histories.
///
/// # Errors
/// When it cannot be run, or found something.
pub fn simulate() -> Result<()> {
    if has_passed(&results::all()?, SIMULATION) {
        return Ok(());
    }
    let arguments = [
        "test",
        "--release",
        "--quiet",
        "--lib",
        "--",
        "--nocapture",
        "--include-ignored",
        "simulated::",
        "exhaustive::",
    ];
    eprintln!("lab: {SIMULATION} (cargo {})", arguments.join(" "));
    let attempt = Attempt::with(results::commit());
    let mut command: Command = cargo::cargo()?;
    let output = command.args(arguments).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    // A test that is run with others may have printed a dot before.
    let told = |line: &str| line.split_once(PRINTED).map(|(_, rest)| rest.to_owned());
    let passed = output.status.success();
    attempt.came_to(SIMULATION.to_owned(), passed, printed.lines().filter_map(told).collect())?;
    ensure!(passed, "the simulation found something:\n{printed}");
    Ok(())
}

fn has_passed(results: &[Record], what: &str) -> bool {
    results.iter().any(|record| record.what == what && record.passed)
}
