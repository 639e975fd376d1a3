//! `pause` and `resume`: for whoever wants a drive left alone. What a run did so far is kept, and the next one goes on
//! from there.

use crate::config::Drive;
use crate::config::request::Common;
use crate::event::Event;
use crate::state::{NotChanged, Paused};

use super::connected::device;
use super::drive_run::take_lock;
use super::handover::stop_run;
use super::{Environment, JobError};

/// `pause` and `resume`
#[derive(Debug, Clone)]
pub struct PauseRequest {
    /// What every request carries.
    pub common: Common,
    /// The drives that were named, or all.
    pub drives: Vec<Drive>,
}

/// Keeps runs of the drives from starting, and ends those that they have. How it went, for each drive.
pub fn pause(request: &PauseRequest, env: &Environment<'_>) -> Vec<Result<(), JobError>> {
    let PauseRequest { common, drives } = request;
    // First the word for all of them, then the runs: one that starts in between takes its lock, and then looks for the
    // word; and while one is being stopped, none of another drive starts.
    let said: Vec<_> = drives.iter().map(|drive| write_down(common, drive, env)).collect();
    said.into_iter()
        .zip(drives)
        .map(|(said, drive)| said.and_then(|()| end_run(common, drive, env)))
        .collect()
}

fn write_down(common: &Common, drive: &Drive, env: &Environment<'_>) -> Result<(), JobError> {
    let name = &drive.name;
    let paused = env.store.pause(drive.guid, (env.clock)()).map_err(not(format!("{name} is not paused")))?;
    let text = format!(
        "{name} is paused{}: no run of it starts before `{} resume {name}`.",
        since(paused, env),
        common.command
    );
    env.sink.event(Event::Note { text });
    Ok(())
}

fn end_run(common: &Common, drive: &Drive, env: &Environment<'_>) -> Result<(), JobError> {
    let name = &drive.name;
    match take_lock(env, drive.guid) {
        Ok(_) => {}
        Err(JobError::Lock(busy)) if busy.is_run() => {
            stop_run(env, drive, busy)?;
            // How it left the drive is said by its own last line, wherever that is read.
            let members = env.root.members().unwrap_or_default();
            let text = if device(drive, &members, env.root).is_some() {
                format!("{name} is still connected: `{} eject {name}` before you unplug it.", common.command)
            } else {
                format!("{name} is not connected any more.")
            };
            env.sink.event(Event::Note { text });
        }
        Err(JobError::Lock(busy)) => {
            env.sink.event(Event::Note { text: format!("It is no run, and goes on: {busy}.") });
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Lets runs of the drives start again. How it went, for each drive.
pub fn resume(request: &PauseRequest, env: &Environment<'_>) -> Vec<Result<(), JobError>> {
    request.drives.iter().map(|drive| resume_one(&request.common, drive, env)).collect()
}

fn resume_one(common: &Common, drive: &Drive, env: &Environment<'_>) -> Result<(), JobError> {
    let name = &drive.name;
    let was = env.store.resume(drive.guid).map_err(not(format!("{name} stays paused")))?;
    let text = if was {
        format!("{name} is not paused any more. `{} run {name}` goes on where it was.", common.command)
    } else {
        format!("{name} was not paused.")
    };
    env.sink.event(Event::Note { text });
    Ok(())
}

fn not(what: String) -> impl FnOnce(NotChanged) -> JobError {
    move |source| JobError::NotChanged { what, source }
}

/// ` since 2026-11-23 04:00`, by the clock on the wall.
pub(super) fn since(paused: Paused, env: &Environment<'_>) -> String {
    paused.since.map_or(String::new(), |at| {
        format!(" since {}", at.to_zoned(env.zone.clone()).strftime("%Y-%m-%d %H:%M"))
    })
}
