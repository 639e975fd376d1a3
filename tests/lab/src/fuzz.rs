//! `cargo lab fuzz`: looks for input that makes a parser of foreign text panic. What is found is kept in
//! `tests/fuzz/__fuzz__` and tried again in each run of the tests.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::host::cargo;
use crate::results::{self, Record};

/// What is installed when `cargo bolero` is missing: it belongs to the library of this version.
const BOLERO: [&str; 5] = ["install", "--locked", "--quiet", "cargo-bolero", "--version=0.13.5"];

/// Each parser for so many minutes.
///
/// # Errors
/// When one panicked, or could not be tried.
pub fn all(filter: Option<&str>, minutes: u64) -> Result<()> {
    install()?;
    let targets = targets()?;
    let chosen = targets.iter().filter(|target| filter.is_none_or(|filter| target.contains(filter)));
    for target in chosen {
        let (started, commit) = (Instant::now(), results::commit());
        let passed = one(target, minutes)?;
        results::add(&Record {
            what: format!("fuzzing of {}", target.replace('_', " ")),
            commit,
            ended: results::now(),
            seconds: started.elapsed().as_secs(),
            passed,
            remarks: vec![format!("nothing found in {minutes} min")],
        })?;
        ensure!(passed, "{target}: see above; what was found is in tests/fuzz/__fuzz__/{target}/crashes");
    }
    Ok(())
}

fn install() -> Result<()> {
    let is_there =
        cargo::cargo()?.args(["bolero", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if is_there.success() {
        return Ok(());
    }
    eprintln!("lab: cargo {}", BOLERO.join(" "));
    let installed = cargo::cargo()?.args(BOLERO).status().context("cannot start cargo")?;
    ensure!(installed.success(), "cargo-bolero could not be installed");
    Ok(())
}

/// The tests of tests/fuzz.
fn targets() -> Result<Vec<String>> {
    let output = cargo::cargo()?
        .args(["test", "--quiet", "--test", "fuzz", "--", "--list", "--format=terse"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let targets: Vec<String> =
        printed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    if targets.is_empty() {
        bail!("tests/fuzz has no tests\n{printed}");
    }
    Ok(targets)
}

fn one(target: &str, minutes: u64) -> Result<bool> {
    let time = format!("{minutes}m");
    eprintln!("lab: {target}, {minutes} min");
    // The engine's coverage needs what only a nightly compiler allows by itself.
    let arguments = ["bolero", "test", "--rustc-bootstrap", "--sanitizer=NONE", target, "-T", &time];
    Ok(cargo::cargo()?.args(arguments).status().context("cannot start cargo")?.success())
}
