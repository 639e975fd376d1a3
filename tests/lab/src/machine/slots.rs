//! At most two guests at once on one machine, whoever starts them: each needs
//! a gigabyte and, where it is emulated, more than one core.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::paths;

/// How many guests may run at once.
pub const GUESTS: usize = 2;

/// Longer than any scenario may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// The right to run a guest; given back when dropped, or by the kernel.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its lock")] File);

impl Slot {
    /// Waits for a slot, behind those who wait already: a run of many scenarios would else keep all others out.
    pub fn take() -> Result<Self> {
        let _queue = lock("queue")?;
        let directory = paths::cache()?.join("slots");
        std::fs::create_dir_all(&directory)?;
        let deadline = Instant::now() + PATIENCE;
        let mut silent_until = Some(Instant::now() + Duration::from_secs(10));
        loop {
            for number in 0..GUESTS {
                let path = directory.join(number.to_string());
                let file = File::options().create(true).append(true).open(&path)?;
                if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    return Ok(Self(file));
                }
            }
            if silent_until.is_some_and(|time| Instant::now() >= time) {
                silent_until = None;
                eprintln!("lab: waiting: {GUESTS} guests run already, of this run or another one");
            }
            if Instant::now() >= deadline {
                bail!("{GUESTS} guests of other runs of the lab did not end");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Holds a lock until it is dropped; waits for it.
pub fn lock(name: &str) -> Result<File> {
    let directory = paths::cache()?;
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{name}.lock"));
    let file = File::options().create(true).append(true).open(&path)?;
    flock(&file, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
