//! What looks through the Nix files for names that nothing uses. That they parse, are laid out as those of nixpkgs and
//! evaluate is what tests/nix.rs looks at.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cargo::cargo;
use crate::paths;

/// Another version may find more.
const DEADNIX: &str = "deadnix@1.3.1";

/// Whether nothing is unused. What is, is printed.
///
/// # Errors
/// When it could not be looked at.
pub fn nothing_is_unused(repository: &Path) -> Result<bool> {
    let mut look = std::process::Command::new(deadnix()?);
    look.args(["--fail", "nix", "flake.nix"]).current_dir(repository);
    Ok(look.status().context("cannot start deadnix")?.success())
}

/// Installed where it is missing: outside of the directories whose programs people type.
fn deadnix() -> Result<PathBuf> {
    let root = paths::cache()?.join("tools").join(DEADNIX);
    let program = root.join("bin/deadnix");
    if !program.is_file() {
        eprintln!("lab: cargo install {DEADNIX}");
        let mut install = cargo()?;
        install.args(["install", "--locked", "--quiet", DEADNIX, "--root"]).arg(&root);
        ensure!(install.status().context("cannot start cargo")?.success(), "deadnix could not be installed");
    }
    Ok(program)
}
