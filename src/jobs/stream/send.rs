//! A stream of one snapshot becomes a file beside the one that it will be: whole, checked, and on the disk.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::NotSound;
use super::archive;
use super::save::SaveError;
use super::write::{NotWritten, Written, write};
use crate::event::{Event, FileWork};
use crate::jobs::Environment;
use crate::model::{Bytes, Dataset, Guid, IvsetGuid, SendMode, SnapshotName};
use crate::process::{Invocation, RunError, System, Tool};
use crate::stream::Manifest;
use crate::zfs::ZfsError;
use crate::zfs::argv::{self, From};
use crate::zfs::version;

/// Why one dataset was not saved.
#[derive(Debug, thiserror::Error)]
pub enum NotSaved {
    /// There is no room for it.
    #[error("it needs about {needed}, and {} has {free}", at.display())]
    NoRoom {
        /// About how long it will be.
        needed: Bytes,
        /// What there is.
        free: Bytes,
        /// Where.
        at: PathBuf,
    },
    /// The file cannot be made, written or named.
    #[error("{} cannot be written", path.display())]
    File {
        /// Which one, or the directory that it is in.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// ZFS does not send it.
    #[error("ZFS does not send it")]
    Zfs(#[source] ZfsError),
    /// What ZFS sent is not whole.
    #[error("what ZFS sent is not whole")]
    NotSound(#[source] NotSound),
    /// What ZFS sent is something else.
    #[error("what ZFS sent is not what was asked for")]
    Other,
    /// Somebody asked us to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What is to be sent.
pub(super) struct Order<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) snapshot: SnapshotName,
    pub(super) guid: Guid,
    /// As an argument, and as it is known.
    pub(super) from: Option<(String, Guid)>,
    pub(super) mode: SendMode,
    /// Of an encrypted snapshot.
    pub(super) ivset: Option<IvsetGuid>,
}

impl Order<'_> {
    fn base(&self) -> From {
        self.from.as_ref().map_or(From::Nothing, |(argument, _)| From::Increment(argument.clone()))
    }

    /// Whether nobody can read it without the key.
    fn stays_encrypted(&self) -> bool {
        self.mode == SendMode::Raw && self.dataset.encryption.is_some()
    }
}

/// Where it comes from.
pub(super) struct Sender<'a> {
    env: &'a Environment<'a>,
    system: &'a System,
    /// Which ZFS sends, for the manifests.
    zfs: String,
}

impl<'a> Sender<'a> {
    /// Of this host, unless its ZFS loses data. What else is known of that is told.
    pub(super) fn new(
        env: &'a Environment<'a>,
        system: &'a System,
        mode: SendMode,
    ) -> Result<Self, SaveError> {
        let versions = env.client().check_tool(Tool::Zfs);
        let versions = versions.map_err(SaveError::zfs("which ZFS this is is not known"))?;
        if let Some(refusal) = version::refusal(&versions) {
            return Err(SaveError::UnsafeZfs(refusal));
        }
        for text in version::advice(&versions, mode == SendMode::Plain) {
            env.sink.event(Event::Warning { text });
        }
        let zfs = versions.module.or(versions.tools).unwrap_or_default();
        Ok(Self { env, system, zfs })
    }

    /// The IV sets of these, for their manifests: nothing depends on them.
    pub(super) fn ivsets<'n>(
        &self,
        snapshots: impl IntoIterator<Item = &'n SnapshotName>,
    ) -> HashMap<SnapshotName, IvsetGuid> {
        let mut snapshots = snapshots.into_iter().peekable();
        if snapshots.peek().is_none() {
            return HashMap::new();
        }
        let named = self.env.client().named_snapshots(snapshots).unwrap_or_else(|error| {
            log::debug!("{error}");
            HashMap::new()
        });
        named.into_iter().filter_map(|(name, (_, ivset))| Some((name, ivset?))).collect()
    }

    /// About how long it will be.
    pub(super) fn estimate(&self, order: &Order<'_>) -> Result<Bytes, NotSaved> {
        let command = argv::estimate(order.mode, &order.base(), &order.snapshot);
        self.env.client().estimate(&command).map_err(asked)
    }

    /// Writes it. The manifest has no name yet.
    pub(super) fn send(
        &self,
        order: &Order<'_>,
        directory: &Path,
        estimate: Bytes,
    ) -> Result<(NamedTempFile, Manifest), NotSaved> {
        room(directory, estimate)?;
        let unwritable = |source| NotSaved::File { path: directory.to_owned(), source };
        let file = archive::aside(directory, order.stays_encrypted()).map_err(unwritable)?;
        let command = argv::send(order.mode, &order.base(), &order.snapshot);
        let written = self.write(&command, &file, estimate, &order.snapshot)?;
        Ok((file, self.manifest(order, &written)?))
    }

    fn write(
        &self,
        command: &Invocation,
        file: &NamedTempFile,
        estimate: Bytes,
        name: &SnapshotName,
    ) -> Result<Written, NotSaved> {
        log::debug!("{command}");
        let what = name.to_string();
        let event = |done: u64, of: u64| {
            let (work, what) = (FileWork::Saving, what.clone());
            self.env.sink.event(Event::OnFile { work, what, done: Bytes(done), of: Bytes(of) });
        };
        let run = |error| asked(ZfsError::Run(error));
        let mut sending = self.system.send(command, self.env.cancel).map_err(run)?;
        // An estimate is none that what is there could not pass.
        let written = write(&mut sending, file.as_file(), &mut |done| event(done, estimate.0.max(done + 1)));
        event(1, 1);
        if self.env.cancel.is_requested() {
            return Err(NotSaved::Interrupted);
        }
        let unwritten =
            |source| NotSaved::File { path: file.path().parent().unwrap_or(file.path()).to_owned(), source };
        let written = match written {
            Err(NotWritten::Disk(source)) => return Err(unwritten(source)),
            Err(NotWritten::NotSound(error)) => Err(error),
            Ok(written) => Ok(written),
        };
        // Why it ended early is its to say.
        let output = sending.finish().map_err(run)?;
        if !output.exit.is_success() {
            return Err(NotSaved::Zfs(ZfsError::failed(command.to_string(), &output)));
        }
        written.map_err(NotSaved::NotSound)
    }

    /// It has to be what was asked for.
    fn manifest(&self, order: &Order<'_>, written: &Written) -> Result<Manifest, NotSaved> {
        let Written { found, blake3 } = written;
        let now = (self.env.clock)();
        let streams = (&found.first, &found.last);
        let manifest = Manifest::new(String::new(), streams, &found.whole, blake3.clone(), now);
        let from = order.from.as_ref().map(|(_, guid)| *guid);
        let is_meant = manifest.guid == order.guid && manifest.from == from;
        if !is_meant || manifest.raw != order.stays_encrypted() {
            return Err(NotSaved::Other);
        }
        Ok(Manifest {
            dataset_guid: Some(order.dataset.guid),
            ivset: order.ivset.map(|ivset| Guid(ivset.0)),
            zfs: Some(self.zfs.clone()),
            ..manifest
        })
    }
}

fn asked(error: ZfsError) -> NotSaved {
    match error {
        ZfsError::Run(RunError::Cancelled) => NotSaved::Interrupted,
        error => NotSaved::Zfs(error),
    }
}

/// A file that does not fit is not begun.
fn room(directory: &Path, needed: Bytes) -> Result<(), NotSaved> {
    let Ok(status) = rustix::fs::statvfs(directory) else { return Ok(()) };
    let free = Bytes(status.f_bavail.saturating_mul(status.f_frsize));
    if needed > free {
        return Err(NotSaved::NoRoom { needed, free, at: directory.to_owned() });
    }
    Ok(())
}
