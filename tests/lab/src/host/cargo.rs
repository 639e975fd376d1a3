//! What cargo does for the lab: the checks before it, and the programs in it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{memory, nix};
use crate::paths;

/// How many tests passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Did what they should.
    pub passed: usize,
    /// Did not.
    pub failed: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Everything that needs no guest: layout, lints, unit, property and CLI tests,
/// documentation; in full also what takes minutes. All of it runs even when some
/// fails.
pub fn checks(full: bool) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut steps: Vec<(&str, &[&str])> = vec![
        ("layout", &["fmt", "--all", "--check"]),
        ("lints", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        (
            "lints of the build without udev",
            &["clippy", "--quiet", "--package", "zferry", "--no-default-features", "--", "-D", "warnings"],
        ),
        ("tests", &["test", "--quiet", "--workspace"]),
        ("documentation", &["doc", "--quiet", "--workspace", "--no-deps"]),
    ];
    if full {
        steps.push(("long tests", &["test", "--release", "--quiet", "--lib", "--", "--ignored"]));
    }
    for (name, arguments) in steps {
        eprintln!("lab: {name} (cargo {})", arguments.join(" "));
        let mut command = cargo()?;
        command.args(arguments).env("RUSTDOCFLAGS", "-D warnings");
        let _in_memory = memory::lent_to(&mut command);
        let (passed, counted) = counted(command)?;
        tally += counted;
        // Steps that count nothing count as one.
        if !passed && counted.failed == 0 {
            tally.failed += 1;
        } else if passed && counted.passed == 0 {
            tally.passed += 1;
        }
        if !passed {
            eprintln!("lab: {name} FAILED");
        }
    }
    eprintln!("lab: names in the Nix files that nothing uses (deadnix)");
    let passed = nix::nothing_is_unused(&paths::repository()?)?;
    tally += Tally { passed: passed.into(), failed: (!passed).into() };
    Ok(tally)
}

/// Runs a command, shows what it prints, and adds up its `test result:` lines.
fn counted(mut command: Command) -> Result<(bool, Tally)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("no pipe from cargo")?;
    let mut tally = Tally::default();
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        if let Some(found) = result_line(&text) {
            tally += found;
        }
        line.clear();
    }
    Ok((child.wait()?.success(), tally))
}

/// `test result: ok. 3 passed; 1 failed; …`, with or without colours.
fn result_line(line: &str) -> Option<Tally> {
    let (_, rest) = line.split_once("test result: ")?;
    let number_before = |word: &str| {
        let (before, _) = rest.split_once(word)?;
        before.split_whitespace().last()?.parse().ok()
    };
    Some(Tally { passed: number_before(" passed;")?, failed: number_before(" failed;")? })
}

/// What guests get from the host, read-only: the agent and, when asked for, zferry.
#[derive(Debug)]
pub struct Share {
    directory: tempfile::TempDir,
}

impl Share {
    /// Builds the agent and puts it there.
    pub fn with_agent() -> Result<Self> {
        let built = build(&["--package", "zferry-lab", "--bin", "lab-agent"], "debug/lab-agent")?;
        let directory = tempfile::Builder::new().prefix("zferry-lab-share-").tempdir()?;
        fs::create_dir(directory.path().join("bin"))?;
        fs::copy(built, directory.path().join("lab-agent"))?;
        Ok(Self { directory })
    }

    /// Builds zferry and puts it there. Scenarios take the build that the tests made (an optimised one costs minutes
    /// of a cold run and changes nothing that they look at); measurements take what is shipped.
    pub fn add_zferry(&self, profile: Profile) -> Result<()> {
        eprintln!("lab: building zferry for the guests");
        let built = program(profile)?;
        let there = self.path().join("bin/zferry");
        fs::copy(built, &there)?;
        // Half of it is for debuggers, which no guest has. It came with the linker; without it, it takes longer.
        let _ = Command::new("strip").arg("--strip-debug").arg(there).status();
        let rules = paths::repository()?.join("udev-rules");
        if rules.is_dir() {
            let target = self.path().join("udev-rules");
            fs::create_dir(&target)?;
            for entry in fs::read_dir(rules)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    fs::copy(entry.path(), target.join(entry.file_name()))?;
                }
            }
        }
        Ok(())
    }

    /// The directory to share.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Share {
    /// Builds the zferry that needs no library, and puts it beside the other one.
    pub fn add_portable(&self) -> Result<()> {
        eprintln!("lab: building the zferry that needs no library");
        let there = self.path().join("portable");
        fs::create_dir(&there)?;
        let there = there.join("zferry-static");
        fs::copy(portable(Profile::Tested)?, &there)?;
        stripped(&there);
        Ok(())
    }
}

/// Without what is for debuggers, as far as there is a program that takes it out.
pub fn stripped(program: &Path) {
    let _ = Command::new("strip").arg(program).status();
}

/// How zferry is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As for the unit tests.
    Tested,
    /// As it is shipped.
    Shipped,
}

/// Builds zferry and says where it is.
///
/// # Errors
/// When it cannot be built.
pub fn program(profile: Profile) -> Result<PathBuf> {
    match profile {
        Profile::Tested => build(&["--package", "zferry", "--bin", "zferry"], "debug/zferry"),
        Profile::Shipped => build(&["--release", "--package", "zferry", "--bin", "zferry"], "release/zferry"),
    }
}

/// Builds the zferry that needs no library, and says where it is: without udev, whose library there is only to be loaded.
///
/// # Errors
/// When it cannot be built.
pub fn portable(profile: Profile) -> Result<PathBuf> {
    let target = target()?;
    let (release, directory): (&[&str], _) = match profile {
        Profile::Tested => (&[], "debug"),
        Profile::Shipped => (&["--release"], "release"),
    };
    // Of this target only, which is named: what runs while it is built may have libraries.
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    let mut command = cargo()?;
    command.env(variable, "-C target-feature=+crt-static");
    let arguments = ["--no-default-features", "--target", &target, "--package", "zferry", "--bin", "zferry"];
    build_with(command, &[release, &arguments].concat(), &format!("{target}/{directory}/zferry"))
}

/// What the compiler calls this machine: `x86_64-unknown-linux-gnu`.
fn target() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say for which machine it compiles")
}

/// Builds one binary and says where it is.
fn build(arguments: &[&str], binary: &str) -> Result<PathBuf> {
    build_with(cargo()?, arguments, binary)
}

fn build_with(mut cargo: Command, arguments: &[&str], binary: &str) -> Result<PathBuf> {
    let status = cargo
        .args(["build", "--quiet"])
        .args(arguments)
        .stdout(std::io::stderr())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo build {} failed", arguments.join(" "));
    }
    let target = target_directory()?;
    let built = target.join(binary);
    if !built.is_file() {
        bail!("cargo built {binary}, but not into {}", target.display());
    }
    Ok(built)
}

/// Where cargo puts what it makes.
pub(crate) fn target_directory() -> Result<PathBuf> {
    // This program lies in <target directory>/<profile>/.
    let own = std::env::current_exe()?;
    Ok(own.ancestors().nth(2).context("the lab was not built by cargo")?.to_owned())
}

pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::repository()?);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::{Tally, result_line};

    #[test]
    fn results_of_cargo_test_are_added_up() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(result_line(line), Some(Tally { passed: 12, failed: 3 }));
        let coloured = "test result: \u{1b}[32mok\u{1b}[m. 7 passed; 0 failed; 0 ignored;";
        assert_eq!(result_line(coloured), Some(Tally { passed: 7, failed: 0 }));
        assert_eq!(result_line("running 7 tests"), None);
    }
}
