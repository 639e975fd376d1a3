//! Disk images, with `qemu-img`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Makes a writable disk on top of another one that stays as it is.
pub fn overlay(base: &Path, format: &str, disk: &Path) -> Result<()> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(base).arg(disk);
    run(command)
}

/// Makes an empty disk.
pub fn empty(disk: &Path, size: &str) -> Result<()> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2"]).arg(disk).arg(size);
    run(command)
}

fn run(mut command: Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot start qemu-img; `cargo lab setup` installs it")?;
    if !output.status.success() {
        bail!("qemu-img failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
