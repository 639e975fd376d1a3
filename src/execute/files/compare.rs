//! What is in a mounted snapshot, and whether a file of it is that of another one, block by block. Nothing is followed: a
//! snapshot cannot change between the look at a name and the look into it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::model::Bytes;
use crate::plan::drill::{Entry, Finding, Listing};
use crate::process::Cancel;

/// As ZFS stores files: at most so much is damaged by one block.
const BLOCK: usize = 128 << 10;

/// What came of reading one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It could be read, and is that of the source where there is one.
    Good,
    /// It is not.
    Bad(Finding),
    /// It could be read, and that of the source could not.
    NotCompared(String),
}

/// Lists everything below a root. What cannot be read is told in the listing.
///
/// # Errors
/// When somebody wants us to stop.
pub fn list(root: &Path, cancel: &Cancel) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut left = vec![PathBuf::new()];
    while let Some(directory) = left.pop() {
        let read = match fs::read_dir(root.join(&directory)) {
            Ok(read) => read,
            Err(error) => {
                listing.unreadable.insert(directory, told(&error));
                continue;
            }
        };
        for entry in read {
            stop_if(cancel)?;
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    listing.unreadable.insert(directory.clone(), told(&error));
                    break;
                }
            };
            let path = directory.join(entry.file_name());
            // The way to snapshots, where it is shown, is none of the files.
            if path == Path::new(".zfs") {
                continue;
            }
            match kind(&root.join(&path)) {
                Ok(entry) => {
                    if entry == Entry::Directory {
                        left.push(path.clone());
                    }
                    listing.entries.insert(path, entry);
                }
                Err(error) => {
                    listing.unreadable.insert(path, told(&error));
                }
            }
        }
    }
    Ok(listing)
}

fn kind(path: &Path) -> io::Result<Entry> {
    let status = fs::symlink_metadata(path)?;
    Ok(match status.file_type() {
        kind if kind.is_file() => Entry::File(Bytes(status.size())),
        kind if kind.is_dir() => Entry::Directory,
        kind if kind.is_symlink() => Entry::Link(fs::read_link(path)?.into_os_string()),
        _ => Entry::Special,
    })
}

/// Reads a file on the drive to its end, beside that of the source where there is one.
///
/// # Errors
/// When somebody wants us to stop.
pub fn check(there: &Path, here: Option<&Path>, cancel: &Cancel) -> io::Result<Checked> {
    let mut file = match open(there) {
        Ok(file) => file,
        Err(error) => return Ok(Checked::Bad(Finding::Unreadable(told(&error)))),
    };
    let mut trouble = None;
    let mut other = here.and_then(|here| open(here).map_err(|error| trouble = Some(told(&error))).ok());
    let (mut ours, mut theirs) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut from = 0;
    loop {
        stop_if(cancel)?;
        let count = match fill(&mut file, &mut ours) {
            Ok(count) => count,
            Err(error) => return Ok(Checked::Bad(Finding::Unreadable(told(&error)))),
        };
        match other.as_mut().map(|other| fill(other, &mut theirs)) {
            None => {}
            Some(Ok(same)) if ours[..count] == theirs[..same] => {}
            Some(Ok(_)) => return Ok(Checked::Bad(Finding::Differs { from })),
            Some(Err(error)) => {
                trouble = Some(told(&error));
                other = None;
            }
        }
        if count < BLOCK {
            return Ok(trouble.map_or(Checked::Good, Checked::NotCompared));
        }
        from += BLOCK as u64;
    }
}

/// A file that is one: never a link, and never something that waits for another end.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)
}

/// As much as fits, or as there is.
fn fill(file: &mut File, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn stop_if(cancel: &Cancel) -> io::Result<()> {
    if cancel.is_requested() { Err(io::Error::other("it was broken off")) } else { Ok(()) }
}

/// "Input/output error", without the number.
fn told(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn checked(there: &[u8], here: Option<&[u8]>) -> Checked {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&a, there).unwrap();
        if let Some(here) = here {
            fs::write(&b, here).unwrap();
        }
        check(&a, here.map(|_| b.as_path()), &Cancel::new()).unwrap()
    }

    #[test]
    fn a_file_is_compared_to_its_last_byte() {
        let long = vec![7_u8; 3 * BLOCK + 5];
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let sound = &long[..length];
            assert_eq!(checked(sound, Some(sound)), Checked::Good, "{length}");
            assert_eq!(checked(sound, None), Checked::Good, "{length}");
            if length == 0 {
                continue;
            }
            for at in [0, length / 2, length - 1] {
                let mut other = sound.to_vec();
                other[at] = 8;
                let from = (at / BLOCK * BLOCK) as u64;
                assert_eq!(checked(sound, Some(&other)), Checked::Bad(Finding::Differs { from }), "{length}");
            }
            assert!(matches!(checked(sound, Some(&sound[1..])), Checked::Bad(_)), "{length}");
            assert!(matches!(checked(&sound[1..], Some(sound)), Checked::Bad(_)), "{length}");
        }
    }

    #[test]
    fn trouble_of_the_source_is_not_that_of_the_drive() {
        let directory = tempfile::tempdir().unwrap();
        let (a, none) = (directory.path().join("a"), directory.path().join("none"));
        fs::write(&a, "x").unwrap();
        let cancel = Cancel::new();
        let missing = "No such file or directory".to_owned();
        assert_eq!(check(&a, Some(&none), &cancel).unwrap(), Checked::NotCompared(missing.clone()));
        let bad = Checked::Bad(Finding::Unreadable(missing));
        assert_eq!(check(&none, Some(&a), &cancel).unwrap(), bad);
        cancel.request(2);
        assert!(check(&a, None, &cancel).is_err() && list(directory.path(), &cancel).is_err());
    }

    #[test]
    fn a_listing_has_everything_follows_nothing_and_tells_what_it_could_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("d/e")).unwrap();
        fs::create_dir_all(root.join(".zfs/snapshot")).unwrap();
        fs::create_dir_all(root.join("d/.zfs")).unwrap();
        fs::write(root.join("d/e/file"), "12345").unwrap();
        symlink("/etc", root.join("out")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let listing = list(root, &Cancel::new()).unwrap();
        let told: Vec<_> =
            listing.entries.iter().map(|(path, entry)| format!("{} {entry:?}", path.display())).collect();
        assert_eq!(
            told,
            [
                "d Directory",
                "d/.zfs Directory",
                "d/e Directory",
                "d/e/file File(Bytes(5))",
                "out Link(\"/etc\")",
                "socket Special",
            ]
        );
        assert!(listing.unreadable.is_empty());
        let none = list(&root.join("none"), &Cancel::new()).unwrap();
        assert_eq!(none.unreadable[Path::new("")], "No such file or directory");
    }
}
