//! The rescue file system of a new drive: made before the pool, so that a disk on which it cannot be made has no pool yet.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::drive::{Disk, rescue_partitions};
use crate::plan::rescue::label;
use crate::process::{Exit, Invocation, Tool};

use super::{PATIENCE, PAUSE, PrepareError, note, settle, tool};
use crate::jobs::Environment;

/// For a question without a disk.
const ASK: Duration = Duration::from_secs(30);
/// It writes a few megabytes.
const MAKE: Duration = Duration::from_secs(300);

/// Before anything is erased: whether the tool is there that makes it.
pub(super) fn check_tool(env: &Environment<'_>) -> Result<(), PrepareError> {
    let command = Invocation::new(Tool::Mkfs, ["-V"], ASK);
    match env.runner.run(&command, env.cancel) {
        Ok(output) if output.exit == Exit::Code(0) => Ok(()),
        Ok(output) => Err(PrepareError::NoMkfs(io::Error::other(output.stderr.trim().to_owned()))),
        Err(error) => Err(PrepareError::NoMkfs(io::Error::other(error))),
    }
}

/// Makes it, and waits until udev knows it by its kind.
pub(super) fn make(env: &Environment<'_>, disk: &Disk, drive: &str, link: &Path) -> Result<(), PrepareError> {
    note(env, format!("Making the rescue file system {}.", label(drive)));
    let (label, link) = (label(drive), link.display().to_string());
    // Everything is written at once, so that nothing goes on in the background while the drive is to be unplugged; and in
    // blocks of a size that suits every disk.
    let now = "lazy_itable_init=0,lazy_journal_init=0";
    let arguments = ["-q", "-b", "4096", "-m", "0", "-N", "1024", "-E", now, "-L", &label, &link];
    let command = Invocation::new(Tool::Mkfs, arguments, MAKE);
    log::debug!("{command}");
    let failed = |why: String| PrepareError::NoRescue { node: link.clone(), source: io::Error::other(why) };
    match env.runner.run(&command, env.cancel) {
        Ok(output) if output.exit.is_success() => {}
        Ok(output) => {
            return Err(failed(format!("`{command}` ended with {}: {}", output.exit, output.stderr.trim())));
        }
        Err(error) => return Err(failed(error.to_string())),
    }
    let started = Instant::now();
    loop {
        settle(env);
        if !rescue_partitions(env.root, std::slice::from_ref(disk)).is_empty() {
            return Ok(());
        }
        if started.elapsed() > PATIENCE || env.cancel.lost().is_some() {
            return Err(failed("udev does not show it".to_owned()));
        }
        let node = std::fs::canonicalize(&link).unwrap_or_else(|_| Path::new(&link).to_owned());
        tool(env, Tool::Udevadm, &["trigger", "--action=change", &node.display().to_string()]);
        std::thread::sleep(PAUSE);
    }
}
