//! `stream adopt`: files that somebody else wrote get manifests. What is in them is told by their first bytes, and whether
//! they are whole by reading them; names mean nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::archive::{beside, put_manifest};
use super::find::Reading;
use super::shelf::shelves;
use super::verify::{NotSound, read_hashed};
use super::write::AHEAD;
use crate::event::Event;
use crate::jobs::Environment;
use crate::model::Bytes;
use crate::process::printable;
use crate::stream::{Damage, Manifest, StreamError};

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Files that have a manifest now.
    pub adopted: usize,
    /// Files that had one.
    pub known: usize,
    /// Files that are streams, and none that can be used; and what was named and is none.
    pub failed: usize,
}

/// Looks at all files in these directories, and at files that are named.
///
/// # Errors
/// When a path cannot be read.
pub fn adopt(paths: &[PathBuf], env: &Environment<'_>) -> Result<Adopted, (PathBuf, io::Error)> {
    let mut adopted = Adopted::default();
    for path in paths {
        let failed = |error| (path.clone(), error);
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            one(path, true, &mut adopted, env);
            continue;
        }
        for shelf in shelves(path).map_err(failed)? {
            adopted.known += shelf.archive.entries.len();
            shelf.others().iter().for_each(|file| one(file, false, &mut adopted, env));
        }
    }
    Ok(adopted)
}

fn one(file: &Path, is_named: bool, adopted: &mut Adopted, env: &Environment<'_>) {
    if env.cancel.is_requested() {
        return;
    }
    let shown = printable(&file.to_string_lossy());
    match manifest(file, env) {
        Ok(manifest) => match put_manifest(&manifest, &beside(file)) {
            Ok(()) => {
                adopted.adopted += 1;
                let kind = if manifest.from.is_none() { "full" } else { "an increment" };
                let (bytes, dataset, snapshot) =
                    (Bytes(manifest.bytes), &manifest.dataset, &manifest.snapshot);
                env.sink
                    .event(Event::Note { text: format!("{shown}: {dataset}@{snapshot}, {kind}, {bytes}.") });
            }
            Err(error) => {
                adopted.failed += 1;
                let text = format!("The manifest of {shown} cannot be written: {error}.");
                env.sink.event(Event::Warning { text });
            }
        },
        Err(NotSound::Damaged(StreamError { damage: Damage::NoStream | Damage::Empty, .. })) if !is_named => {
            log::info!("{shown} is no stream");
        }
        Err(_) if env.cancel.is_requested() => {}
        Err(error) => {
            adopted.failed += 1;
            let why = crate::execute::chain(&error);
            env.sink.event(Event::Warning { text: format!("{shown} is left as it is: {why}.") });
        }
    }
}

fn manifest(file: &Path, env: &Environment<'_>) -> Result<Manifest, NotSound> {
    let mut open = File::open(file)?;
    let reading = Reading { sink: env.sink, cancel: env.cancel };
    let length = open.metadata()?.len();
    let (found, blake3) =
        reading.told(file, length, |tell| read_hashed(&mut open, AHEAD, env.cancel, tell))?;
    if found.first.is_rest() {
        return Err(NotSound::Rest);
    }
    if found.has_other {
        return Err(NotSound::Several);
    }
    let name = file.file_name().and_then(|name| name.to_str()).ok_or(NotSound::Unnamed)?.to_owned();
    let streams = (&found.first, &found.last);
    Ok(Manifest::new(name, streams, &found.whole, blake3, (env.clock)()))
}
