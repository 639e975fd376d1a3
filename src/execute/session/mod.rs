//! A drive's session: from import to power-off. It is left on every path through [`Session::close`], and only a
//! confirmed export makes [`Exported`], without which nothing is powered off and nobody is told "Safe to unplug".

mod close;
mod damage;
mod encased;
mod import;
mod open;
mod opened;
mod recover;
mod streams;
mod together;

use std::path::{Path, PathBuf};

use crate::drive::{Disk, FindError, Label, Member, PowerOffError, Root, Watcher};
use crate::event::{ImportHow, Sink};
use crate::execute::luks::{Asker, LuksError};
use crate::model::{Guid, LuksUuid, PoolFacts, PoolName};
use crate::process::Cancel;
use crate::zfs::version::{self, Versions};
use crate::zfs::{Client, ZfsError};

pub(super) use close::describe;
pub use close::{After, Exported};
pub use open::{Lost, Wanted};
pub use opened::open_directory;

/// The machine that a session runs on.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Its ZFS.
    pub client: Client<'a>,
    /// Its `/sys` and `/proc`.
    pub root: &'a Root,
    /// Who is told.
    pub sink: &'a dyn Sink,
    /// Who is asked for the passphrase of a LUKS container.
    pub ask: &'a Asker<'a>,
}

/// An imported pool and how it came to be so.
#[derive(Debug)]
pub struct Session {
    /// The drive's name in the configuration, for what is said.
    pub drive: String,
    /// The pool's name now.
    pub pool: PoolName,
    /// The pool's guid.
    pub guid: Guid,
    /// How it came to be imported.
    pub how: ImportHow,
    /// What the pool can do.
    pub facts: PoolFacts,
    /// All pools that are imported, this one among them.
    pub imported: Vec<PoolName>,
    /// Its devices, as udev has them.
    pub members: Vec<Member>,
    /// Error counters when the session began.
    pub errors: u64,
    /// Whether ZFS knew of damaged data then.
    damaged: bool,
    /// Of ZFS on this host; nothing in a session that is only closed.
    pub versions: Versions,
    /// What the labels said before, for a read-only session.
    labels: Vec<Label>,
    /// Found without being imported. Then another pool may have the name, and must not be exported by it (S7).
    found_only: bool,
    /// The LUKS container that it lies in.
    luks: Option<LuksUuid>,
    /// Found in a container that is closed. Then nothing of it can be in use, and there is no label to read.
    locked: bool,
}

impl Session {
    /// The disks that the pool is on.
    pub fn disks(&self) -> Vec<Disk> {
        let mut disks: Vec<Disk> = Vec::new();
        for member in &self.members {
            if !disks.iter().any(|disk| disk.node == member.disk.node) {
                disks.push(member.disk.clone());
            }
        }
        disks
    }

    /// Requests to stop, and the loss of this drive (S13).
    pub fn guard(&self, host: &Host<'_>) -> Cancel {
        guard(host, self.disks(), Some(self.pool.clone()))
    }
}

/// Requests to stop, and the loss of these disks or of the pool on them; of the disks alone while there is no pool, or
/// while it is known to be suspended.
fn guard(host: &Host<'_>, disks: Vec<Disk>, pool: Option<PoolName>) -> Cancel {
    let watcher = Watcher::new(host.root.clone(), disks, pool);
    host.client.cancel().watching(move || watcher.lost())
}

/// Where a pool of this guid is imported below: the mark by which a pool that zferry imported is known again (S7).
pub fn altroot(guid: Guid) -> PathBuf {
    Path::new(super::lock::DIRECTORY).join(guid.to_string())
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The drive is not connected.
    #[error("{drive} is not connected (pool {pool}, guid {guid})")]
    Absent {
        /// Its name in the configuration.
        drive: String,
        /// The pool's name there.
        pool: PoolName,
        /// The pool's guid.
        guid: Guid,
        /// Another drive with a pool of that name, which is connected.
        other: Option<(String, Guid)>,
    },
    /// Somebody asked us to stop while we waited for it.
    #[error("interrupted while waiting for {drive}")]
    Interrupted {
        /// Its name in the configuration.
        drive: String,
    },
    /// Its LUKS container is not open.
    #[error(transparent)]
    Luks(#[from] LuksError),
    /// udev does not answer, or a disk was copied.
    #[error("{drive} cannot be used")]
    Find {
        /// Its name in the configuration.
        drive: String,
        /// Why.
        #[source]
        source: FindError,
    },
    /// The import succeeded, and the pool is not among those that are imported.
    #[error("`zpool import` says that it imported {drive}, and `zpool list` does not have it")]
    Gone {
        /// Its name in the configuration.
        drive: String,
    },
    /// A pool of that name and another guid is imported.
    #[error(
        "a pool named {name} is imported already, and it is another one (guid {imported}, the drive's is {wanted})"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The guid of the one that is imported.
        imported: Guid,
        /// The guid of the drive's pool.
        wanted: Guid,
    },
    /// Another host used it last and did not export it.
    #[error("{drive} was last used by {host}, and was not exported there")]
    ForeignHost {
        /// Its name in the configuration.
        drive: String,
        /// The host's name and number.
        host: String,
    },
    /// The consent named another host.
    #[error("{drive} was last used by {host}, not by {given}")]
    OtherHost {
        /// Its name in the configuration.
        drive: String,
        /// The host's name and number.
        host: String,
        /// What `--last-used-by` said.
        given: String,
    },
    /// The pool is not in a state to be written to.
    #[error("{pool} is not in a state to be written to: {finding}")]
    Unfit {
        /// The pool.
        pool: PoolName,
        /// What was found.
        finding: String,
        /// What the user can do.
        remedy: String,
    },
    /// It was pulled out while it was being imported.
    #[error("{drive} is gone: {why}")]
    Lost {
        /// Its name in the configuration.
        drive: String,
        /// What was seen.
        why: String,
    },
    /// It was pulled out while its pool was imported, and is not as this computer left it. Its pool must not be
    /// taken up again: what the kernel remembers would be written over what is there (S13).
    #[error("{drive} was changed on another computer after it was pulled out here: {evidence}")]
    Changed {
        /// Its name in the configuration.
        drive: String,
        /// What shows it.
        evidence: String,
    },
    /// It is back, and the kernel does not go on with its pool: ZFS has faults there (a raw receive that was cut off
    /// can end in a kernel panic that stops the pool: docs/safety.md, S13).
    #[error("{drive} is back, but the kernel does not go on with its pool: {what}")]
    Stuck {
        /// Its name in the configuration.
        drive: String,
        /// What did not happen.
        what: String,
    },
    /// It is connected, and cannot be read or written to: its pool stays suspended.
    #[error("{drive} answers with errors: {what}")]
    Failing {
        /// Its name in the configuration.
        drive: String,
        /// What was seen.
        what: String,
    },
    /// `zfs` or `zpool` does not answer as it should. Known before the drive is touched.
    #[error("the tools of ZFS do not work")]
    Tools(#[source] ZfsError),
    /// This version of ZFS would ruin backups. Known before the drive is touched.
    #[error("{}", .0.finding)]
    UnsafeZfs(version::Refusal),
    /// A request on ZFS did not work out.
    #[error("{what}")]
    Zfs {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: ZfsError,
    },
}

/// Whether a power-off that was not tried is worth a warning: behind anything but USB there is nothing to switch off.
fn is_worth_a_warning(error: &PowerOffError) -> bool {
    !matches!(error, PowerOffError::Unsupported { .. })
}
