//! `stream save`: each dataset's newest state becomes a file, a full stream or an increment.
//!
//! A file gets its name only when it was read to its end while it was written, is found whole, and lies on the disk. The source
//! then keeps a bookmark of what the next increment builds on, and lets go of what was taken for the one before.

mod error;
mod one;
mod tidy;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

pub use error::SaveError;

use self::one::Saver;
use super::archive::{self, Archive};
use super::prune;
use super::send::{NotSaved, Sender};
use crate::config::Stream;
use crate::event::Event;
use crate::jobs::Environment;
use crate::model::{Bytes, Dataset, DatasetName, Side, Snapshot, SnapshotName};
use crate::observe::observe_saved;
use crate::plan::saving::{
    Unsaved, Verdict, collision, datasets, decide, directory_of, taken_name, wants_snapshot,
};
use crate::process::System;
use crate::report::text::count;
use crate::zfs::argv;
use crate::zfs::parse::Listed;

/// What became of one `[streams.NAME]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaveSummary {
    /// Datasets of which a file was written.
    pub saved: usize,
    /// Datasets of which there was nothing new.
    pub up_to_date: usize,
    /// Datasets of which none was, and should have been.
    pub failed: usize,
    /// What was written.
    pub bytes: u64,
}

impl SaveSummary {
    /// The last line.
    pub fn sentence(&self, stream: &Stream) -> String {
        let mut parts = Vec::new();
        if self.saved > 0 {
            let (saved, bytes) = (count(self.saved, "dataset"), Bytes(self.bytes));
            parts.push(format!("saved {saved}, {bytes}, in {}", stream.directory.display()));
        }
        if self.up_to_date > 0 {
            parts.push(format!("nothing new in {}", count(self.up_to_date, "dataset")));
        }
        if self.failed > 0 {
            parts.push(format!("{} not saved", count(self.failed, "dataset")));
        }
        format!("{}: {}.", stream.name, parts.join("; "))
    }
}

/// One dataset, with what there is of it.
struct Subject<'a> {
    dataset: &'a Dataset,
    directory: PathBuf,
    archive: Archive,
}

/// Saves.
///
/// # Errors
/// When nothing could be begun. What was not saved of single datasets is told, and counted.
pub fn save(stream: &Stream, env: &Environment<'_>, system: &System) -> Result<SaveSummary, SaveError> {
    let _lock = lock(&stream.directory)?;
    env.sink.event(Event::StreamStarted {
        stream: stream.name.to_string(),
        source: stream.policy.source.clone(),
        directory: stream.directory.clone(),
    });
    let sender = Sender::new(env, system, stream.policy.send)?;
    let source = look(stream, env)?;
    let meant = datasets(&stream.policy, &source);
    if meant.is_empty() {
        return Err(SaveError::NoSource(stream.policy.source.clone()));
    }
    let names: Vec<_> = meant.iter().map(|dataset| &dataset.name).collect();
    if let Some((first, second)) = collision(&names) {
        return Err(SaveError::Collision { first: first.clone(), second: second.clone() });
    }
    let mut subjects =
        meant.into_iter().map(|dataset| subject(stream, dataset, env)).collect::<Result<Vec<_>, _>>()?;
    let taken = take(stream, &subjects, env)?;
    let summary = write_all(&Saver { stream, env, sender }, &mut subjects, &taken);
    // Also what was done before somebody asked to stop.
    tidy::tidy(stream, &subjects, &taken, env);
    if env.cancel.is_requested() {
        return Err(SaveError::Interrupted);
    }
    if summary.failed == 0 {
        for subject in &mut subjects {
            prune::prune(stream, &mut subject.archive, &mut prune::Pruned::default(), env);
        }
    }
    env.sink.event(Event::Note { text: summary.sentence(stream) });
    Ok(summary)
}

/// One at a time, as long as this is held.
pub(super) fn lock(directory: &Path) -> Result<File, SaveError> {
    let unusable = |source| SaveError::Directory { path: directory.to_owned(), source };
    match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SaveError::NoDirectory(directory.to_owned()));
        }
        Err(error) => return Err(unusable(error)),
        Ok(metadata) if !metadata.is_dir() => return Err(unusable(Errno::NOTDIR.into())),
        Ok(_) => {}
    }
    let path = directory.join(".zferry.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(SaveError::Busy(directory.to_owned())),
        Err(errno) => Err(unusable(errno.into())),
    }
}

/// The source as it is, with what was written a moment ago: ZFS tells of that only when it is on the disk.
fn look(stream: &Stream, env: &Environment<'_>) -> Result<Side, SaveError> {
    let client = env.client();
    let source = &stream.policy.source;
    let imported = client.pools().map_err(SaveError::zfs("the pools cannot be listed"))?;
    if !imported.iter().any(|pool| pool.name == source.pool()) {
        return Err(SaveError::NoSource(source.clone()));
    }
    client.run(&argv::sync(&source.pool())).map_err(SaveError::zfs("the source's pool cannot be synced"))?;
    observe_saved(&client, &stream.policy).map_err(SaveError::zfs("the source cannot be listed"))
}

fn subject<'a>(
    stream: &Stream,
    dataset: &'a Dataset,
    env: &Environment<'_>,
) -> Result<Subject<'a>, SaveError> {
    let directory = stream.directory.join(directory_of(&dataset.name));
    let unusable = |source| SaveError::Directory { path: directory.clone(), source };
    if directory.exists() {
        archive::clean(&directory).map_err(unusable)?;
    }
    let archive = Archive::read(&directory).map_err(unusable)?;
    for text in archive.troubles.iter().cloned().chain(lacking(&archive)) {
        env.sink.event(Event::Warning { text });
    }
    Ok(Subject { dataset, directory, archive })
}

/// Files that a manifest knows, and that are not what they were.
fn lacking(archive: &Archive) -> impl Iterator<Item = String> + '_ {
    archive.entries.iter().filter(|entry| !entry.is_there()).map(|entry| {
        let what = if entry.length.is_some() { "is not as long as it was" } else { "is gone" };
        format!("{} {what}; it is saved again if something builds on it.", entry.path.display())
    })
}

/// One snapshot of all that changed, at one moment, with the guids that they got.
fn take(
    stream: &Stream,
    subjects: &[Subject<'_>],
    env: &Environment<'_>,
) -> Result<HashMap<DatasetName, Snapshot>, SaveError> {
    let wants =
        |subject: &&Subject<'_>| wants_snapshot(&stream.policy, subject.dataset, &subject.archive.saved());
    let new: Vec<&DatasetName> = subjects.iter().filter(wants).map(|subject| &subject.dataset.name).collect();
    if new.is_empty() {
        return Ok(HashMap::new());
    }
    let untaken = || "no snapshot could be taken".to_owned();
    let contradiction = |message: String| SaveError::Zfs {
        what: untaken(),
        source: crate::zfs::ZfsError::Contradiction { command: "zfs snapshot".to_owned(), message },
    };
    let name =
        taken_name(&stream.policy.name, (env.clock)()).map_err(|error| contradiction(error.to_string()))?;
    let client = env.client();
    client.run(&argv::take_snapshot(&name, new.iter().copied())).map_err(SaveError::zfs(&untaken()))?;
    let named = new.iter().map(|dataset| dataset.snapshot(&name)).collect::<Result<Vec<SnapshotName>, _>>();
    let named = named.map_err(|error| contradiction(error.to_string()))?;
    let listed = client.taken(&named).map_err(SaveError::zfs("what was taken cannot be listed"))?;
    let count = count(new.len(), "dataset");
    env.sink.event(Event::Note { text: format!("{}: took @{name} of {count}.", stream.name) });
    let taken = listed.into_iter().filter_map(|one| match one {
        Listed::Snapshot(name, guid, txg) => Some((name.dataset, Snapshot { name: name.snap, guid, txg })),
        Listed::Bookmark(..) => None,
    });
    let taken: HashMap<DatasetName, Snapshot> = taken.collect();
    match new.into_iter().find(|dataset| !taken.contains_key(*dataset)) {
        Some(lacking) => Err(contradiction(format!("{lacking}@{name} is not there"))),
        None => Ok(taken),
    }
}

fn write_all(
    saver: &Saver<'_>,
    subjects: &mut [Subject<'_>],
    taken: &HashMap<DatasetName, Snapshot>,
) -> SaveSummary {
    let Saver { stream, env, .. } = *saver;
    let verdict = |subject: &Subject<'_>| {
        let new = taken.get(&subject.dataset.name).cloned();
        decide(&stream.policy, subject.dataset, new, &subject.archive.saved(), &env.now())
    };
    let verdicts: Vec<Verdict> = subjects.iter().map(verdict).collect();
    let named = |(subject, verdict): (&Subject<'_>, &Verdict)| match verdict {
        Verdict::Save(saving) => subject.dataset.name.snapshot(&saving.snapshot.name).ok(),
        _ => None,
    };
    let names: Vec<SnapshotName> = subjects.iter().zip(&verdicts).filter_map(named).collect();
    let ivsets = saver.sender.ivsets(&names);
    let mut summary = SaveSummary::default();
    for (subject, verdict) in subjects.iter_mut().zip(&verdicts) {
        if env.cancel.is_requested() {
            break;
        }
        match verdict {
            Verdict::UpToDate => summary.up_to_date += 1,
            Verdict::Refused(why) => {
                summary.failed += 1;
                tell(env, &subject.dataset.name, why.to_string(), remedies(stream, subject.dataset, *why));
            }
            Verdict::Save(saving) => match saver.save(subject, saving, &ivsets) {
                Ok(entry) => {
                    summary.saved += 1;
                    summary.bytes += entry.manifest.bytes;
                    subject.archive.entries.push(entry);
                }
                Err(NotSaved::Interrupted) => break,
                Err(error) => {
                    summary.failed += 1;
                    tell(env, &subject.dataset.name, crate::execute::chain(&error), Vec::new());
                }
            },
        }
    }
    summary
}

fn tell(env: &Environment<'_>, dataset: &DatasetName, why: String, remedies: Vec<String>) {
    env.sink.event(Event::NotSaved { dataset: dataset.clone(), why: format!("{why}."), remedies });
}

fn remedies(stream: &Stream, dataset: &Dataset, why: Unsaved) -> Vec<String> {
    let section = format!("[streams.{}]", stream.name.as_key());
    let name = crate::process::quoted(dataset.name.as_str());
    match why {
        Unsaved::Plaintext => vec![
            format!("allow-plaintext = true    in {section}: it may be saved as it is"),
            format!("exclude = […]             in {section}: it is left out"),
        ],
        Unsaved::NoSnapshot => vec![
            format!("snapshot = \"take\"         in {section}: one is taken each time"),
            format!("zfs snapshot {name}@NAME"),
        ],
        Unsaved::NoneSelected => vec![format!("zfs list -t snapshot {name}")],
        Unsaved::Unfinished => vec![format!("finish that receive, or: zfs receive -A {name}")],
        Unsaved::Redacted => Vec::new(),
    }
}
