//! What is meant: names from the configuration, directories and files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::super::Call;
use super::super::failure::Failure;
use crate::config::{Settings, Stream, StreamName, nearest};
use crate::jobs::stream::{Shelf, shelves as shelves_in};
use crate::process::printable;
use crate::stream::{Damage, StreamError, first};

/// Files that are looked at.
pub(super) struct Places {
    pub(super) files: Vec<PathBuf>,
    /// What is known to be missing without reading any, in full sentences.
    pub(super) lacks: Vec<String>,
}

/// Of names and directories all files; nothing named: of everything that is configured.
pub(super) fn files(of: &[String], call: &Call<'_>) -> Result<Places, Failure> {
    let mut places = Places { files: Vec::new(), lacks: Vec::new() };
    let is_file = |text: &String| text == "-" || !Path::new(text).is_dir() && is_path(text);
    let (files, others): (Vec<_>, Vec<_>) = of.iter().cloned().partition(is_file);
    places.files.extend(files.into_iter().map(PathBuf::from));
    if of.is_empty() || !others.is_empty() {
        for shelf in shelves(&others, call)? {
            let listed = shelf.listed();
            places.files.extend(listed.iter().filter(|one| one.file.exists()).map(|one| one.file.to_owned()));
            places.files.extend(shelf.others().iter().filter(|file| may_be_stream(file)).cloned());
            places.lacks.extend(shelf.lacks());
            places.lacks.extend(shelf.troubles().iter().cloned());
        }
        if places.files.is_empty() && places.lacks.is_empty() {
            return Err(Failure::Usage {
                what: "there is no file there".to_owned(),
                hint: "zferry stream verify FILE, or `zferry stream save` first".to_owned(),
            });
        }
    }
    Ok(places)
}

/// What lies in a directory and was not named may be something else: a list, a page, somebody's notes.
fn may_be_stream(file: &Path) -> bool {
    let begins = || File::open(file).map(|mut file| first(&mut file));
    let is_called = file.extension().is_some_and(|extension| extension == "zfs");
    is_called || !matches!(begins(), Ok(Err(StreamError { damage: Damage::NoStream | Damage::Empty, .. })))
}

/// Of names and directories; nothing named: of everything that is configured.
pub(super) fn shelves(of: &[String], call: &Call<'_>) -> Result<Vec<Shelf>, Failure> {
    let mut found = Vec::new();
    let directories = if of.is_empty() {
        call.streams()?.streams.into_iter().map(|stream| stream.directory).collect()
    } else {
        of.iter().map(|text| directory(text, call)).collect::<Result<Vec<_>, _>>()?
    };
    for directory in directories {
        found.extend(shelves_in(&directory).map_err(|error| unreadable(&directory, error))?);
    }
    Ok(found)
}

/// A path is one when it looks so or is there; all else is a name.
fn is_path(text: &str) -> bool {
    text.contains('/') || Path::new(text).exists()
}

fn directory(text: &str, call: &Call<'_>) -> Result<PathBuf, Failure> {
    if is_path(text) {
        return Ok(PathBuf::from(text));
    }
    let name = text.parse().map_err(|_| Failure::Usage {
        what: format!("there is no {}", printable(text)),
        hint: "the name of a stream in the configuration, a directory or a file".to_owned(),
    })?;
    let settings = call.streams()?;
    one(&settings, &name).map(|stream| stream.directory.clone())
}

/// Those that are named, or all.
pub(super) fn streams(names: &[StreamName], settings: &Settings) -> Result<Vec<Stream>, Failure> {
    if names.is_empty() {
        return Ok(settings.streams.clone());
    }
    names.iter().map(|name| one(settings, name).cloned()).collect()
}

fn one<'a>(settings: &'a Settings, name: &StreamName) -> Result<&'a Stream, Failure> {
    let all = settings.streams.iter();
    all.clone().find(|stream| stream.name == *name).ok_or_else(|| {
        let names: Vec<&str> = all.map(|stream| stream.name.as_str()).collect();
        let hint = match nearest(name.as_str(), names.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("there are: {}", names.join(", ")),
        };
        Failure::Usage { what: format!("no stream is called {name} in {}", settings.file.display()), hint }
    })
}

/// A directory or a file that cannot be looked at.
pub(super) fn unreadable(path: &Path, error: io::Error) -> Failure {
    let what = format!("{} cannot be read", printable(&path.to_string_lossy()));
    Failure::Failed { cause: anyhow::Error::new(error).context(what), hints: Vec::new() }
}
