//! A directory with the files of one dataset, each with its manifest.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::plan::saving::Saved;
use crate::process::printable;
use crate::stream::{LARGEST_MANIFEST, Manifest, NoManifest};

/// What is being written is called so, and something at random. It lies beside what it will be.
const ASIDE: &str = ".zferry-";
/// What a manifest's name ends with.
pub(super) const MANIFEST: &str = "json";
/// What a stream's name ends with.
const STREAM: &str = "zfs";
/// As `zfs send > FILE` would make them.
const FOR_ALL: u32 = 0o644;
/// What everybody could read who can read the file.
const FOR_OWNER: u32 = 0o600;

/// One file, as its manifest has it.
#[derive(Debug)]
pub(super) struct Entry {
    /// The file.
    pub(super) path: PathBuf,
    /// The manifest's own path.
    pub(super) beside: PathBuf,
    /// What it says.
    pub(super) manifest: Manifest,
    /// How long the file is; nothing: it is not there.
    pub(super) length: Option<u64>,
}

impl Entry {
    /// Whether the file is as long as it was, which is all that can be known without reading it.
    pub(super) fn is_there(&self) -> bool {
        self.length == Some(self.manifest.bytes)
    }

    /// As the planner sees it.
    pub(super) fn saved(&self) -> Saved {
        let Manifest { guid, from, created, raw, .. } = self.manifest;
        Saved { to: guid, from, made: created, is_raw: raw }
    }
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Archive {
    /// By the times of their snapshots.
    pub(super) entries: Vec<Entry>,
    /// Files without a manifest.
    pub(super) others: Vec<PathBuf>,
    /// What cannot be used, in full sentences.
    pub(super) troubles: Vec<String>,
}

impl Archive {
    /// Looks at all manifests. A directory that is not there has none.
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        let mut archive = Self::default();
        let names = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(archive),
            listed => listed?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?,
        };
        let mut files = Vec::new();
        for path in names {
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if is_hidden || !fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
                continue;
            }
            if path.extension().is_none_or(|extension| extension != MANIFEST) {
                files.push(path);
                continue;
            }
            match entry(directory, &path) {
                Ok(entry) => archive.entries.push(entry),
                Err(why) => {
                    let path = printable(&path.to_string_lossy());
                    let why = crate::execute::chain(&why);
                    archive.troubles.push(format!("{path} is left out: {why}."));
                }
            }
        }
        archive.entries.sort_by(|a, b| (a.manifest.created, &a.path).cmp(&(b.manifest.created, &b.path)));
        files.retain(|path| !archive.entries.iter().any(|entry| entry.path == *path));
        files.sort_unstable();
        archive.others = files;
        Ok(archive)
    }

    /// Those whose files are there, as the planner sees them.
    pub(super) fn saved(&self) -> Vec<Saved> {
        self.entries.iter().filter(|entry| entry.is_there()).map(Entry::saved).collect()
    }
}

/// What a manifest says.
pub(super) fn read_manifest(path: &Path) -> Result<Manifest, NoManifest> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NoManifest::Absent,
        _ => NoManifest::Unreadable(error),
    })?;
    let mut text = Vec::new();
    file.take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(NoManifest::Unreadable)?;
    Manifest::read(&text)
}

fn entry(directory: &Path, beside: &Path) -> Result<Entry, NoManifest> {
    let manifest = read_manifest(beside)?;
    let path = directory.join(&manifest.file);
    let length = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len());
    Ok(Entry { path, beside: beside.to_owned(), manifest, length })
}

/// Where the manifest of a file lies.
pub(super) fn beside(file: &Path) -> PathBuf {
    if file.extension().is_some_and(|extension| extension == STREAM) {
        return file.with_extension(MANIFEST);
    }
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(MANIFEST);
    PathBuf::from(name)
}

/// Removes what somebody was writing who is no more. Only for who has the lock.
pub(super) fn clean(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(ASIDE) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A file that is written beside what it will be, and is gone when it does not become that.
pub(super) fn aside(directory: &Path, for_all: bool) -> io::Result<NamedTempFile> {
    let mode = if for_all { FOR_ALL } else { FOR_OWNER };
    Builder::new().prefix(ASIDE).permissions(Permissions::from_mode(mode)).tempfile_in(directory)
}

/// Gives a file that is on the disk its name, which nothing has, and a manifest. That one is on the disk before: of what could
/// go wrong only renaming is left.
pub(super) fn put(file: NamedTempFile, path: &Path, manifest: &Manifest) -> io::Result<()> {
    let beside = beside(path);
    let manifest = manifest_aside(manifest, &beside)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    manifest.persist(&beside).map_err(|error| error.error)?;
    sync_directory(path)
}

/// Writes a manifest, in the place of an earlier one where there is any.
pub(super) fn put_manifest(manifest: &Manifest, path: &Path) -> io::Result<()> {
    manifest_aside(manifest, path)?.persist(path).map_err(|error| error.error)?;
    sync_directory(path)
}

fn manifest_aside(manifest: &Manifest, path: &Path) -> io::Result<NamedTempFile> {
    let mut file = aside(directory_of(path), true)?;
    file.write_all(manifest.to_text().as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn sync_directory(of: &Path) -> io::Result<()> {
    File::open(directory_of(of))?.sync_all()
}

/// The directory that a file is in: of a bare name, the one where we are.
pub(super) fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name that nothing has: by the time of the snapshot, and where that is taken with a number behind it.
pub(super) fn free_name(directory: &Path, manifest: &Manifest) -> PathBuf {
    let kind = if manifest.from.is_none() { "full" } else { "incr" };
    let time = manifest.created.strftime("%Y-%m-%dT%H%M%SZ");
    let numbered = |number: u32| match number {
        1 => format!("{time}-{kind}.{STREAM}"),
        number => format!("{time}-{kind}-{number}.{STREAM}"),
    };
    let is_free = |path: &PathBuf| !path.exists() && !beside(path).exists();
    let mut paths = (1..).map(|number| directory.join(numbered(number)));
    paths.find(is_free).unwrap_or_else(|| directory.join(numbered(1)))
}
