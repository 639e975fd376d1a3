//! `rescue-page`: the page of the rescue file system, for a drive that has no room for one. The drive is only read.

use std::time::{Duration, Instant};

use crate::config::Drive;
use crate::config::request::Common;
use crate::event::{Event, Summary};
use crate::execute::session::{After, Session};
use crate::model::Consents;
use crate::plan::rescue::{Facts, Program, page};
use crate::report::summary::truth;
use crate::zfs::argv::Access;

use super::connected::wanted;
use super::drive_run::{check_name, not_listed, take_lock};
use super::rescue::look;
use super::{Environment, JobError};

/// `rescue-page`
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive.
    pub drive: Drive,
}

/// The page, and how it ended with the drive.
///
/// # Errors
/// When the drive cannot be used.
pub fn rescue_page(request: &PageRequest, env: &Environment<'_>) -> Result<(String, Summary), JobError> {
    let (started, drive) = (Instant::now(), &request.drive);
    let _lock = take_lock(env, drive.guid)?;
    let name = drive.name.as_str();
    let wanted = wanted(drive, Access::ReadOnly, Duration::ZERO);
    let session = Session::open(&env.host(), &wanted)?;
    let guarded = session.guard(&env.host());
    let env = &Environment { cancel: &guarded, ..*env };
    let written = check_name(name, &drive.pool, &session).and_then(|()| write(request, env, &session));
    let unplug = session.close(&env.host(), After::Export, false);
    let summary = env.nothing_sent(name, started, unplug);
    env.sink.event(Event::Note { text: truth(name, &summary.unplug).text });
    Ok((written?, summary))
}

fn write(request: &PageRequest, env: &Environment<'_>, session: &Session) -> Result<String, JobError> {
    let drive = &request.drive;
    let (side, details) = look(env, session).map_err(not_listed)?;
    let policies = drive.policies(&Consents::default());
    Ok(page(&Facts {
        drive: drive.name.as_str(),
        pool: &session.pool,
        guid: session.guid,
        luks: drive.luks.as_ref().map(|luks| &luks.uuid),
        host: &request.common.host,
        version: env!("CARGO_PKG_VERSION"),
        now: (env.clock)(),
        side: &side,
        details: &details,
        policies: &policies,
        config: "",
        program: &Program::LeftOut(String::new()),
        printed: true,
    }))
}
