//! `stream export`: one snapshot of any pool that is imported, as a file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::archive;
use super::save::SaveError;
use super::send::{NotSaved, Order, Sender};
use crate::event::Event;
use crate::jobs::Environment;
use crate::model::{Bytes, Dataset, Guid, SendMode, SnapshotName};
use crate::process::System;
use crate::report::text::duration;
use crate::stream::Manifest;
use crate::zfs::ZfsError;
use crate::zfs::argv::Reach;
use crate::zfs::error::Kind;
use crate::zfs::parse::Listed;

/// `stream export`
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The snapshot.
    pub snapshot: SnapshotName,
    /// What the receiver has already: a snapshot (`@…`) or a bookmark (`#…`) of the same dataset.
    pub from: Option<String>,
    /// The file, which is not there yet.
    pub file: PathBuf,
    /// Raw; or plain, which whoever has the file can read.
    pub mode: SendMode,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is never replaced.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// It is not there.
    #[error("there is no {0} here")]
    NoSnapshot(String),
    /// Nobody asked for one that can be read.
    #[error("{0} is not encrypted, and whoever has the file could read it")]
    Plaintext(SnapshotName),
    /// A question to ZFS.
    #[error(transparent)]
    Zfs(#[from] SaveError),
    /// It was not written.
    #[error("{snapshot} was not written to {}", file.display())]
    NotSaved {
        /// The snapshot.
        snapshot: SnapshotName,
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Box<NotSaved>,
    },
}

impl ExportError {
    /// What can be done.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Exists(_) => vec!["another name".to_owned()],
            Self::NoSnapshot(name) => {
                let dataset = name.split(['@', '#']).next().unwrap_or_default();
                vec![
                    format!("zfs list -t snapshot,bookmark {}", crate::process::quoted(dataset)),
                    "of a drive: `zferry open DRIVE` first".to_owned(),
                ]
            }
            Self::Plaintext(_) => vec!["--plain, if that is meant".to_owned()],
            Self::Zfs(error) => error.hints(),
            Self::NotSaved { .. } => Vec::new(),
        }
    }

    /// Whether somebody has stopped it.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Zfs(SaveError::Interrupted) => true,
            Self::NotSaved { source, .. } => matches!(**source, NotSaved::Interrupted),
            _ => false,
        }
    }

    /// What kind of trouble ZFS has.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Zfs(SaveError::Zfs { source, .. }) => source.kind(),
            Self::NotSaved { source, .. } => match &**source {
                NotSaved::Zfs(error) => error.kind(),
                _ => Kind::Other,
            },
            _ => Kind::Other,
        }
    }
}

/// Writes it.
///
/// # Errors
/// When there is no file then.
pub fn export(request: &ExportRequest, env: &Environment<'_>, system: &System) -> Result<(), ExportError> {
    let ExportRequest { snapshot, file, .. } = request;
    let beside = archive::beside(file);
    if let Some(there) = [file, &beside].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(ExportError::Exists(there.clone()));
    }
    let sender = Sender::new(env, system, request.mode)?;
    let (dataset, listed) = look(snapshot, env)?;
    if dataset.encryption.is_none() && request.mode == SendMode::Raw {
        return Err(ExportError::Plaintext(snapshot.clone()));
    }
    let guid = |name: &str| {
        listed
            .iter()
            .find(|(listed, _)| listed == name)
            .map(|(_, guid)| *guid)
            .ok_or_else(|| ExportError::NoSnapshot(name.to_owned()))
    };
    let from = match &request.from {
        None => None,
        Some(base) => Some((base.clone(), guid(&format!("{}{base}", snapshot.dataset))?)),
    };
    let order = Order {
        dataset: &dataset,
        guid: guid(&snapshot.to_string())?,
        snapshot: snapshot.clone(),
        from,
        mode: request.mode,
        ivset: sender.ivsets([snapshot]).remove(snapshot),
    };
    let (bytes, started) = write(&order, file, &beside, &sender).map_err(|source| ExportError::NotSaved {
        snapshot: snapshot.clone(),
        file: file.clone(),
        source: Box::new(source),
    })?;
    let text = format!("Saved {snapshot} as {}: {bytes} in {}.", file.display(), duration(started.elapsed()));
    env.sink.event(Event::Note { text });
    Ok(())
}

fn write(
    order: &Order<'_>,
    file: &Path,
    beside: &Path,
    sender: &Sender<'_>,
) -> Result<(Bytes, Instant), NotSaved> {
    let started = Instant::now();
    let estimate = sender.estimate(order)?;
    let (aside, manifest) = sender.send(order, archive::directory_of(file), estimate)?;
    let unwritable = |source| NotSaved::File { path: file.to_owned(), source };
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| unwritable(std::io::Error::other("its name is not UTF-8 text")))?;
    let manifest = Manifest { file: name.to_owned(), ..manifest };
    archive::put(aside, file, &manifest).map_err(unwritable)?;
    log::debug!("{}", beside.display());
    Ok((Bytes(manifest.bytes), started))
}

/// The dataset, and the guids of its snapshots and bookmarks.
fn look(
    snapshot: &SnapshotName,
    env: &Environment<'_>,
) -> Result<(Dataset, Vec<(String, Guid)>), ExportError> {
    let client = env.client();
    let missing = || ExportError::NoSnapshot(snapshot.to_string());
    let told = |error: ZfsError| match error.kind() {
        Kind::Missing => missing(),
        _ => ExportError::Zfs(SaveError::zfs("what there is cannot be listed")(error)),
    };
    let pool = snapshot.dataset.pool();
    let datasets = client.datasets([&pool]).map_err(told)?;
    let dataset =
        datasets.into_iter().find(|dataset| dataset.name == snapshot.dataset).ok_or_else(missing)?;
    let listed = client.snapshots("snapshot,bookmark", Reach::Itself, [&snapshot.dataset]).map_err(told)?;
    let named = listed.into_iter().map(|one| match one {
        Listed::Snapshot(name, guid, _) => (name.to_string(), guid),
        Listed::Bookmark(name, guid, _) => (name.to_string(), guid),
    });
    Ok((dataset, named.collect()))
}
