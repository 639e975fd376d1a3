//! Deliberate bugs of the planner. Each is put into a copy of the sources, whose tests must fail: what they would not
//! notice, nobody would.

mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::host::cargo;
use crate::paths;

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
/// Those that take a minute are asked only when the others noticed nothing.
const LONG: &str = "plan::tests::exhaustive";

/// Tries those whose name contains the filter, all without one, and says which of them were caught by what.
///
/// # Errors
/// When one was not caught, or could not be tried.
pub fn hunt(filter: Option<&str>) -> Result<()> {
    let copy = Copy::make()?;
    let sound = copy.test(&[PLANNER])?;
    ensure!(sound.passed, "the tests fail without any deliberate bug:\n{}", sound.printed);
    let chosen = ALL.iter().filter(|mutant| filter.is_none_or(|filter| mutant.name.contains(filter)));
    let (mut caught, mut missed) = (0, Vec::new());
    for mutant in chosen {
        match copy.with(mutant)? {
            Some(by) => {
                caught += 1;
                println!("caught  {} (by {} tests, such as {})", mutant.name, by.len(), by[0]);
            }
            None => {
                missed.push(mutant.name);
                println!("MISSED  {} ({})", mutant.name, mutant.file);
            }
        }
    }
    println!("\n{caught} of {} deliberate bugs of the planner were caught", caught + missed.len());
    ensure!(missed.is_empty(), "not caught: {}", missed.join("; "));
    Ok(())
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
        for part in ["src", "tests", ".cargo"] {
            copy_all(&from.join(part), &sources.join(part))?;
        }
        for file in ["Cargo.toml", "Cargo.lock"] {
            fs::copy(from.join(file), sources.join(file))?;
        }
        Ok(Self { directory })
    }

    /// The tests that caught it.
    fn with(&self, mutant: &Mutant) -> Result<Option<Vec<String>>> {
        let path = self.directory.join("sources").join(mutant.file);
        let sound = fs::read_to_string(&path)?;
        fs::write(&path, sound.replacen(mutant.is, mutant.becomes, 1))?;
        let run = self.test(&[PLANNER, "--", "--skip", LONG]).and_then(|run| match run.passed {
            true => self.test(&[LONG]),
            false => Ok(run),
        });
        fs::write(&path, sound)?;
        let run = run.with_context(|| format!("“{}” could not be tried", mutant.name))?;
        if run.passed {
            return Ok(None);
        }
        let by: Vec<String> = failures(&run.printed);
        if by.is_empty() {
            bail!("“{}” could not be tried:\n{}", mutant.name, run.printed);
        }
        Ok(Some(by))
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
        for mutant in ALL {
            let source = std::fs::read_to_string(format!("{repository}/{}", mutant.file)).unwrap();
            assert_eq!(source.matches(mutant.is).count(), 1, "{}", mutant.name);
            assert_ne!(mutant.is, mutant.becomes, "{}", mutant.name);
        }
        assert!(ALL.len() >= 20);
    }

    #[test]
    fn the_tests_that_failed_are_read_from_what_cargo_prints() {
        let printed =
            "\n---- plan::a::b stdout ----\n\nfailures:\n    plan::a::b\n    plan::c\n\ntest result: FAILED";
        assert_eq!(failures(printed), ["a::b", "c"]);
        assert!(failures("error[E0425]: cannot find plan::x in this scope").is_empty());
    }
}
