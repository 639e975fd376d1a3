//! A run gives its drive away: to `open`, which takes it over, and to `pause`. It ends as after Ctrl-C, so that the next
//! one goes on where it was.

use std::time::{Duration, Instant};

use crate::config::Drive;
use crate::event::Event;
use crate::execute::lock::{self, Holder, Lock, LockError};
use crate::execute::session::After;

use super::drive_run::{DriveRun, owner, take_lock};
use super::files::{FilesError, OpenRequest};
use super::init::Ask as Agree;
use super::pausing::since;
use super::{Environment, JobError};

/// How long a run gets to write what had arrived, to export and to power off.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
const PAUSE: Duration = Duration::from_millis(100);

impl DriveRun<'_> {
    /// The drive's lock, with the word in it that a run has it. Nothing is begun with a drive that is paused, or that
    /// somebody else is waiting for.
    pub(super) fn take_lock_to_run(&self, env: &Environment<'_>) -> Result<Lock, JobError> {
        let lock = take_lock(env, self.guid)?;
        if let Some(paused) = env.store.paused(self.guid) {
            return Err(JobError::Paused { drive: self.drive.to_owned(), since: since(paused, env) });
        }
        if lock::is_claimed(env.locks, self.guid) {
            return Err(LockError::Taken { owner: "`zferry open` waits for it".to_owned() }.into());
        }
        if let Err(error) = lock.backs_up() {
            // Then `open` and `pause` say that it is busy.
            log::warn!("the lock cannot be written to: {error}");
        }
        Ok(lock)
    }

    /// What happens after the work: whoever waits for the drive gets it powered on.
    pub(super) fn after(&self, env: &Environment<'_>) -> After {
        if lock::is_claimed(env.locks, self.guid) { After::HandOver } else { self.after }
    }
}

/// The drive's lock, if need be from a run that is stopped for it.
pub(super) fn take_over(
    request: &OpenRequest,
    env: &Environment<'_>,
    agree: &mut Agree<'_>,
) -> Result<Lock, JobError> {
    let drive = &request.drive;
    let busy = match take_lock(env, drive.guid) {
        Err(JobError::Lock(busy)) if busy.is_run() => busy,
        other => return other,
    };
    let name = drive.name.to_string();
    let may_stop = request.stop_run || (env.interactive && agrees(&name, &busy, env, agree)?);
    if !may_stop {
        return Err(FilesError::Running { drive: name, busy }.into());
    }
    let _claim = lock::claim(env.locks, drive.guid, &owner(env))?;
    let lock = stop_run(env, drive, busy)?;
    let text = format!("The next `{} run {name}` goes on where it was.", request.common.command);
    env.sink.event(Event::Note { text });
    Ok(lock)
}

fn agrees(
    drive: &str,
    busy: &LockError,
    env: &Environment<'_>,
    agree: &mut Agree<'_>,
) -> Result<bool, JobError> {
    let question = format!(
        "zferry: {busy}.\nIt can be stopped: what has arrived is kept, and the next run goes on from there. Stop it and open {drive}? [y/N] "
    );
    let unread = |source| FilesError::Read { path: "the terminal".into(), source };
    match agree(&question).map_err(unread)? {
        Some(answer) => Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes")),
        None if env.cancel.is_requested() => Err(JobError::Interrupted),
        None => Ok(false),
    }
}

/// Asks the run that has the drive to end, and waits until it has.
pub(super) fn stop_run(env: &Environment<'_>, drive: &Drive, busy: LockError) -> Result<Lock, JobError> {
    let name = drive.name.as_str();
    let failed = |source| JobError::NotStopped { drive: name.to_owned(), source };
    match Holder::find(env.locks, drive.guid).map_err(failed)? {
        Some(holder) => holder.ask_to_end().map_err(failed)?,
        // It has ended meanwhile, or it cannot be said for certain who it is.
        None => return take_lock(env, drive.guid),
    }
    let text = format!("Stopping the run of {name} ({busy}). What has arrived is kept.");
    env.sink.event(Event::Note { text });
    let started = Instant::now();
    loop {
        match take_lock(env, drive.guid) {
            Err(JobError::Lock(LockError::Taken { .. })) if env.cancel.is_requested() => {
                return Err(JobError::Interrupted);
            }
            Err(JobError::Lock(LockError::Taken { .. })) if started.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}
