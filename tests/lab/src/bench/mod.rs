//! `cargo lab bench`: the same work by zferry, by syncoid and by the bare commands, in turns, in one guest. Only the
//! ratios mean anything in an emulated guest, never the times; both are written to docs/benchmarks.md.

mod cases;
mod report;

use std::path::Path;

use anyhow::{Context, Result};

use crate::host::cargo::Share;
use crate::image::saved::Saved;
use crate::lab::Lab;
use crate::machine::Console;
use crate::paths;

/// What one tool took in each round, in seconds.
#[derive(Debug, Clone)]
pub struct Series {
    /// The tool, as the table names it.
    pub tool: &'static str,
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
#[derive(Debug, Clone)]
pub struct Case {
    /// What was done.
    pub name: String,
    /// By whom, and how long it took.
    pub series: Vec<Series>,
}

/// A number that is not a comparison of times.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What was measured.
    pub name: String,
    /// How much, with its unit.
    pub value: String,
}

/// Measures everything and writes the page.
pub fn measure(saved: &Saved, share: &Share, rounds: usize) -> Result<()> {
    let directory = paths::cache()?.join("runs").join(format!("{}-bench", std::process::id()));
    let console = Console::File(directory.join("console"));
    let mut lab = Lab::start(saved, share.path(), &directory, console)?;
    let result = cases::all(&mut lab, rounds);
    let (cases, facts, about) = match result {
        Ok(measured) => measured,
        Err(error) => {
            let kept = lab.keep("bench")?;
            return Err(error.context(format!("the measurement failed; see {}", kept.display())));
        }
    };
    drop(lab);
    std::fs::remove_dir_all(&directory).context("the guest's files could not be removed")?;
    let page = report::page(&cases, &facts, &about, rounds);
    print!("{page}");
    write(&paths::repository()?.join("docs/benchmarks.md"), &page)
}

fn write(path: &Path, page: &str) -> Result<()> {
    std::fs::write(path, page).with_context(|| format!("{} could not be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_does_not_see_one_bad_round() {
        let series = Series { tool: "x", seconds: vec![1.0, 9.0, 1.2] };
        assert!((series.median() - 1.2).abs() < 1e-9);
        assert!((series.spread().1 - 9.0).abs() < 1e-9);
    }
}
