//! Runs scenarios, two at a time, and says what came of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::cargo::{Share, Tally};
use crate::image::recipe::{self, Recipe, TRIXIE};
use crate::image::saved::Saved;
use crate::lab::Lab;
use crate::machine::Console;
use crate::machine::slots::GUESTS;
use crate::paths;
use crate::results::{self, Attempt};
use crate::scenarios::{Scenario, Tier};

/// No scenario may take longer; its guest is ended then, which fails it.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// A scenario on one system.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// What is tried.
    pub scenario: Scenario,
    /// On what.
    pub system: &'static Recipe,
}

impl Trial {
    /// The scenario's sentence, and the system where that is not the usual one.
    pub fn title(&self) -> String {
        let name = self.scenario.name;
        if self.system.name == TRIXIE.name {
            name.to_owned()
        } else {
            format!("{name} ({})", self.system.name)
        }
    }
}

/// The system of a scenario that failed, by the name of what it left.
pub fn system_of(slug: &str) -> &'static Recipe {
    let other = recipe::NAMED.iter().copied().find(|system| slug.ends_with(&format!("-{}", system.name)));
    other.unwrap_or(&TRIXIE)
}

/// Which scenarios are run, and which are left out.
#[derive(Debug)]
pub struct Selection {
    /// These are run.
    pub chosen: Vec<Trial>,
    /// How many are not.
    pub left_out: usize,
}

impl Selection {
    /// With a filter every scenario whose name contains it; else all on all their systems, or the core on the newest
    /// one (a second image costs ten minutes of a cold run). Or all that would be run, on one system.
    pub fn of(all: Vec<Scenario>, filter: Option<&str>, full: bool, system: Option<&'static Recipe>) -> Self {
        let trials: Vec<Trial> = all
            .into_iter()
            .flat_map(|scenario| {
                let systems = system.map_or(scenario.systems.to_vec(), |system| vec![system]);
                systems.into_iter().map(move |system| Trial { scenario, system })
            })
            .collect();
        let total = trials.len();
        let is_core = |trial: &Trial| trial.scenario.tier == Tier::Core;
        let chosen: Vec<Trial> = trials
            .into_iter()
            .filter(|trial| match filter {
                Some(filter) => matches(&trial.title(), filter),
                None => full || is_core(trial) && (system.is_some() || trial.system.name == TRIXIE.name),
            })
            .collect();
        Self { left_out: total - chosen.len(), chosen }
    }

    /// Whether one of them needs the package for Debian.
    pub fn needs_package(&self) -> bool {
        self.chosen.iter().any(|trial| trial.scenario.packaged)
    }

    /// Whether one of them needs the zferry that needs no library.
    pub fn needs_portable(&self) -> bool {
        self.chosen.iter().any(|trial| trial.scenario.portable)
    }

    /// The systems that are needed for it.
    pub fn systems(&self) -> Vec<&'static Recipe> {
        let needed =
            |system: &&'static Recipe| self.chosen.iter().any(|trial| trial.system.name == system.name);
        recipe::NAMED.iter().copied().filter(needed).collect()
    }
}

/// By the sentence, or by the name of what a failure left.
fn matches(name: &str, filter: &str) -> bool {
    name.to_lowercase().contains(&filter.to_lowercase()) || paths::slug(name).contains(filter)
}

/// Runs the scenarios, each so often, and returns how many runs passed and failed.
pub fn run(trials: &[Trial], times: u16, saved: &[Saved], share: &Share) -> Result<Tally> {
    let runs = paths::cache()?.join("runs");
    remove_abandoned(&runs)?;
    let commit = results::commit();
    println!("\nrunning {} scenarios in guests, {GUESTS} at a time", trials.len());
    let rounds = trials.iter().flat_map(|trial| (1..=times).map(move |round| (trial, round)));
    let waiting = Mutex::new(rounds);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..GUESTS {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((trial, round)) = next else { break };
                    let attempt = Attempt::with(commit.clone());
                    let result = saved
                        .iter()
                        .find(|saved| saved.system.name == trial.system.name)
                        .context("its system was not prepared")
                        .and_then(|saved| one(trial, round, saved, share, &runs));
                    let seconds = attempt.seconds();
                    remember(trial, &attempt, &result);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(remarks) => {
                            let remarks: String =
                                remarks.iter().map(|remark| format!("; {remark}")).collect();
                            tally.passed += 1;
                            println!("test {} ... ok ({seconds} s{remarks})", trial.title());
                        }
                        Err(error) => {
                            tally.failed += 1;
                            println!("test {} ... FAILED ({seconds} s)", trial.title());
                            println!("{}\n", explained(&error));
                        }
                    }
                }
            });
        }
    });
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Notes what came of a scenario, for `cargo lab reliability`. That it could not be noted fails nothing.
fn remember(trial: &Trial, attempt: &Attempt, result: &Result<Vec<String>>) {
    let remarks = result.as_ref().cloned().unwrap_or_default();
    if let Err(error) = attempt.came_to(trial.title(), result.is_ok(), remarks) {
        eprintln!("lab: {} was not noted: {}", trial.title(), explained(&error));
    }
}

/// Runs one scenario in a guest of its own, and returns what it remarked.
fn one(trial: &Trial, round: u16, saved: &Saved, share: &Share, runs: &Path) -> Result<Vec<String>> {
    let slug = paths::slug(&trial.title());
    let directory = runs.join(format!("{}-{round}-{slug}", std::process::id()));
    let console = Console::File(directory.join("console"));
    let mut lab = match Lab::start(saved, share.path(), &directory, console) {
        Ok(lab) => lab,
        Err(error) => {
            let kept = crate::lab::kept(&directory, &slug)?;
            return Err(error.context(format!("the guest did not start; see {}", kept.display())));
        }
    };
    lab.end_after(DEADLINE);
    // A scenario that panics fails like any other, with its guest ended.
    let body = std::panic::AssertUnwindSafe(|| (trial.scenario.body)(&mut lab));
    let result = std::panic::catch_unwind(body)
        .unwrap_or_else(|_| Err(anyhow::anyhow!("the scenario panicked; its message is above")));
    match result {
        Ok(()) => {
            let remarks = lab.remarks().to_vec();
            drop(lab);
            fs::remove_dir_all(&directory).context("the scenario's files could not be removed")?;
            Ok(remarks)
        }
        Err(error) => {
            lab.note(&format!("FAILED: {error:#}"));
            let kept = lab.keep(&slug)?;
            Err(error.context(advice(&kept, &slug)))
        }
    }
}

/// An error with its causes, one below the other. (Not its backtrace, which anyhow
/// adds where RUST_BACKTRACE is set: a failed scenario is no bug of the lab's.)
pub fn explained(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  because: ")
}

fn advice(kept: &Path, slug: &str) -> String {
    format!(
        "scenario failed\n  \
         its transcript, journal, console and drives: {}\n  \
         its guest again: cargo lab shell --failed {slug}\n  \
         once more:       cargo lab test {slug}",
        kept.display()
    )
}

/// Removes what runs that were killed have left.
fn remove_abandoned(runs: &Path) -> Result<()> {
    fs::create_dir_all(runs)?;
    for entry in fs::read_dir(runs)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let process = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            match fs::remove_dir_all(&path) {
                // Another lab that began at the same moment was quicker.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Selection, matches, system_of};
    use crate::image::recipe;
    use crate::scenarios;

    #[test]
    fn a_filter_finds_sentences_and_file_names() {
        assert!(matches("A drive is plugged in", "plugged"));
        assert!(matches("A drive is plugged in", "a-drive-is"));
        assert!(!matches("A drive is plugged in", "pulled"));
    }

    #[test]
    fn what_is_not_run_is_counted() {
        let total = scenarios::all().len();
        let selection = Selection::of(scenarios::all(), Some("no scenario is called so"), false, None);
        let more: usize = scenarios::all().iter().map(|scenario| scenario.systems.len() - 1).sum();
        assert_eq!((selection.chosen.len(), selection.left_out), (0, total + more));
    }

    #[test]
    fn a_few_scenarios_are_run_on_the_oldest_system_and_all_can_be() {
        let core = Selection::of(scenarios::all(), None, false, None);
        assert_eq!(core.systems().len(), 1);
        let full = Selection::of(scenarios::all(), None, true, None);
        let oldest: Vec<_> = full.chosen.iter().filter(|trial| trial.system.name == "debian12").collect();
        assert!(oldest.len() >= 3 && full.systems().len() == 2, "{}", oldest.len());
        assert!(oldest.iter().all(|trial| trial.title().ends_with(" (debian12)")));
        let slug = crate::paths::slug(&oldest[0].title());
        assert_eq!((system_of(&slug).name, system_of("a-first-backup").name), ("debian12", "debian13"));
        let all = Selection::of(scenarios::all(), None, true, Some(&recipe::BOOKWORM));
        assert_eq!((all.chosen.len(), all.left_out), (scenarios::all().len(), 0));
        assert_eq!(all.systems().len(), 1);
    }

    #[test]
    fn names_of_scenarios_differ() {
        let mut slugs: Vec<_> = scenarios::all().iter().map(|s| crate::paths::slug(s.name)).collect();
        slugs.sort();
        let total = slugs.len();
        slugs.dedup();
        assert_eq!(slugs.len(), total);
    }
}
