//! `cargo lab package`: the package for Debian, by cargo-deb, from what Cargo.toml says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::cargo::{Profile, Share, cargo, portable, program, stripped};
use crate::paths;

/// What is installed when `cargo deb` is missing.
const CARGO_DEB: [&str; 5] = ["install", "--locked", "--quiet", "cargo-deb", "--version=3.8.0"];

/// As it is shipped. Returns its path.
///
/// # Errors
/// When it cannot be built.
pub fn shipped() -> Result<PathBuf> {
    build(Profile::Shipped, None, &repository_stage()?)
}

/// For guests: the package of this version, and one that is called older.
///
/// # Errors
/// When they cannot be built.
pub fn add_to(share: &Share) -> Result<()> {
    eprintln!("lab: building the package for Debian");
    let there = share.path().join("packages");
    fs::create_dir(&there)?;
    for (name, version) in [("zferry.deb", None), ("zferry-old.deb", Some("0.0.1-1"))] {
        let built = build(Profile::Tested, version, &there)?;
        fs::rename(built, there.join(name))?;
    }
    Ok(())
}

fn build(profile: Profile, version: Option<&str>, into: &Path) -> Result<PathBuf> {
    install()?;
    let binary = program(profile)?;
    stage(&binary)?;
    let rescue = repository_stage()?.join("zferry-static");
    fs::copy(portable(profile)?, &rescue)?;
    stripped(&rescue);
    let mut deb = cargo()?;
    deb.args(["deb", "--quiet", "--package=zferry", "--no-build", "--no-strip", "--output"]).arg(into);
    if profile == Profile::Tested {
        deb.args(["--profile=dev", "--fast"]);
    }
    if let Some(version) = version {
        deb.arg(format!("--deb-version={version}"));
    }
    let output = deb.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo deb failed");
    let printed = String::from_utf8(output.stdout)?;
    let path = printed.lines().last().context("cargo deb does not say where the package is")?;
    Ok(PathBuf::from(path))
}

/// Where Cargo.toml takes from what is made for the package.
fn repository_stage() -> Result<PathBuf> {
    Ok(paths::repository()?.join("target/package"))
}

/// What the program writes of itself, and the units with the place where the package puts it.
fn stage(binary: &Path) -> Result<()> {
    let (repository, stage) = (paths::repository()?, repository_stage()?);
    for directory in ["man", "completions", "units", "user-units"] {
        let directory = stage.join(directory);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(directory)?;
    }
    said(Command::new(binary).arg("man").arg(stage.join("man")))?;
    for shell in ["bash", "fish", "zsh"] {
        let text = said(Command::new(binary).args(["completions", shell]))?;
        fs::write(stage.join(format!("completions/zferry.{shell}")), text)?;
    }
    fs::write(stage.join("config.toml"), said(Command::new(binary).args(["config", "example"]))?)?;
    for (from, to) in [("udev-rules", "units"), ("packaging", "user-units")] {
        for entry in fs::read_dir(repository.join(from))? {
            let path = entry?.path();
            let is_unit = path.extension().is_some_and(|kind| kind == "service" || kind == "timer");
            if let (true, Some(name)) = (is_unit, path.file_name()) {
                let unit =
                    fs::read_to_string(&path)?.replace("ExecStart=zferry ", "ExecStart=/usr/bin/zferry ");
                fs::write(stage.join(to).join(name), unit)?;
            }
        }
    }
    Ok(())
}

fn said(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(output.stdout)
}

fn install() -> Result<()> {
    let mut asked = cargo()?;
    asked.args(["deb", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if asked.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("lab: cargo {}", CARGO_DEB.join(" "));
    let installed = cargo()?.args(CARGO_DEB).status().context("cannot start cargo")?;
    ensure!(installed.success(), "cargo-deb could not be installed");
    Ok(())
}
