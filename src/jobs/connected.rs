//! Which of the configured drives are meant and how long to wait for them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config::Drive;
use crate::config::request::{Selection, Wait};
use crate::drive::{Member, Root, find_luks};
use crate::event::Event;
use crate::execute::session::Wanted;
use crate::zfs::argv::Access;

use super::{Environment, JobError};

/// A person who typed the command looks for the drive this long.
const PERSON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// How long to wait for a drive.
pub fn patience(wait: Wait, env: &Environment<'_>) -> Duration {
    match wait {
        Wait::Unsaid if env.interactive => PERSON,
        Wait::Unsaid => Duration::ZERO,
        Wait::Forever => Duration::MAX,
        Wait::For(time) => time,
    }
}

/// The drive as it is configured, to be opened in this way: not as another host's, and not as one that was lost.
pub fn wanted(drive: &Drive, access: Access, wait: Duration) -> Wanted<'_> {
    Wanted {
        drive: drive.name.as_str(),
        pool: &drive.pool,
        guid: drive.guid,
        luks: drive.luks.as_ref(),
        access,
        wait,
        last_used_by: None,
        lost: None,
    }
}

/// Where a drive is connected: the device of its pool, or that of its LUKS container, open or not.
pub fn device(drive: &Drive, members: &[Member], root: &Root) -> Option<PathBuf> {
    match &drive.luks {
        Some(luks) => find_luks(root, &luks.uuid).ok().flatten().map(|device| device.node),
        None => {
            members.iter().find(|member| member.pool_guid == drive.guid).map(|member| member.node.clone())
        }
    }
}

/// The drives that are meant: those that were named, or those that are connected.
///
/// # Errors
/// When nobody named one and none is connected, also after waiting.
pub fn select<'a>(
    drives: &'a [Drive],
    selection: Selection,
    wait: Wait,
    env: &Environment<'_>,
) -> Result<Vec<&'a Drive>, JobError> {
    if selection == Selection::Named || drives.len() == 1 {
        return Ok(drives.iter().collect());
    }
    let patience = patience(wait, env);
    let started = Instant::now();
    let names: Vec<_> = drives.iter().map(|drive| drive.name.to_string()).collect();
    let mut told = false;
    loop {
        let members = env.root.members().unwrap_or_default();
        let is_there = |drive: &&Drive| device(drive, &members, env.root).is_some();
        let connected: Vec<_> = drives.iter().filter(is_there).collect();
        if !connected.is_empty() {
            return Ok(connected);
        }
        if env.cancel.is_requested() {
            return Err(JobError::Interrupted);
        }
        if started.elapsed() >= patience {
            return Err(JobError::NoneConnected(names.join(", ")));
        }
        if !told {
            told = true;
            let drive = names.join(" or ");
            env.sink.event(Event::waiting(drive, patience));
        }
        std::thread::sleep(PAUSE);
    }
}
