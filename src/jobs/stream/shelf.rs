//! Directories with files: which there are, and what is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::{Archive, Entry};
use crate::plan::saving::{Saved, whole};
use crate::process::printable;

/// One directory with files.
#[derive(Debug)]
pub struct Shelf {
    /// Its path.
    pub directory: PathBuf,
    pub(super) archive: Archive,
}

/// One file, as it is listed.
#[derive(Debug)]
pub struct Listed<'a> {
    /// The file.
    pub file: &'a Path,
    /// What its manifest says.
    pub manifest: &'a crate::stream::Manifest,
    /// What is known of it without reading it.
    pub state: State,
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there with all that it needs.
    Complete,
    /// It is there, and what it needs is not.
    Incomplete,
    /// It is as long as it should not be.
    OtherLength,
    /// It is not there.
    Gone,
}

impl Shelf {
    /// What is in one directory.
    fn read(directory: &Path) -> io::Result<Self> {
        Ok(Self { directory: directory.to_owned(), archive: Archive::read(directory)? })
    }

    fn is_empty(&self) -> bool {
        self.archive.entries.is_empty() && self.archive.others.is_empty() && self.archive.troubles.is_empty()
    }

    /// What has a manifest, by the times of the snapshots.
    pub fn listed(&self) -> Vec<Listed<'_>> {
        let saved = self.archive.saved();
        let whole = whole(&saved);
        self.archive.entries.iter().map(|entry| listed(entry, &whole)).collect()
    }

    /// Files without a manifest.
    pub fn others(&self) -> &[PathBuf] {
        &self.archive.others
    }

    /// Manifests that cannot be used, in full sentences.
    pub fn troubles(&self) -> &[String] {
        &self.archive.troubles
    }

    /// What cannot be restored, or will not be, in full sentences.
    pub fn lacks(&self) -> Vec<String> {
        let told = |listed: &Listed<'_>| {
            let file = printable(&listed.file.to_string_lossy());
            match (listed.state, listed.manifest.from) {
                (State::Complete, _) | (State::Incomplete, None) => None,
                (State::Incomplete, Some(from)) => Some(format!(
                    "{file} needs the snapshot with the guid {from}, and no file beside it makes that one."
                )),
                (State::OtherLength, _) => {
                    Some(format!("{file} is not as long as it was when it was written."))
                }
                (State::Gone, _) => Some(format!("{file} is gone; its manifest is there.")),
            }
        };
        self.listed().iter().filter_map(told).collect()
    }
}

fn listed<'a>(entry: &'a Entry, whole: &[&Saved]) -> Listed<'a> {
    let saved = entry.saved();
    let state = match entry.length {
        None => State::Gone,
        Some(_) if !entry.is_there() => State::OtherLength,
        Some(_) if whole.iter().any(|other| **other == saved) => State::Complete,
        Some(_) => State::Incomplete,
    };
    Listed { file: &entry.path, manifest: &entry.manifest, state }
}

/// A directory and those in it, as far as there are files with streams in them.
///
/// # Errors
/// When it cannot be read.
pub fn shelves(top: &Path) -> io::Result<Vec<Shelf>> {
    let mut directories = vec![top.to_owned()];
    for entry in fs::read_dir(top)? {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && entry.file_type()?.is_dir() {
            directories.push(entry.path());
        }
    }
    directories.sort_unstable();
    let mut found = Vec::new();
    for directory in directories {
        let shelf = Shelf::read(&directory)?;
        if !shelf.is_empty() {
            found.push(shelf);
        }
    }
    Ok(found)
}
