//! Deliberate bugs of the planner. Each is put into a copy of the sources, whose tests must fail: what they would not
//! notice, nobody would.

mod list;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::host::cargo;
use crate::paths;
use crate::results::{self, Attempt};

pub use list::ALL;
pub use rules::ALL as RULES;

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

/// What begins the name of each result.
pub const BUG: &str = "deliberate bug: ";
/// The same, of a rule.
pub const RULE: &str = "rule switched off: ";
/// What decides whether a bug is noticed: where none of this has changed, a result still holds.
const DECIDES: [&str; 4] = ["src/plan", "src/sim", "src/model", "tests/contract"];

/// Tries those whose name contains the filter, all without one, and says which of them were caught by what: the planner's
/// bugs by its tests, the simulation without a rule by the case of that rule. What came of each is kept at once, and one
/// that was caught in the same planner before is not tried again: it takes hours, and goes on where it stopped.
///
/// # Errors
/// When one was not caught, or could not be tried.
pub fn hunt(filter: Option<&str>) -> Result<()> {
    let before = caught_before()?;
    let chosen = |mutant: &&Mutant| filter.is_none_or(|filter| mutant.name.contains(filter));
    let bugs = Batch { kind: BUG, chosen: ALL.iter().filter(chosen).collect() };
    let rules = Batch { kind: RULE, chosen: rules::ALL.iter().filter(chosen).collect() };
    let copy = if bugs.is_done(&before) && rules.is_done(&before) { None } else { Some(Copy::sound()?) };
    let mut missed = bugs.hunt(&before, copy.as_ref(), |copy, bug| {
        let by = copy.with(bug)?;
        Ok((!by.is_empty()).then(|| format!("{} tests, such as {}", by.len(), by[0])))
    })?;
    missed.extend(rules.hunt(&before, copy.as_ref(), |copy, rule| {
        let run = copy.broken(rule, |copy| copy.test(&[CONTRACT]))?;
        ensure!(!run.is_uncompiled(), "“{}” could not be tried:\n{}", rule.name, run.printed);
        Ok(run.printed.contains(&format!(" {}] ", rule.name)).then(|| "its case".to_owned()))
    })?);
    ensure!(missed.is_empty(), "not caught: {}", missed.join("; "));
    Ok(())
}

/// The names of those that were caught in a planner like this one.
fn caught_before() -> Result<BTreeSet<String>> {
    let mut same: BTreeMap<String, bool> = BTreeMap::new();
    let mut caught = BTreeSet::new();
    for record in results::all()?.into_iter().filter(|record| record.passed) {
        let named = record.what.starts_with(BUG) || record.what.starts_with(RULE);
        if named
            && *same
                .entry(record.commit.clone())
                .or_insert_with(|| results::is_unchanged(&record.commit, &DECIDES))
        {
            caught.insert(record.what);
        }
    }
    Ok(caught)
}

/// All bugs of one kind.
struct Batch<'a> {
    kind: &'static str,
    chosen: Vec<&'a Mutant>,
}

impl Batch<'_> {
    fn is_done(&self, before: &BTreeSet<String>) -> bool {
        self.chosen.iter().all(|mutant| before.contains(&self.named(mutant)))
    }

    fn named(&self, mutant: &Mutant) -> String {
        format!("{}{}", self.kind, mutant.name)
    }

    /// Tries those that were not caught before, and returns those that nothing noticed.
    fn hunt(
        &self,
        before: &BTreeSet<String>,
        copy: Option<&Copy>,
        attempt: impl Fn(&Copy, &Mutant) -> Result<Option<String>>,
    ) -> Result<Vec<&'static str>> {
        let mut missed = Vec::new();
        for mutant in &self.chosen {
            let named = self.named(mutant);
            let Some(copy) = copy.filter(|_| !before.contains(&named)) else {
                println!("before  {named}");
                continue;
            };
            let noted = Attempt::with(results::commit());
            let by = attempt(copy, mutant)?;
            match &by {
                Some(by) => println!("caught  {named} (by {by})"),
                None => {
                    println!("MISSED  {named} ({})", mutant.file);
                    missed.push(mutant.name);
                }
            }
            noted.came_to(named, by.is_some(), by.into_iter().collect())?;
        }
        println!("\n{}{} of {} caught\n", self.kind, self.chosen.len() - missed.len(), self.chosen.len());
        Ok(missed)
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

impl Run {
    /// Nothing was tested.
    fn is_uncompiled(&self) -> bool {
        !self.passed && !self.printed.contains("test result: ")
    }
}

impl Copy {
    /// Copies what is in the work tree, built or not. Its build is kept between the bugs and between hunts.
    fn make() -> Result<Self> {
        let (from, directory) = (paths::repository()?, paths::cache()?.join("mutants"));
        let sources = directory.join("sources");
        if sources.exists() {
            fs::remove_dir_all(&sources)?;
        }
        for part in ["src", "tests", "docs", "udev-rules", ".cargo"] {
            copy_all(&from.join(part), &sources.join(part))?;
        }
        for file in ["Cargo.toml", "Cargo.lock"] {
            fs::copy(from.join(file), sources.join(file))?;
        }
        Ok(Self { directory })
    }

    /// The same, when all its tests pass without any bug.
    fn sound() -> Result<Self> {
        let copy = Self::make()?;
        let sound = copy.test(&["--", "--skip", LONGER, PLANNER, CONTRACT])?;
        ensure!(sound.passed, "the tests fail without any deliberate bug:\n{}", sound.printed);
        Ok(copy)
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
