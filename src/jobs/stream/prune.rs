//! `stream prune`: files that no rule keeps, and that nothing needs which one keeps.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::archive::{Archive, Entry};
use super::save::{SaveError, lock};
use super::shelf::shelves;
use crate::config::Stream;
use crate::event::Event;
use crate::jobs::Environment;
use crate::model::Bytes;
use crate::plan::saving::{Saved, going};
use crate::report::text::count;

/// What came of it.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The files that went, or would go.
    pub files: Vec<PathBuf>,
    /// What they take.
    pub bytes: u64,
    /// Files that should have gone, and did not.
    pub failed: usize,
}

/// Of all datasets of a stream. `is_meant`: otherwise it only says which would go.
///
/// # Errors
/// When the directory cannot be used.
pub fn prune_all(stream: &Stream, is_meant: bool, env: &Environment<'_>) -> Result<Pruned, SaveError> {
    let _lock = lock(&stream.directory)?;
    let path = stream.directory.clone();
    let shelves = shelves(&stream.directory).map_err(|source| SaveError::Directory { path, source })?;
    let mut pruned = Pruned::default();
    for mut shelf in shelves {
        if !is_meant {
            for index in chosen(stream, &shelf.archive, env) {
                let entry = &shelf.archive.entries[index];
                pruned.bytes += entry.manifest.bytes;
                pruned.files.push(entry.path.clone());
            }
            continue;
        }
        prune(stream, &mut shelf.archive, &mut pruned, env);
    }
    Ok(pruned)
}

/// Places of those that go, the newest first: what builds on another one goes before it.
fn chosen(stream: &Stream, archive: &Archive, env: &Environment<'_>) -> Vec<usize> {
    let Some(keep) = &stream.policy.keep else { return Vec::new() };
    let there: Vec<usize> =
        (0..archive.entries.len()).filter(|index| archive.entries[*index].is_there()).collect();
    let saved: Vec<Saved> = there.iter().map(|index| archive.entries[*index].saved()).collect();
    let going = going(keep, &saved, &env.now()).files;
    let mut files: Vec<usize> = going.iter().map(|index| there[*index]).collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    files
}

/// Removes them.
pub(super) fn prune(stream: &Stream, archive: &mut Archive, pruned: &mut Pruned, env: &Environment<'_>) {
    let (mut gone, mut bytes) = (0, 0);
    let Some(dataset) = archive.entries.last().map(|entry| entry.manifest.dataset.clone()) else { return };
    for index in chosen(stream, archive, env) {
        let entry = &archive.entries[index];
        if let Err(error) = remove(entry) {
            let text = format!("{} could not be removed: {error}.", entry.path.display());
            env.sink.event(Event::Warning { text });
            pruned.failed += 1;
            break;
        }
        gone += 1;
        bytes += entry.manifest.bytes;
        pruned.files.push(entry.path.clone());
        archive.entries.remove(index);
    }
    pruned.bytes += bytes;
    if gone > 0 {
        let (gone, bytes) = (count(gone, "file"), Bytes(bytes));
        let text = format!("Removed {gone} of {dataset} that `keep` does not keep: {bytes}.");
        env.sink.event(Event::Note { text });
    }
}

/// The manifest first: a file without one is never taken for what it is not, and a manifest without its file would be told
/// as a loss.
fn remove(entry: &Entry) -> io::Result<()> {
    fs::remove_file(&entry.beside)?;
    fs::remove_file(&entry.path)
}
