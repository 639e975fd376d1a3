//! `close`: what `open` did is undone, and the drive is let go. `eject` does the same, also with what others imported.

use std::time::{Duration, Instant};

use crate::config::Drive;
use crate::event::{Event, ImportHow, Summary, Unplug};
use crate::execute::session::Session;
use crate::zfs::argv::Access;

use super::super::connected::wanted;
use super::super::drive_run::take_lock;
use super::super::run::after;
use super::super::{DriveResult, Environment, JobError};
use super::open::remove_directories;
use super::reach::{directory_of, snapshot_directory};
use super::{CloseRequest, FilesError};

/// Unmounts, exports, confirms and powers off.
///
/// # Errors
/// When the drive is not there, or something else has it.
pub fn close(request: &CloseRequest, env: &Environment<'_>) -> DriveResult {
    let started = Instant::now();
    let (text, unplug) = let_go(&request.drive, env, false)?;
    env.sink.event(Event::Note { text });
    Ok(Summary { ..env.nothing_sent(request.drive.name.as_str(), started, unplug) })
}

/// Ends whatever session there is: the sentence about it, and whether the drive may be unplugged.
pub(in crate::jobs) fn let_go(
    drive: &Drive,
    env: &Environment<'_>,
    export_foreign: bool,
) -> Result<(String, Unplug), JobError> {
    let name = drive.name.as_str();
    let _lock = take_lock(env, drive.guid)?;
    let host = env.host();
    let wanted = wanted(drive, Access::ReadWrite, Duration::ZERO);
    let session = Session::find(&host, &wanted)?;
    if session.how == ImportHow::ReadOnly && session.is_away() {
        session
            .export_without_drive(&host)
            .map_err(|why| FilesError::NotLetGo { drive: name.to_owned(), why })?;
        remove_all_directories(env, drive);
        let text = format!(
            "{name} was pulled out while it was open. It is closed now: nothing of it is mounted or imported, and nothing on it was changed."
        );
        return Ok((text, Unplug::Untouched));
    }
    let guarded = session.guard(&host);
    let host = Environment { cancel: &guarded, ..*env }.host();
    // The export unmounts what is mounted, and forgets the keys.
    let unplug = session.close(&host, after(drive.power_off), export_foreign);
    remove_all_directories(env, drive);
    let text = crate::report::summary::truth(name, &unplug).text;
    Ok((text, unplug))
}

/// Those that things were mounted on: by `open`, and by a restore that was killed or lost its drive.
fn remove_all_directories(env: &Environment<'_>, drive: &Drive) {
    remove_directories(&directory_of(env, drive));
    let _ = std::fs::remove_dir(snapshot_directory(env, drive.guid));
}
