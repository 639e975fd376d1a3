//! `cargo lab bench`: the same work by zferry, by syncoid and by the bare commands, in turns, in one guest. Only the
//! ratios mean anything in an emulated guest, never the times; both are written to docs/benchmarks.md.
//!
//! It is measured in parts, each of which can be measured alone. What came of each lies in docs/benchmarks, and the page is
//! made of that.

mod cases;
mod planner;
mod report;
mod streams;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::host::cargo::{self, Share};
use crate::image::saved::Saved;
use crate::lab::Lab;
use crate::machine::Console;
use crate::paths;

/// What one tool took in each round, in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Series {
    /// The tool, as the table names it.
    pub tool: String,
    /// Seconds, in the order of the rounds.
    pub seconds: Vec<f64>,
}

impl Series {
    /// The middle one; robust against a round in which the host was busy.
    pub fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Least and greatest.
    pub fn spread(&self) -> (f64, f64) {
        let fold = |start: f64, pick: fn(f64, f64) -> f64| self.seconds.iter().copied().fold(start, pick);
        (fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max))
    }
}

/// One kind of work, done by several tools. The first is what the others are compared with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// What was done.
    pub name: String,
    /// By whom, and how long it took.
    pub series: Vec<Series>,
}

/// A number that is not a comparison of times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fact {
    /// What was measured.
    pub name: String,
    /// How much, with its unit.
    pub value: String,
}

/// What came of one part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    cases: Vec<Case>,
    facts: Vec<Fact>,
    /// The versions of what was measured.
    about: String,
}

/// How a part is measured.
#[derive(Debug, Clone, Copy)]
enum How {
    /// In a guest, in so many rounds.
    InAGuest(fn(&mut Lab, usize) -> Result<Measured>),
    /// On this machine.
    Here(fn() -> Result<Measured>),
}

const PARTS: [(&str, How); 3] = [
    ("replication", How::InAGuest(cases::all)),
    ("streams", How::InAGuest(streams::all)),
    ("planner", How::Here(planner::all)),
];

/// Measures the parts whose name contains this, and puts what came of them into the page.
pub fn measure(saved: &Saved, share: &Share, rounds: usize, filter: &str) -> Result<()> {
    let chosen: Vec<_> = PARTS.iter().filter(|(name, _)| name.contains(filter)).collect();
    if chosen.is_empty() {
        bail!("there is no such part; there are: {}", PARTS.map(|(name, _)| name).join(", "));
    }
    let directory = paths::repository()?.join("docs/benchmarks");
    std::fs::create_dir_all(&directory)?;
    for (name, how) in chosen {
        let measured = match how {
            How::InAGuest(cases) => in_a_guest(saved, share, |lab| cases(lab, rounds))?,
            How::Here(facts) => facts()?,
        };
        std::fs::write(directory.join(format!("{name}.json")), serde_json::to_vec_pretty(&measured)?)
            .with_context(|| format!("what came of {name} could not be kept"))?;
    }
    write(&directory)
}

/// The page, from everything that was ever kept.
fn write(directory: &Path) -> Result<()> {
    let path = directory.with_extension("md");
    let mut page = std::fs::read_to_string(&path).unwrap_or_default();
    for (name, _) in PARTS {
        // What was not kept stays as it is in the page.
        if let Ok(text) = std::fs::read(directory.join(format!("{name}.json"))) {
            page = report::with(&page, name, &report::section(name, &serde_json::from_slice(&text)?));
        }
    }
    print!("{page}");
    std::fs::write(&path, &page).with_context(|| format!("{} could not be written", path.display()))
}

/// The command that runs one of zferry's own benchmarks.
fn cargo_bench(name: &str) -> Result<Command> {
    eprintln!("bench: cargo bench --bench {name}");
    let mut command = cargo::cargo()?;
    command.args(["bench", "--quiet", "--bench", name]);
    Ok(command)
}

/// The median of one of cargo's benchmarks, in nanoseconds.
fn median(name: &str) -> Result<f64> {
    let path = cargo::target_directory()?.join("criterion").join(name).join("new/estimates.json");
    let text = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let estimates: serde_json::Value = serde_json::from_slice(&text)?;
    estimates["median"]["point_estimate"].as_f64().context("criterion told no median")
}

fn in_a_guest<T>(saved: &Saved, share: &Share, body: impl FnOnce(&mut Lab) -> Result<T>) -> Result<T> {
    let directory = paths::cache()?.join("runs").join(format!("{}-bench", std::process::id()));
    let console = Console::File(directory.join("console"));
    let mut lab = Lab::start(saved, share.path(), &directory, console)?;
    let measured = match body(&mut lab) {
        Ok(measured) => measured,
        Err(error) => {
            let kept = lab.keep("bench")?;
            return Err(error.context(format!("the measurement failed; see {}", kept.display())));
        }
    };
    drop(lab);
    std::fs::remove_dir_all(&directory).context("the guest's files could not be removed")?;
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_does_not_see_one_bad_round() {
        let series = Series { tool: "x".into(), seconds: vec![1.0, 9.0, 1.2] };
        assert!((series.median() - 1.2).abs() < 1e-9);
        assert!((series.spread().1 - 9.0).abs() < 1e-9);
    }
}
