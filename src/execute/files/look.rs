//! What is where a path leads, within a mounted snapshot and nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};
use rustix::io::Errno;

use crate::model::Bytes;
use crate::plan::files::{Amount, nearest_name};
use crate::process::Cancel;

const TICK: Duration = Duration::from_millis(50);

/// A file or directory within a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it really is: what a symbolic link on the way leads to within the snapshot.
    pub real: PathBuf,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// How long it is.
    pub length: Bytes,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Number and change of the file: the same in all snapshots for as long as it stays as it is.
    pub identity: (u64, i64, u32),
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// This.
    There(Found),
    /// Nothing.
    Missing(Missing),
    /// The way there leads out of the snapshot.
    Outside,
}

/// What is there instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// A path that was probably meant.
    pub near: Option<PathBuf>,
}

/// Does something that reads from the drive, and does not wait for it any more when the drive is gone, or somebody wants us
/// to stop: then there is nothing.
pub fn attended<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<Option<T>> {
    let (sender, receiver) = channel();
    std::thread::Builder::new().name("look".to_owned()).spawn(move || {
        // Nobody may listen any more.
        let _ = sender.send(work());
    })?;
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(result) => return result.map(Some),
            Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("it broke off")),
            Err(RecvTimeoutError::Timeout) if cancel.is_requested() || cancel.lost().is_some() => {
                return Ok(None);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Looks for a path below a root. Symbolic links on the way are followed within the root only, and the last part is taken
/// as it is, also when it is one.
///
/// # Errors
/// When it cannot be said.
pub fn find(root: &Path, path: &Path) -> io::Result<Looked> {
    let top = open_root(root)?;
    let opened = match beneath(&top, path) {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let near = suggest(&top, path)?.map(|near| path_in(root, &near));
            return Ok(Looked::Missing(Missing { near }));
        }
        Err(Errno::XDEV) => return Ok(Looked::Outside),
        Err(errno) => return Err(errno.into()),
    };
    let flags = StatxFlags::BASIC_STATS;
    let status = statx(&opened, "", AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW, flags)?;
    let modified =
        Timestamp::new(status.stx_mtime.tv_sec, i32::try_from(status.stx_mtime.tv_nsec).unwrap_or(0));
    Ok(Looked::There(Found {
        real: fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()))?,
        is_directory: FileType::from_raw_mode(status.stx_mode.into()) == FileType::Directory,
        length: Bytes(status.stx_size),
        modified: modified.map_err(io::Error::other)?,
        identity: (status.stx_ino, status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec),
    }))
}

fn open_root(root: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(root, flags, Mode::empty())?)
}

fn beneath(top: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    if path.as_os_str().is_empty() {
        return rustix::io::dup(top);
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(top, path, flags, Mode::empty(), within)
}

/// The first part of a path that is not there, with the name beside it that is nearest.
fn suggest(top: &OwnedFd, path: &Path) -> io::Result<Option<PathBuf>> {
    let mut above = PathBuf::new();
    for part in path {
        let next = above.join(part);
        if beneath(top, &next).is_ok() {
            above = next;
            continue;
        }
        let Ok(directory) = beneath(top, &above) else { return Ok(None) };
        let listed = fs::read_dir(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()));
        let Ok(listed) = listed else { return Ok(None) };
        let names: Vec<String> =
            listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        let near = nearest_name(&part.to_string_lossy(), names.iter().map(String::as_str));
        return Ok(near.map(|near| above.join(near)));
    }
    Ok(None)
}

fn path_in(root: &Path, near: &Path) -> PathBuf {
    near.strip_prefix(root).unwrap_or(near).to_owned()
}

/// How long files below a root are, as far as they are there; symbolic links count as what they are.
///
/// # Errors
/// When the root cannot be opened.
pub fn lengths(root: &Path, paths: &[PathBuf]) -> io::Result<Vec<Option<Bytes>>> {
    let top = open_root(root)?;
    let length = |path: &PathBuf| {
        let opened = beneath(&top, path).ok()?;
        let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
        Some(Bytes(statx(&opened, "", flags, StatxFlags::SIZE).ok()?.stx_size))
    };
    Ok(paths.iter().map(length).collect())
}

/// How much there is at and below a path. Files with several names count once, as they are copied.
///
/// # Errors
/// When something cannot be read.
pub fn measure(path: &Path) -> io::Result<Amount> {
    let mut amount = Amount::default();
    let (mut seen, mut left) = (BTreeSet::new(), vec![path.to_owned()]);
    while let Some(path) = left.pop() {
        let status = fs::symlink_metadata(&path)?;
        amount.entries += 1;
        if status.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        } else if status.is_file() && (status.nlink() == 1 || seen.insert((status.dev(), status.ino()))) {
            amount.length += Bytes(status.len());
            amount.taken += Bytes(status.blocks().saturating_mul(512));
        }
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Instant;

    use super::*;

    fn there(root: &Path, path: &str) -> Looked {
        find(root, Path::new(path)).unwrap()
    }

    #[test]
    fn a_path_is_found_within_its_root_and_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("docs/old")).unwrap();
        fs::write(directory.path().join("secret"), "outside").unwrap();
        fs::write(root.join("docs/tax.pdf"), "12345").unwrap();
        symlink("docs", root.join("papers")).unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        symlink("../..", root.join("docs/up")).unwrap();
        symlink("/etc/passwd", root.join("docs/link")).unwrap();

        let Looked::There(found) = there(&root, "docs/tax.pdf") else { panic!() };
        assert_eq!((found.length, found.is_directory), (Bytes(5), false));
        let Looked::There(same) = there(&root, "papers/tax.pdf") else { panic!() };
        assert_eq!(same.identity, found.identity);
        assert!(same.real.ends_with("docs/tax.pdf"), "{:?}", same.real);
        let of = ["docs/tax.pdf", "docs/none", "etc/passwd"].map(PathBuf::from);
        assert_eq!(lengths(&root, &of).unwrap(), [Some(Bytes(5)), None, None]);
        for outside in ["etc/passwd", "docs/up/secret", "etc/ssl/x"] {
            assert_eq!(there(&root, outside), Looked::Outside, "{outside}");
        }
        // A link that is named itself is what is meant.
        for link in ["docs/link", "etc", "docs/up"] {
            assert!(matches!(there(&root, link), Looked::There(_)), "{link}");
        }
        let Looked::There(all) = there(&root, "") else { panic!() };
        assert!(all.is_directory);
        for (typed, near) in [
            ("docs/tax.pfd", Some("docs/tax.pdf")),
            ("doc/tax.pdf", Some("docs")),
            ("docs/tax.pdf/x", None),
            ("nothing", None),
        ] {
            let expected = Looked::Missing(Missing { near: near.map(PathBuf::from) });
            assert_eq!(there(&root, typed), expected, "{typed}");
        }
    }

    #[test]
    fn a_file_with_two_names_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("sub/a"), vec![1; 5000]).unwrap();
        fs::hard_link(directory.path().join("sub/a"), directory.path().join("b")).unwrap();
        symlink("/nowhere", directory.path().join("c")).unwrap();
        let amount = measure(directory.path()).unwrap();
        assert_eq!((amount.length, amount.entries), (Bytes(5000), 5));
    }

    #[test]
    fn nobody_waits_for_what_hangs_once_the_drive_is_gone() {
        let gone = Cancel::new().watching(|| Some("it is gone".to_owned()));
        let started = Instant::now();
        let hangs = || {
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        };
        assert_eq!(attended(&gone, hangs).unwrap(), None);
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(attended(&Cancel::new(), || Ok(7)).unwrap(), Some(7));
        assert!(attended::<()>(&Cancel::new(), || Err(io::Error::other("x"))).is_err());
    }
}
