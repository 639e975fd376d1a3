//! What the planner takes, on this machine: time for two sides of up to a million snapshots each, and memory.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::{Fact, Measured, cargo_bench, median};

/// Snapshots of a side, as benches/planner.rs has them.
const SIZES: [u64; 4] = [10_000, 100_000, 300_000, 1_000_000];
/// What is measured there.
const WORK: [&str; 2] = ["read both listings", "plan and check"];

/// Runs `cargo bench --bench planner`, and tells of its medians.
pub fn all() -> Result<Measured> {
    let child = cargo_bench("planner")?.stdout(Stdio::piped()).spawn();
    let output = child.context("cannot start cargo")?.wait_with_output()?;
    ensure!(output.status.success(), "cargo bench failed");
    let mut facts = Vec::new();
    for work in WORK {
        let seconds = |size: &u64| Ok(median(&format!("planner/{work}/{size}"))? / 1e9);
        let seconds = SIZES.iter().map(seconds).collect::<Result<Vec<f64>>>()?;
        let times = SIZES.iter().zip(&seconds).map(|(size, seconds)| format!("{size}: {seconds:.3} s"));
        let value = times.collect::<Vec<_>>().join("; ");
        facts.push(Fact {
            name: format!("To {work}, by snapshots on each side (outside of a guest, one core)"),
            value,
        });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let memory = text.lines().find_map(|line| line.strip_prefix("planner/greatest resident memory: "));
    let memory = memory.context("the benchmark did not tell of its memory")?.to_owned();
    facts.push(Fact {
        name: "Greatest resident memory of that, the texts of both listings included".to_owned(),
        value: memory,
    });
    Ok(Measured { facts, ..Measured::default() })
}
