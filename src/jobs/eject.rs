//! `eject`: export and power off, nothing else. Also finishes what a run could not.

use std::time::{Duration, Instant};

use crate::config::request::EjectRequest;
use crate::event::Event;
use crate::execute::session::{Session, Wanted};
use crate::zfs::argv::Access;

use super::drive_run::take_lock;
use super::run::after;
use super::{DriveResult, Environment};

/// Exports the drive's pool where it is imported, and powers the drive off.
///
/// # Errors
/// When the drive is not connected, or a run has it.
pub fn eject(request: &EjectRequest, env: &Environment<'_>) -> DriveResult {
    let started = Instant::now();
    let drive = &request.drive;
    let name = drive.name.as_str();
    let _lock = take_lock(env, drive.guid)?;
    let host = env.host();
    let wanted = Wanted {
        drive: name,
        pool: &drive.pool,
        guid: drive.guid,
        access: Access::ReadWrite,
        wait: Duration::ZERO,
        last_used_by: None,
        lost: None,
    };
    let session = Session::find(&host, &wanted)?;
    let guarded = session.guard(&host);
    let host = Environment { cancel: &guarded, ..*env }.host();
    let unplug = session.close(&host, after(drive.power_off), true);
    let summary = env.nothing_sent(name, started, unplug);
    env.sink.event(Event::DriveFinished(summary.clone()));
    Ok(summary)
}
