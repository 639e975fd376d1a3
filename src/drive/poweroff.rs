//! Switching a drive off after its pool was exported.
//!
//! udisks is asked first: it has the disk write its cache and park its heads. Where it is not there, the kernel is
//! told the same through sysfs. Only the disappearance of the disk counts as success, not what a command says.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::in_use::{InUse, disks_behind, find_use};
use super::{Disk, Root};
use crate::process::{Cancel, Invocation, Output, RunError, Runner, Tool};

/// For one request to udisks, which stops the disk and answers.
const REQUEST: Duration = Duration::from_secs(30);

/// For udev's queue to run empty: what it still has open makes udisks say "busy".
const SETTLE: Duration = Duration::from_secs(10);

/// Requests to udisks in all, if it says "busy".
const ATTEMPTS: u8 = 4;

/// For a write to sysfs, which returns when the disk has written its cache.
const WRITE: Duration = Duration::from_secs(30);

/// For the disk to disappear after the request was accepted.
const DISAPPEAR: Duration = Duration::from_secs(15);

/// What became of the drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel no longer has it.
    Gone,
    /// It is exported and safe, but has power.
    StillThere {
        /// What went wrong, untrusted text of a tool included.
        why: String,
    },
}

/// Why a power-off was not tried.
#[derive(Debug, thiserror::Error)]
pub enum PowerOffError {
    /// It would take the power from something that is used.
    #[error("not powered off: {0}")]
    InUse(InUse),
    /// Only USB has something to switch off.
    #[error("{disk} is not behind USB: nothing to power off")]
    Unsupported {
        /// The disk, for people.
        disk: String,
    },
    /// What the host uses could not be read.
    #[error("not powered off: the host's mounts and swap areas cannot be read")]
    Unknown(#[source] io::Error),
}

/// Powers off the USB device of a disk whose pool was exported, and waits until the disk is gone.
///
/// `imported` are the device nodes of every pool that is still imported (`zpool list -vHPL`): nothing behind the
/// same USB device may be among them, mounted, swapped to or held.
///
/// # Errors
/// When it must not be tried; a try that failed is an outcome.
pub fn power_off(
    root: &Root,
    runner: &dyn Runner,
    disk: &Disk,
    imported: &[PathBuf],
    cancel: &Cancel,
) -> Result<Outcome, PowerOffError> {
    PowerOff { root, runner, disk, cancel, pause: Duration::from_secs(1), disappear: DISAPPEAR }.run(imported)
}

/// Whether udisks is there to be asked for a power-off; why not.
///
/// # Errors
/// When it is not installed, or does not answer.
pub fn ask_for_udisks(runner: &dyn Runner, cancel: &Cancel) -> Result<(), String> {
    match runner.run(&Invocation::new(Tool::Udisksctl, ["status"], REQUEST), cancel) {
        Ok(output) if is_no_service(&output) => Err("it does not answer".to_owned()),
        Err(RunError::NotFound { .. }) => Err("udisksctl is not installed".to_owned()),
        Err(RunError::Deadline { .. }) => Err("it does not answer in time".to_owned()),
        // What else goes wrong is told when a drive is powered off.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// One power-off. The times are fields so that tests need not wait.
struct PowerOff<'a> {
    root: &'a Root,
    runner: &'a dyn Runner,
    disk: &'a Disk,
    cancel: &'a Cancel,
    /// Between two requests.
    pause: Duration,
    /// For the disk to disappear.
    disappear: Duration,
}

/// What udisks made of a request.
enum Request {
    Accepted,
    /// It is not installed or does not answer.
    NoService,
    Failed(String),
}

impl PowerOff<'_> {
    fn run(&self, imported: &[PathBuf]) -> Result<Outcome, PowerOffError> {
        if !self.disk.is_attached(self.root) {
            return Ok(Outcome::Gone);
        }
        let Some(usb_device) = &self.disk.usb_device else {
            return Err(PowerOffError::Unsupported { disk: self.disk.to_string() });
        };
        let found = find_use(self.root, self.disk, usb_device, imported).map_err(PowerOffError::Unknown)?;
        if let Some(in_use) = found {
            return Err(PowerOffError::InUse(in_use));
        }
        let refused = match self.ask_udisks() {
            Request::Accepted => None,
            Request::NoService => self.ask_kernel(usb_device).err().map(|error| error.to_string()),
            Request::Failed(why) => Some(why),
        };
        // Looked at after a failure too: a request that was given up may still have its effect.
        let patience = if refused.is_none() { self.disappear } else { Duration::ZERO };
        Ok(if self.is_gone_within(patience) {
            Outcome::Gone
        } else {
            let late = || format!("it was told to, but is still there after {} s", patience.as_secs());
            Outcome::StillThere { why: refused.unwrap_or_else(late) }
        })
    }

    /// Asks udisks, again while the device is busy: after an export udev looks at it once more.
    fn ask_udisks(&self) -> Request {
        let node = self.disk.node.display().to_string();
        let arguments = ["power-off", "--no-user-interaction", "-b", &node];
        let command = Invocation::new(Tool::Udisksctl, arguments, REQUEST);
        let mut attempt = 1;
        loop {
            match self.runner.run(&command, self.cancel) {
                Ok(output) if output.exit.is_success() => return Request::Accepted,
                Ok(output) if is_busy(&output) && attempt < ATTEMPTS => self.settle(),
                Ok(output) if is_no_service(&output) => return Request::NoService,
                Ok(output) => return Request::Failed(reason(&output)),
                Err(RunError::NotFound { .. } | RunError::Deadline { .. }) => return Request::NoService,
                Err(error) => return Request::Failed(error.to_string()),
            }
            attempt += 1;
        }
    }

    fn settle(&self) {
        let command = Invocation::new(Tool::Udevadm, ["settle", "-t", "5"], SETTLE);
        // Only a courtesy: the next request tells whether it helped.
        let _ = self.runner.run(&command, self.cancel);
        std::thread::sleep(self.pause);
    }

    /// Has the kernel detach every disk behind the USB device (which writes their caches), then the device itself.
    fn ask_kernel(&self, usb_device: &Path) -> io::Result<()> {
        for name in disks_behind(self.root, usb_device) {
            write_one(self.root.at(Path::new("/sys/block").join(name).join("device/delete")))?;
        }
        write_one(self.root.at(usb_device.join("remove")))
    }

    fn is_gone_within(&self, patience: Duration) -> bool {
        let start = Instant::now();
        while self.disk.is_attached(self.root) {
            if start.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(100).min(patience));
        }
        true
    }
}

/// Writes "1" to a file of sysfs. The write waits for the disk, so it is left to a thread that may be abandoned.
fn write_one(path: PathBuf) -> io::Result<()> {
    let (answer, question) = mpsc::channel();
    std::thread::Builder::new().name("power-off".to_owned()).spawn(move || {
        let written = OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(b"1"));
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        // Nobody listens any more when it was late.
        let _ = answer.send(written.map_err(named));
    })?;
    question.recv_timeout(WRITE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// EBUSY of udisks' exclusive open, not its refusal of a device that is mounted: that one does not pass.
fn is_busy(output: &Output) -> bool {
    output.stderr.contains("Device or resource busy")
}

fn is_no_service(output: &Output) -> bool {
    ["Error connecting to the udisks daemon", "was not provided by any .service files", "ServiceUnknown"]
        .iter()
        .any(|symptom| output.stderr.contains(symptom))
}

/// What udisksctl said, else how it ended.
fn reason(output: &Output) -> String {
    let said = output.stderr.trim();
    if said.is_empty() { format!("udisksctl ended with {}", output.exit) } else { said.to_owned() }
}

#[cfg(test)]
mod tests;
