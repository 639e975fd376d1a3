//! `eject`: export and power off, nothing else.

use std::time::{Duration, Instant};

use crate::config::Drive;
use crate::config::request::EjectRequest;
use crate::event::{Event, Unplug};
use crate::execute::session::SessionError;
use crate::zfs::argv;

use super::files::let_go;
use super::{DriveResult, Environment, JobError};

/// How long a run that scrubbed gets to export and to power off.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const PAUSE: Duration = Duration::from_millis(250);

/// Exports the drive's pool where it is imported, and powers the drive off.
///
/// # Errors
/// When the drive is not connected, or a run has it.
pub fn eject(request: &EjectRequest, env: &Environment<'_>) -> DriveResult {
    let started = Instant::now();
    let (text, unplug) = match let_go(&request.drive, env, true) {
        Err(JobError::Lock(busy)) if busy.is_scrubbing() => {
            pause(&request.drive, env)?;
            after_scrub(&request.drive, env)?
        }
        other => other?,
    };
    if unplug == Unplug::Untouched {
        env.sink.event(Event::Note { text });
    }
    let summary = env.nothing_sent(request.drive.name.as_str(), started, unplug);
    env.sink.event(Event::DriveFinished(summary.clone()));
    Ok(summary)
}

/// Pauses the scrub of a run that is done but for that. The run sees it, and lets the drive go.
fn pause(drive: &Drive, env: &Environment<'_>) -> Result<(), JobError> {
    let what = "the scrub could not be paused";
    let pools = env.client().pools().map_err(|source| JobError::Zfs { what, source })?;
    // It may have been let go meanwhile.
    let Some(pool) = pools.into_iter().find(|pool| pool.guid == drive.guid) else { return Ok(()) };
    let text = format!("Pausing the scrub of {}; the next run goes on with it.", drive.name);
    env.sink.event(Event::Note { text });
    let paused = env.client().run(&argv::pause_scrub(&pool.name));
    // It may have come to its end meanwhile; what counts is whether the run lets the drive go.
    if let Err(error) = paused {
        log::info!("{what}: {}", crate::execute::chain(&error));
    }
    Ok(())
}

/// The run exports the drive; what it left to do is done here.
fn after_scrub(drive: &Drive, env: &Environment<'_>) -> Result<(String, Unplug), JobError> {
    let started = Instant::now();
    loop {
        match let_go(drive, env, true) {
            Err(JobError::Lock(busy)) if started.elapsed() < PATIENCE && !env.cancel.is_requested() => {
                log::debug!("{busy}");
                std::thread::sleep(PAUSE);
            }
            // Nothing of it is imported: the run exported it, and powered it off.
            Err(JobError::Session(SessionError::Absent { .. })) => {
                let text = format!(
                    "The run that scrubbed {0} has let it go: nothing of it is imported, and it is not connected any more. The last line of that run says how it was left.",
                    drive.name
                );
                return Ok((text, Unplug::Untouched));
            }
            other => return other,
        }
    }
}
