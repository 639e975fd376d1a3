//! `cargo lab fuzz`: looks for input that makes a parser of foreign text panic. What is found is kept in
//! `tests/fuzz/__fuzz__` and tried again in each run of the tests.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::host::cargo;
use crate::results::{self, Attempt};

/// The package of the parsers' tests.
const PACKAGE: &str = "zferry-fuzz";
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
        let attempt = Attempt::with(results::commit());
        let passed = one(target, minutes)?;
        let remarks = vec![format!("nothing found in {minutes} min")];
        attempt.came_to(format!("fuzzing of {}", target.replace('_', " ")), passed, remarks)?;
        ensure!(passed, "{target}: see above; what was found is in tests/fuzz/__fuzz__/{target}/crashes");
    }
    Ok(())
}

fn install() -> Result<()> {
    let mut asked = cargo::cargo()?;
    asked.args(["bolero", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if asked.status().is_ok_and(|status| status.success()) {
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
        .args(["test", "--quiet", "--package", PACKAGE, "--", "--list", "--format=terse"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let targets: Vec<String> =
        printed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    ensure!(!targets.is_empty(), "tests/fuzz has no tests\n{printed}");
    Ok(targets)
}

fn one(target: &str, minutes: u64) -> Result<bool> {
    let time = format!("{minutes}m");
    eprintln!("lab: {target}, {minutes} min");
    // The engine's coverage needs what only a nightly compiler allows by itself.
    let engine = ["--rustc-bootstrap", "--sanitizer=NONE", "--profile=fuzz"];
    let mut command = cargo::cargo()?;
    command.args(["bolero", "test"]).args(engine).args(["--package", PACKAGE, target, "-T", &time]);
    Ok(command.status().context("cannot start cargo")?.success())
}
