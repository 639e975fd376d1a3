//! What stays of a failed scenario.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Lab;
use crate::command::Command;
use crate::paths;

/// What is asked of the guest: where it goes, and the command. Each with a time
/// limit of its own, as a suspended pool makes half of them hang.
const QUESTIONS: &[(&str, &str)] = &[
    ("journal", "journalctl --boot --no-pager --output=short-precise"),
    ("processes", "ps -eo pid,ppid,stat,wchan:32,etime,args --forest"),
    ("pools", "timeout 5 zpool status -v; timeout 5 zpool events; timeout 5 zfs list -t all"),
];

impl Lab {
    /// Asks the guest what it knows, ends it, and moves everything to where
    /// `cargo lab shell --failed` finds it.
    pub fn keep(mut self, slug: &str) -> Result<PathBuf> {
        self.deadline = None;
        for (name, line) in QUESTIONS {
            let command = Command::shell(line).within(Duration::from_secs(30));
            let content = match self.execute(command) {
                Ok(output) => [output.stdout_bytes(), output.stderr().as_bytes()].concat(),
                Err(error) => format!("{error:#}\n").into_bytes(),
            };
            fs::write(self.directory.join(name), content)?;
        }
        if let Some(machine) = self.machine.take() {
            // Orderly, so that the disks have all that the guest wrote to them.
            let _ = machine.quit();
        }
        kept(&self.directory, slug)
    }
}

/// Moves a scenario's directory to the failed ones.
pub fn kept(directory: &Path, slug: &str) -> Result<PathBuf> {
    let target = paths::failed()?.join(slug);
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(paths::failed()?)?;
    fs::rename(directory, &target).context("what the scenario left behind could not be kept")?;
    Ok(target)
}
