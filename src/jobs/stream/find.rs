//! Which streams there are, by the first bytes of each file.

use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use super::RestoreError;
use super::archive::Archive;
use super::verify::{Found, NotSound, read_through};
use crate::event::{Event, FileWork, Sink};
use crate::model::Bytes;
use crate::process::Cancel;
use crate::stream::{Begin, Manifest, Piece, first};

/// A file with a stream, or with several that go on from each other.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// It was named, and did not just lie in a directory.
    pub(super) is_named: bool,
    /// Kept open, so that what is received is what was checked, whatever becomes of its name.
    pub(super) file: File,
    pub(super) piece: Piece,
    /// The snapshot that is there afterwards.
    pub(super) last: Begin,
    /// It was read to its end already.
    pub(super) is_checked: bool,
    /// It may bring properties along.
    pub(super) has_properties: bool,
}

impl Candidate {
    /// The dataset, as its sender called it.
    pub(super) fn dataset(&self) -> &str {
        self.last.name.split('@').next().unwrap_or_default()
    }
}

/// What there is.
#[derive(Debug)]
pub(super) struct Available {
    pub(super) candidates: Vec<Candidate>,
    /// What manifests tell of, and no file has.
    pub(super) lost: Vec<Lost>,
}

/// A file that is gone, or is no more what it was.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
}

/// Who is told, and who may stop it.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) sink: &'a dyn Sink,
    pub(super) cancel: &'a Cancel,
}

impl Reading<'_> {
    /// Reads a file to its end.
    pub(super) fn check(&self, path: &Path, file: &mut File, length: u64) -> Result<Found, RestoreError> {
        let found = self.told(path, length, |tell| read_through(file, self.cancel, tell));
        if self.cancel.is_requested() {
            return Err(RestoreError::Interrupted);
        }
        found.map_err(|source| RestoreError::NotSound { file: path.to_owned(), source })
    }

    /// Reads, and tells how far it is.
    pub(super) fn told<T>(&self, path: &Path, length: u64, read: impl FnOnce(&dyn Fn(u64)) -> T) -> T {
        let what = path.file_name().map(|name| crate::process::printable(&name.to_string_lossy()));
        let what = what.unwrap_or_default();
        let tell = |checked: u64| {
            let (what, of) = (what.clone(), Bytes(length));
            self.sink.event(Event::OnFile { work: FileWork::Checking, what, done: Bytes(checked), of });
        };
        let found = read(&tell);
        tell(length);
        found
    }

    fn left_out(&self, path: &Path, why: &str) {
        let text = format!("{} is left out: {why}", shown(path));
        self.sink.event(Event::Warning { text });
    }

    /// All that may be received, of files that were named and of directories. What is named has to be fit for it; what lies
    /// in a directory and is not is told and left out.
    pub(super) fn candidates(&self, named: &[PathBuf]) -> Result<Available, RestoreError> {
        let (mut found, mut lost) = (Vec::new(), Vec::new());
        for path in named {
            let unreadable = |source| RestoreError::Unreadable { path: path.clone(), source };
            if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
                found.push(self.look(path, true)?);
                continue;
            }
            let archive = Archive::read(path).map_err(unreadable)?;
            archive.troubles.iter().for_each(|text| self.sink.event(Event::Warning { text: text.clone() }));
            let known = archive.entries.into_iter().map(|entry| (entry.path, Some(entry.manifest)));
            let others = archive.others.into_iter().map(|path| (path, None));
            for (path, manifest) in known.chain(others) {
                match self.look(&path, false) {
                    Ok(candidate) => {
                        // By what is in it, it is used all the same: files were perhaps only given each other's names.
                        if let Some(manifest) = manifest.filter(|manifest| manifest.guid != candidate.last.to)
                        {
                            let text =
                                format!("{} is not the file that its manifest is about.", shown(&path));
                            self.sink.event(Event::Warning { text });
                            lost.push(Lost { path, manifest });
                        }
                        found.push(candidate);
                    }
                    Err(RestoreError::Interrupted) => return Err(RestoreError::Interrupted),
                    Err(error) => {
                        self.left_out(&path, &told(&error));
                        lost.extend(manifest.map(|manifest| Lost { path, manifest }));
                    }
                }
            }
        }
        if found.is_empty() {
            let directories = named.iter().map(|path| path.display().to_string()).collect();
            return Err(RestoreError::NoStreams { directories });
        }
        Ok(Available { candidates: found, lost })
    }

    fn look(&self, path: &Path, is_named: bool) -> Result<Candidate, RestoreError> {
        let unreadable = |source| RestoreError::Unreadable { path: path.to_owned(), source };
        let unfit = |why: &str| RestoreError::Unfit { file: path.to_owned(), why: why.to_owned() };
        let mut file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let begin = first(&mut file)
            .map_err(|error| RestoreError::NotSound { file: path.to_owned(), source: error.into() })?;
        file.rewind().map_err(unreadable)?;
        if begin.is_rest() {
            return Err(unfit(
                "it is the rest of a stream that was interrupted, which only the dataset takes that has the beginning of it",
            ));
        }
        let (from, last) = if begin.is_package {
            let found = self.check(path, &mut file, bytes)?;
            file.rewind().map_err(unreadable)?;
            // One after the other, each goes on where the one before ended: of one dataset, and in one line.
            let is_line = found.first.dataset() == found.last.dataset() && !found.has_other;
            if !is_line {
                return Err(unfit(
                    "it holds several datasets; `zfs receive -d -u POOL/NEW` makes them again",
                ));
            }
            (found.first.from, found.last)
        } else {
            (begin.from, begin.clone())
        };
        let piece = Piece { from, to: last.to, bytes };
        let (is_checked, has_properties) = (begin.is_package, begin.is_package);
        Ok(Candidate { path: path.to_owned(), is_named, file, piece, last, is_checked, has_properties })
    }
}

/// What is wrong, with its cause: of a file that is only left out.
fn told(error: &RestoreError) -> String {
    match error {
        RestoreError::NotSound { source: NotSound::Damaged(error), .. } => {
            format!("{error}: {}", error.damage)
        }
        RestoreError::Unfit { why, .. } => why.clone(),
        other => crate::execute::chain(other),
    }
}

fn shown(path: &Path) -> String {
    crate::process::printable(&path.to_string_lossy())
}
