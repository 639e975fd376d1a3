//! `cargo lab`: see docs/lab.md.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use zferry_lab::host::cargo::{self, Profile, Share, Tally};
use zferry_lab::host::package;
use zferry_lab::host::packages;
use zferry_lab::image::recipe::{self, Recipe, TRIXIE};
use zferry_lab::image::{build, saved};
use zferry_lab::paths;
use zferry_lab::runner::{self, Selection};
use zferry_lab::scenarios::{self, Tier};
use zferry_lab::{bench, demo, fuzz, mutants, reliability, shell, soak};

/// Real ZFS, real USB, real systemd: zferry's lab.
#[derive(Debug, Parser)]
#[command(name = "cargo lab", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing on this machine (with sudo unless you are root)
    Setup,
    /// Build the guests' systems, about ten minutes each, once
    Image,
    /// Watch a first and a second backup to a USB drive
    Demo {
        /// Write a picture of the second one to docs/run.svg, for the README
        #[arg(long)]
        record: bool,
    },
    /// Run all checks and the scenarios of the core
    Test {
        /// Only scenarios whose name contains this, and no other checks
        filter: Option<String>,
        /// On this system only, whatever the scenarios say
        #[arg(long, value_name = "SYSTEM")]
        on: Option<String>,
        /// All scenarios
        #[arg(long)]
        full: bool,
        /// Each so often, to see what happens only now and then
        #[arg(long, value_name = "N", default_value_t = 1, requires = "filter",
              value_parser = clap::value_parser!(u16).range(1..))]
        times: u16,
        /// Only list the scenarios
        #[arg(long)]
        list: bool,
    },
    /// Type in a guest
    Shell {
        /// The guest of a failed scenario, as it was left
        #[arg(long, value_name = "NAME")]
        failed: Option<String>,
        /// Without zferry
        #[arg(long)]
        bare: bool,
        /// On this system
        #[arg(long, value_name = "SYSTEM")]
        on: Option<String>,
    },
    /// Plug a USB drive into the guest of the open shell
    Plug {
        /// The drive, which is made if there is none of this name
        name: String,
        /// The size of a new drive
        #[arg(long, default_value = "2G")]
        size: String,
    },
    /// Measure zferry against syncoid and the bare commands, and write docs/benchmarks.md
    Bench {
        /// Only the parts whose name contains this; what came of the others before is kept
        #[arg(default_value = "")]
        filter: String,
        /// How often each of them does each kind of work
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Build the package for Debian as it is shipped
    Package,
    /// Put deliberate bugs into a copy of the planner, one after the other: its tests must notice each
    Mutants {
        /// Only bugs whose name contains this
        filter: Option<String>,
    },
    /// Write docs/reliability.md from what was run
    Reliability {
        /// First run what has not passed yet: hours, and it goes on where it stopped
        #[arg(long)]
        run: bool,
    },
    /// Give every parser of foreign text whatever there is
    Fuzz {
        /// Only parsers whose name contains this
        filter: Option<String>,
        /// How long, each
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
    /// Months in the life of a laptop and two drives, with everything that goes wrong; goes on where it stopped
    Soak {
        /// So many rounds, of one to two minutes each
        #[arg(long, value_name = "N")]
        rounds: u64,
        /// What everything is drawn from
        #[arg(long, value_name = "S")]
        seed: u64,
    },
    /// Pull a USB drive out of the guest of the open shell
    Pull {
        /// The drive
        name: String,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {}", runner::explained(&error));
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup => packages::ensure(),
        Task::Image => {
            packages::ensure()?;
            for system in recipe::ALL {
                println!("{}", build::ensure(system)?.display());
            }
            Ok(())
        }
        Task::Demo { record } => {
            let (saved, share) = prepare_one(Programs::Zferry, &TRIXIE)?;
            let path = paths::repository()?.join("docs/run.svg");
            demo::show(&saved, &share, record.then_some(path.as_path()))
        }
        Task::Bench { rounds, filter } => {
            let (saved, share) = prepare_one(Programs::Shipped, &TRIXIE)?;
            bench::measure(&saved, &share, rounds, &filter)
        }
        Task::Soak { rounds, seed } => {
            let (saved, share) = prepare_one(Programs::Zferry, &TRIXIE)?;
            soak::soak(&saved, &share, seed, rounds)
        }
        Task::Package => {
            packages::ensure()?;
            println!("{}", package::shipped()?.display());
            Ok(())
        }
        Task::Mutants { filter } => mutants::hunt(filter.as_deref()),
        Task::Fuzz { filter, minutes } => fuzz::all(filter.as_deref(), minutes),
        Task::Reliability { run } => {
            if run {
                try_what_is_missing()?;
            }
            reliability::write()
        }
        Task::Test { list: true, .. } => {
            list();
            Ok(())
        }
        Task::Test { filter, full, on, times, .. } => {
            let system = on.as_deref().map(recipe::named).transpose()?;
            test(filter.as_deref(), full, system, times)
        }
        Task::Shell { failed, bare, on } => {
            let programs = if bare { Programs::None } else { Programs::Zferry };
            let system = match (&on, &failed) {
                (Some(name), _) => recipe::named(name)?,
                (None, Some(slug)) => runner::system_of(slug),
                (None, None) => &TRIXIE,
            };
            let (saved, share) = prepare_one(programs, system)?;
            shell::open(&saved, &share, failed.as_deref())
        }
        Task::Plug { name, size } => shell::plug(&name, &size),
        Task::Pull { name } => shell::pull(&name),
    }
}

/// For the page: the simulation, then the scenarios. Each result is kept when it is there.
fn try_what_is_missing() -> Result<()> {
    reliability::simulate()?;
    let missing = reliability::missing()?;
    if missing.chosen.is_empty() {
        return Ok(());
    }
    let (saved, share) = prepare(Programs::Zferry, &missing.systems())?;
    whole(runner::run(&missing.chosen, 1, &saved, &share)?)
}

/// Nothing failed.
fn whole(tally: Tally) -> Result<()> {
    if tally.failed > 0 {
        bail!("{} of {} failed", tally.failed, tally.passed + tally.failed);
    }
    Ok(())
}

/// Which programs the guests get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Programs {
    None,
    Zferry,
    Shipped,
}

/// Does everything that has to be there before a guest of these systems can start.
fn prepare(programs: Programs, systems: &[&'static Recipe]) -> Result<(Vec<saved::Saved>, Share)> {
    packages::ensure()?;
    let images = systems.iter().map(|system| build::ensure(system)).collect::<Result<Vec<_>>>()?;
    let share = Share::with_agent()?;
    let saved = systems
        .iter()
        .zip(&images)
        .map(|(system, image)| saved::ensure(system, image, share.path()))
        .collect::<Result<Vec<_>>>()?;
    match programs {
        Programs::None => {}
        Programs::Zferry => share.add_zferry(Profile::Tested)?,
        Programs::Shipped => share.add_zferry(Profile::Shipped)?,
    }
    Ok((saved, share))
}

/// The same for one system.
fn prepare_one(programs: Programs, system: &'static Recipe) -> Result<(saved::Saved, Share)> {
    let (mut saved, share) = prepare(programs, &[system])?;
    Ok((saved.pop().context("no system was prepared")?, share))
}

fn list() {
    for scenario in scenarios::all() {
        let tier = match scenario.tier {
            Tier::Core => "core",
            Tier::Full => "full",
        };
        let more: String =
            scenario.systems.iter().skip(1).map(|system| format!(" (and on {})", system.name)).collect();
        println!("{tier}  {}{more}", scenario.name);
    }
}

/// All checks, then the scenarios. Whatever keeps the scenarios from being run is
/// a failure: a lab that was skipped must never look like one that passed.
fn test(filter: Option<&str>, full: bool, system: Option<&'static Recipe>, times: u16) -> Result<()> {
    let started = Instant::now();
    let selection = Selection::of(scenarios::all(), filter, full, system);
    if selection.chosen.is_empty() {
        bail!("no scenario is called so; `cargo lab test --list` lists them");
    }
    packages::ensure()?;
    let mut tally = match (filter, system) {
        (None, None) => cargo::checks(full)?,
        _ => Tally::default(),
    };
    let lab = prepare(Programs::Zferry, &selection.systems())
        .and_then(|(saved, share)| {
            if selection.needs_package() {
                package::add_to(&share)?;
            }
            if selection.needs_portable() {
                share.add_portable()?;
            }
            Ok((saved, share))
        })
        .and_then(|(saved, share)| runner::run(&selection.chosen, times, &saved, &share));
    match lab {
        Ok(scenarios) => tally += scenarios,
        Err(error) => {
            eprintln!("lab: the scenarios could not be run: {}", runner::explained(&error));
            tally.failed += 1;
        }
    }
    println!(
        "\nlab: {} scenarios ran{}, {} were left out{}; {} min in all",
        selection.chosen.len(),
        if times > 1 { format!(" {times} times each") } else { String::new() },
        selection.left_out,
        match (selection.left_out, filter) {
            (0, _) => "",
            (_, Some(_)) => " by the filter (all: cargo lab test --full)",
            (_, None) => " (cargo lab test --full runs them too)",
        },
        started.elapsed().as_secs().div_ceil(60),
    );
    println!("{} passed, {} failed", tally.passed, tally.failed);
    whole(tally)
}
