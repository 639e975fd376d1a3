//! `pause` and `resume`: for whoever wants a drive left alone. What a run did so far is kept, and the next one goes on
//! from there.

use crate::config::Drive;
use crate::config::request::Common;
use crate::event::Event;
use crate::state::{NotChanged, Paused};

use super::drive_run::take_lock;
use super::handover::stop_run;
use super::{Environment, JobError};

/// `pause` and `resume`
#[derive(Debug, Clone)]
pub struct PauseRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive.
    pub drive: Drive,
}

/// Keeps runs of the drive from starting, and ends the one that it has.
///
/// # Errors
/// When that cannot be written down, or a run does not end.
pub fn pause(request: &PauseRequest, env: &Environment<'_>) -> Result<(), JobError> {
    let PauseRequest { common, drive } = request;
    let name = &drive.name;
    // First the word, then the run: one that starts in between takes its lock, and then looks for the word.
    let paused = env.store.pause(drive.guid, (env.clock)()).map_err(not(format!("{name} is not paused")))?;
    let text = format!(
        "{}: no run of it starts before `{} resume {name}`.",
        told(request, paused, env),
        common.command
    );
    env.sink.event(Event::Note { text });
    match take_lock(env, drive.guid) {
        Ok(_) => {}
        Err(JobError::Lock(busy)) if busy.is_run() => {
            stop_run(env, drive, busy)?;
            // How it left the drive is said by its own last line, wherever that is read.
            let members = env.root.members().unwrap_or_default();
            let text = if members.iter().any(|member| member.pool_guid == drive.guid) {
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

/// Lets runs of the drive start again.
///
/// # Errors
/// When it stays paused.
pub fn resume(request: &PauseRequest, env: &Environment<'_>) -> Result<(), JobError> {
    let PauseRequest { common, drive } = request;
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

fn told(request: &PauseRequest, paused: Paused, env: &Environment<'_>) -> String {
    format!("{} is paused{}", request.drive.name, since(paused, env))
}

/// ` since 2026-11-23 04:00`, by the clock on the wall.
pub(super) fn since(paused: Paused, env: &Environment<'_>) -> String {
    paused.since.map_or(String::new(), |at| {
        format!(" since {}", at.to_zoned(env.zone.clone()).strftime("%Y-%m-%d %H:%M"))
    })
}
