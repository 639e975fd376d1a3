//! Deliberate bugs of the planner. Each is put into a copy of the sources, whose tests must fail: what they would not
//! notice, nobody would.

mod list;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::host::cargo;
use crate::paths;
use crate::results::{self, Attempt};

pub use list::ALL;

/// One bug.
#[derive(Debug)]
pub struct Mutant {
    /// What is wrong with it, as a sentence.
    pub name: &'static str,
    /// The file that it is in.
    pub file: &'static str,
    /// What stands there, once.
    pub is: &'static str,
    /// What would stand there.
    pub becomes: &'static str,
}

/// The tests that have to notice: all of the planner.
const TESTS: [&str; 3] = ["test", "--quiet", "--lib"];
const PLANNER: &str = "plan::";
const CONTRACT: &str = "sim::contract";
/// Those that take a minute are asked only when the others noticed nothing.
const LONG: &str = "plan::tests::exhaustive::every_short";
/// Those that take minutes are not asked.
const LONGER: &str = "plan::tests::exhaustive";

/// Tries those whose name contains the filter, all without one, and says which of them were caught by what: the planner's
/// bugs by its tests, the simulation without a rule by the case of that rule.
///
/// # Errors
/// When one was not caught, or could not be tried.
pub fn hunt(filter: Option<&str>) -> Result<()> {
    let attempt = Attempt::with(results::commit());
    let copy = Copy::make()?;
    let sound = copy.test(&["--", "--skip", LONGER, PLANNER, CONTRACT])?;
    ensure!(sound.passed, "the tests fail without any deliberate bug:\n{}", sound.printed);
    let chosen = |mutant: &&Mutant| filter.is_none_or(|filter| mutant.name.contains(filter));
    let mut count = Count::default();
    for mutant in ALL.iter().filter(chosen) {
        let by = copy.with(mutant)?;
        count.add(mutant, (!by.is_empty()).then(|| format!("{} tests, such as {}", by.len(), by[0])));
    }
    println!("\n{} of {} deliberate bugs of the planner were caught", count.caught, count.all());
    let note = |what: &str, count: &Count| match filter {
        Some(_) => Ok(()),
        None => attempt.came_to(what.to_owned(), count.missed.is_empty(), vec![count.told()]),
    };
    note("deliberate bugs", &count)?;
    let mut missed = count.missed;
    let mut count = Count::default();
    for rule in rules::ALL.iter().filter(chosen) {
        let run = copy.broken(rule, |copy| copy.test(&[CONTRACT]))?;
        count.add(rule, run.printed.contains(&format!(" {}] ", rule.name)).then(|| "its case".to_owned()));
    }
    println!(
        "\n{} of {} rules that were switched off in the simulation were missed there",
        count.caught,
        count.all()
    );
    note("rules switched off", &count)?;
    missed.extend(count.missed);
    ensure!(missed.is_empty(), "not caught: {}", missed.join("; "));
    Ok(())
}

/// What came of it.
#[derive(Default)]
struct Count {
    caught: usize,
    missed: Vec<&'static str>,
}

impl Count {
    fn add(&mut self, mutant: &Mutant, by: Option<String>) {
        match by {
            Some(by) => {
                self.caught += 1;
                println!("caught  {} (by {by})", mutant.name);
            }
            None => {
                self.missed.push(mutant.name);
                println!("MISSED  {} ({})", mutant.name, mutant.file);
            }
        }
    }

    fn all(&self) -> usize {
        self.caught + self.missed.len()
    }

    fn told(&self) -> String {
        format!("{} of {}", self.caught, self.all())
    }
}

/// The sources, where they may be broken.
struct Copy {
    directory: PathBuf,
}

/// What a run of the tests came to.
struct Run {
    passed: bool,
    printed: String,
}

impl Copy {
    /// Copies what is in the work tree, built or not. Its build is kept between the bugs and between hunts.
    fn make() -> Result<Self> {
        let (from, directory) = (paths::repository()?, paths::cache()?.join("mutants"));
        let sources = directory.join("sources");
        if sources.exists() {
            fs::remove_dir_all(&sources)?;
        }
        for part in ["src", "tests", "docs", ".cargo"] {
            copy_all(&from.join(part), &sources.join(part))?;
        }
        for file in ["Cargo.toml", "Cargo.lock"] {
            fs::copy(from.join(file), sources.join(file))?;
        }
        Ok(Self { directory })
    }

    /// The tests that caught it.
    fn with(&self, mutant: &Mutant) -> Result<Vec<String>> {
        let run = self.broken(mutant, |copy| {
            let run = copy.test(&[PLANNER, "--", "--skip", LONGER])?;
            if run.passed { copy.test(&[LONG]) } else { Ok(run) }
        })?;
        let by = failures(&run.printed);
        if !run.passed && by.is_empty() {
            bail!("“{}” could not be tried:\n{}", mutant.name, run.printed);
        }
        Ok(by)
    }

    /// Does something while the sources are broken in this way.
    fn broken(&self, mutant: &Mutant, body: impl FnOnce(&Self) -> Result<Run>) -> Result<Run> {
        let path = self.directory.join("sources").join(mutant.file);
        let sound = fs::read_to_string(&path)?;
        fs::write(&path, sound.replacen(mutant.is, mutant.becomes, 1))?;
        let run = body(self);
        fs::write(&path, sound)?;
        run.with_context(|| format!("“{}” could not be tried", mutant.name))
    }

    fn test(&self, which: &[&str]) -> Result<Run> {
        let output = self.cargo()?.args(TESTS).args(which).output().context("cannot start cargo")?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        Ok(Run { passed: output.status.success(), printed })
    }

    fn cargo(&self) -> Result<Command> {
        let mut command = cargo::cargo()?;
        let sources = self.directory.join("sources");
        command.current_dir(sources).env("CARGO_TARGET_DIR", self.directory.join("target"));
        // What a failed test says of where it failed is not wanted a thousand times.
        command.env("RUST_BACKTRACE", "0");
        // Each bug is compiled once, and noticed at once by most: optimising costs more than it brings.
        command.env("CARGO_PROFILE_TEST_OPT_LEVEL", "0");
        Ok(command)
    }
}

/// The tests that failed, by what cargo lists at its end. None when nothing could be compiled.
fn failures(printed: &str) -> Vec<String> {
    let lines = printed.lines().map(str::trim).filter(|line| line.starts_with(PLANNER));
    let mut names: Vec<String> =
        lines.filter(|line| !line.contains(' ')).map(|line| line.replacen(PLANNER, "", 1)).collect();
    names.sort();
    names.dedup();
    names
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{ALL, failures};

    #[test]
    fn every_bug_can_still_be_made() {
        let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        for mutant in ALL.iter().chain(super::rules::ALL) {
            let source = std::fs::read_to_string(format!("{repository}/{}", mutant.file)).unwrap();
            assert_eq!(source.matches(mutant.is).count(), 1, "{}", mutant.name);
            assert_ne!(mutant.is, mutant.becomes, "{}", mutant.name);
        }
        assert!(ALL.len() >= 20);
    }

    #[test]
    fn every_rule_of_the_contract_can_be_switched_off() {
        let rules = include_str!("../../../contract/rules.txt");
        let named =
            rules.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')?.split_once(' '));
        for (section, rule) in named {
            let switched_off = super::rules::ALL.iter().filter(|mutant| mutant.name == rule).count();
            assert_eq!(switched_off, 1, "{section} {rule}");
        }
    }

    #[test]
    fn the_tests_that_failed_are_read_from_what_cargo_prints() {
        let printed =
            "\n---- plan::a::b stdout ----\n\nfailures:\n    plan::a::b\n    plan::c\n\ntest result: FAILED";
        assert_eq!(failures(printed), ["a::b", "c"]);
        assert!(failures("error[E0425]: cannot find plan::x in this scope").is_empty());
    }
}
