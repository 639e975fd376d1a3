//! The way to a drive's files: its session, its datasets, its keys.

use std::path::PathBuf;

use crate::config::Drive;
use crate::config::request::Wait;
use crate::event::{Event, ImportHow};
use crate::execute::chain;
use crate::execute::files::Keyring;
use crate::execute::session::{Session, open_directory};
use crate::model::{Dataset, Guid, Side};
use crate::zfs::argv::{self, Access};

use super::super::connected::{patience, wanted};
use super::super::drive_run::{check_name, not_listed};
use super::super::{Environment, JobError};
use super::FilesError;

/// How it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Was {
    /// Not imported, or left by something that died.
    Closed,
    /// Open, by `zferry open`.
    Open,
    /// Imported by somebody else.
    Elsewhere,
}

/// Where the drive's datasets are mounted for its user.
pub(super) fn directory_of(env: &Environment<'_>, drive: &Drive) -> PathBuf {
    open_directory(env.locks, drive.name.as_str())
}

/// Where its snapshots are mounted, one after the other, for us alone.
pub(super) fn snapshot_directory(env: &Environment<'_>, drive: Guid) -> PathBuf {
    env.locks.join("restore").join(drive.to_string())
}

/// The drive's session, read-only. Its lock must be held.
pub(super) fn reach(env: &Environment<'_>, drive: &Drive, wait: Wait) -> Result<(Session, Was), JobError> {
    let host = env.host();
    let wanted = wanted(drive, Access::ReadOnly, patience(wait, env));
    if let Some(session) = Session::find_opened(&host, &wanted)? {
        if session.is_away() {
            return Err(FilesError::PulledOut { drive: drive.name.to_string() }.into());
        }
        let open = !session.mounted_below(&host, &directory_of(env, drive)).is_empty();
        return Ok((session, if open { Was::Open } else { Was::Closed }));
    }
    let session = Session::open(&host, &wanted)?;
    let was = if session.how == ImportHow::Foreign { Was::Elsewhere } else { Was::Closed };
    Ok((session, was))
}

/// What the pool has.
pub(in super::super) fn datasets(
    env: &Environment<'_>,
    drive: &Drive,
    session: &Session,
) -> Result<Side, JobError> {
    check_name(drive.name.as_str(), &drive.pool, session)?;
    let listed = env.client().datasets([&session.pool]).map_err(not_listed)?;
    Ok(Side { datasets: listed.into_iter().map(|dataset| (dataset.name.clone(), dataset)).collect() })
}

/// Loads the key of a dataset, if it has one.
pub(in super::super) fn unlock(
    env: &Environment<'_>,
    keys: &mut Keyring<'_>,
    side: &Side,
    dataset: &Dataset,
) -> Result<(), FilesError> {
    let Some(encryption) = &dataset.encryption else { return Ok(()) };
    let root = side.get(&encryption.root).and_then(|root| root.encryption.as_ref()).unwrap_or(encryption);
    Ok(keys.open(&env.client(), &encryption.root, root.key, &root.wanted)?)
}

/// Forgets the keys that were loaded, in a pool that stays imported.
pub(in super::super) fn unload(env: &Environment<'_>, keys: &Keyring<'_>) {
    if env.cancel.lost().is_some() {
        return;
    }
    for root in keys.loaded() {
        if let Err(error) = env.client().run(&argv::unload_key(root)) {
            let text = format!("The key of {root} is still loaded: {}.", chain(&error));
            env.sink.event(Event::Warning { text });
        }
    }
}

/// Whether to go on.
pub(in super::super) fn go_on(env: &Environment<'_>, drive: &Drive) -> Result<(), FilesError> {
    if let Some(why) = env.cancel.lost() {
        return Err(FilesError::Lost { drive: drive.name.to_string(), why });
    }
    if env.cancel.is_requested() { Err(FilesError::Interrupted) } else { Ok(()) }
}
