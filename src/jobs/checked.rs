//! A drive that is looked into and let go again: how `verify`, its drill and `rehearse` begin and end.

use std::time::Instant;

use crate::config::Drive;
use crate::config::request::Wait;
use crate::event::{Event, Summary, Unplug};
use crate::execute::session::Session;
use crate::plan::Afterwards;
use crate::report::summary::truth;
use crate::zfs::argv::Access;

use super::connected::{patience, wanted};
use super::drive_run::{check_name, take_lock};
use super::run::after;
use super::{DriveResult, Environment, JobError};

/// How the drive is to be opened.
pub(super) struct Visit<'a> {
    pub drive: &'a Drive,
    pub access: Access,
    pub wait: Wait,
    /// The command that the user typed.
    pub retry: &'a str,
}

/// Opens the drive, has it checked, and lets it go, whatever came of it. What is wrong is counted in `failed`. The work
/// is told whether the pool stays imported.
///
/// # Errors
/// When the drive cannot be used, or was not checked to the end.
pub(super) fn checked(
    visit: &Visit<'_>,
    env: &Environment<'_>,
    work: impl FnOnce(&Environment<'_>, &Session, bool) -> Result<usize, JobError>,
) -> DriveResult {
    let started = Instant::now();
    let drive = visit.drive;
    let _lock = take_lock(env, drive.guid)?;
    let host = env.host();
    let wanted = wanted(drive, visit.access, patience(visit.wait, env));
    let mut session = Session::open(&host, &wanted)?;
    let guarded = session.guard(&host);
    let env = &Environment { cancel: &guarded, ..*env };
    let imported = session.stays_imported(false);
    let afterwards = Afterwards { retry: visit.retry, imported };
    // A drive with damage is not ONLINE any more, and is what this is for.
    let examined = session.examine(&env.host(), Access::ReadOnly, &afterwards);
    let result = examined
        .map_err(JobError::from)
        .and_then(|()| check_name(wanted.drive, &drive.pool, &session))
        .and_then(|()| work(env, &session, imported));
    let unplug = session.close(&env.host(), after(drive.power_off), false);
    let failed = result.as_ref().map_or(1, |wrong| *wrong);
    let summary = Summary { failed, ..env.nothing_sent(wanted.drive, started, unplug) };
    if let Unplug::Gone { why, .. } = &summary.unplug {
        let (drive, why) = (wanted.drive.to_owned(), why.clone());
        env.sink.event(Event::Lost { drive, why, attached: false });
    }
    env.sink.event(Event::Note { text: truth(wanted.drive, &summary.unplug).text });
    // That the drive is gone says it all, and is the last that is said.
    if matches!(summary.unplug, Unplug::Gone { .. }) { Ok(summary) } else { result.map(|_| summary) }
}
