//! A pool that `zferry open` left imported: read-only, below zferry's own root directory, with something of it mounted.
//!
//! When its drive is pulled out, everything depends on whether somebody reads from it then. If nobody does, the pool can be
//! exported as ever. If somebody does, ZFS suspends it, refuses to go on with it even when the drive is back ("cannot clear
//! errors: pool is read-only") and to export it, and only a restart ends that (measured with ZFS 2.4.4; other pools go on).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::drive::{self, Label, Mounted, Watcher};
use crate::event::ImportHow;
use crate::process::Invocation;
use crate::zfs::argv;
use crate::zfs::parse::Imported;

use super::open::{LABEL, Wanted, members};
use super::recover::unfit;
use super::{Host, Session, SessionError, altroot};
use crate::execute::{lock, luks};

/// For the export of a pool whose drive is gone: it answers at once or not at all.
const GONE: Duration = Duration::from_secs(60);

/// Where a drive's datasets are mounted for its user, below the directory of the locks.
pub fn open_directory(locks: &Path, drive: &str) -> PathBuf {
    locks.join("open").join(drive)
}

impl Session {
    /// The pool, if zferry has imported it read-only: it is open, or something that looked died.
    ///
    /// # Errors
    /// When it cannot be said, or ZFS does not go on with the pool.
    pub fn find_opened(host: &Host<'_>, wanted: &Wanted<'_>) -> Result<Option<Self>, SessionError> {
        let imported = host.client.pools().map_err(SessionError::Tools)?;
        Self::opened_among(host, wanted, &imported)
    }

    pub(super) fn opened_among(
        host: &Host<'_>,
        wanted: &Wanted<'_>,
        imported: &[Imported],
    ) -> Result<Option<Self>, SessionError> {
        let marked = |pool: &&Imported| {
            let root = pool.altroot.as_deref().map(Path::new);
            pool.guid == wanted.guid && pool.readonly && root == Some(&altroot(wanted.guid))
        };
        let Some(pool) = imported.iter().find(marked) else { return Ok(None) };
        refuse_if_suspended(host, pool)?;
        let members = members(host, wanted).unwrap_or_default();
        // What they say is what they said before: nothing was written since.
        let labels: Vec<Label> =
            members.iter().filter_map(|member| host.root.label(&member.node, LABEL).ok()).collect();
        let found = Self::new(wanted, pool.name.clone(), ImportHow::ReadOnly, members, labels);
        Ok(Some(found.beside(imported)))
    }

    /// Whether its drive is not connected any more.
    pub fn is_away(&self) -> bool {
        self.members.is_empty()
    }

    /// What of it is mounted below this directory, oldest first.
    pub fn mounted_below(&self, host: &Host<'_>, directory: &Path) -> Vec<Mounted> {
        let mounts = drive::mounts_of(host.root, &self.pool).unwrap_or_default();
        mounts.into_iter().filter(|mounted| mounted.point.starts_with(directory)).collect()
    }

    /// Exports a pool whose drive is gone and that nobody reads from. Nothing is written to it, so nothing is waited for.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn export_without_drive(&self, host: &Host<'_>) -> Result<(), String> {
        let export = Invocation { deadline: GONE, ..argv::export(&self.pool) };
        host.client.run(&export).map(drop).map_err(|error| self.why_not(host, &error))?;
        if let Some(uuid) = &self.luks {
            luks::close_dead(host, uuid);
        }
        Ok(())
    }
}

/// Whether something of it is mounted for its user. What a look that died left is not: the next run exports that.
pub(super) fn is_open(host: &Host<'_>, pool: &Imported) -> bool {
    let directory = open_directory(Path::new(lock::DIRECTORY), "");
    let mounts = drive::mounts_of(host.root, &pool.name).unwrap_or_default();
    mounts.iter().any(|mounted| mounted.point.starts_with(&directory))
}

/// It is not closed by a run: somebody may be looking into it.
pub(super) fn unfit_since_open(wanted: &Wanted<'_>, pool: &Imported) -> SessionError {
    let finding = "it is open, to be looked into".to_owned();
    let remedy = format!("zferry close {}", wanted.drive);
    SessionError::Unfit { pool: pool.name.clone(), finding, remedy }
}

/// Its drive was pulled out while somebody read from it.
pub(super) fn refuse_if_suspended(host: &Host<'_>, pool: &Imported) -> Result<(), SessionError> {
    if Watcher::is_suspended(host.root, &pool.name) {
        return Err(unfit(&pool.name, "restart this computer, then type the same again".to_owned()));
    }
    Ok(())
}
