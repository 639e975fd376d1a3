//! Gets the text of the configuration. It decides what root does, so it has to be a file that only root, or the one
//! who calls, can write; the file that was opened is the one that is checked, not whatever has its name later.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/zferry/config.toml";
/// A hundred times what a configuration with a hundred drives needs.
const MAX_BYTES: u64 = 1 << 20;

/// Why the configuration was not looked into.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("there is no configuration {}", .0.display())]
    Missing(PathBuf),
    /// The system does not let the caller read it.
    #[error("the configuration {} may not be read by you", .0.display())]
    Denied(PathBuf),
    /// Another error of the system.
    #[error("the configuration {} cannot be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else could change what root does.
    #[error("the configuration {} is not trusted: {why}", path.display())]
    NotTrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with its owner or mode.
        why: String,
        /// The command that mends it.
        remedy: String,
    },
    /// A directory, device or pipe, too large, or not text.
    #[error("{} is not a configuration: {why}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
}

/// Opens the file once, checks it and reads it. Follows links: on NixOS the file is one, into a read-only store.
///
/// # Errors
/// When it cannot be read, when somebody else could write it, or when it is not text.
pub fn read(path: &Path) -> Result<String, ReadError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => ReadError::Missing(path.to_owned()),
        std::io::ErrorKind::PermissionDenied => ReadError::Denied(path.to_owned()),
        _ => ReadError::Io { path: path.to_owned(), source },
    };
    // Without NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| io(errno.into()))?;
    let stat = rustix::fs::fstat(&opened).map_err(|errno| io(errno.into()))?;
    check(path, &stat, rustix::process::geteuid().as_raw())?;

    let mut bytes = Vec::new();
    File::from(opened).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    let not_text = |why| ReadError::NotText { path: path.to_owned(), why };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(not_text("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| not_text("it is not UTF-8 text"))
}

/// Checks what was opened: kind, owner and mode.
fn check(path: &Path, stat: &Stat, caller: u32) -> Result<(), ReadError> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ReadError::NotText { path: path.to_owned(), why: "it is not a regular file" });
    }
    let shown = path.display();
    let not_trusted = |why, remedy| {
        Err(ReadError::NotTrusted { path: path.to_owned(), why, remedy: format!("{remedy} '{shown}'") })
    };
    if stat.st_uid != 0 && stat.st_uid != caller {
        let why = format!("it belongs to the user with the number {}", stat.st_uid);
        return not_trusted(why, "chown root:root");
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        let why = format!("others may write it (mode {:04o})", mode.as_raw_mode());
        return not_trusted(why, "chmod go-w");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn stat_of(file: &File, mode: u32, owner: u32) -> Stat {
        let mut stat = rustix::fs::fstat(file).unwrap();
        (stat.st_mode, stat.st_uid) = (mode, owner);
        stat
    }

    #[test]
    fn only_root_and_the_caller_may_have_written_it() {
        const FILE: u32 = 0o100_000;
        let file = tempfile::tempfile().unwrap();
        for (mode, owner, caller, trusted) in [
            (FILE | 0o644, 0, 0, true),
            (FILE | 0o444, 0, 1000, true),
            (FILE | 0o600, 1000, 1000, true),
            (FILE | 0o644, 1000, 0, false),
            (FILE | 0o644, 1001, 1000, false),
            (FILE | 0o664, 0, 0, false),
            (FILE | 0o646, 0, 0, false),
            (FILE | 0o666, 1000, 1000, false),
        ] {
            let result = check(Path::new("x"), &stat_of(&file, mode, owner), caller);
            assert_eq!(result.is_ok(), trusted, "{mode:o} of {owner} for {caller}: {result:?}");
        }
    }

    #[test]
    fn a_link_is_judged_by_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("store"), dir.path().join("config.toml"));
        std::fs::write(&file, "# nothing").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read(&link).unwrap(), "# nothing");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(read(&link), Err(ReadError::NotTrusted { .. })));
    }

    #[test]
    fn what_is_not_a_text_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("large"), vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
        std::fs::write(path("latin1"), b"# caf\xe9").unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        std::fs::create_dir(path("directory")).unwrap();
        for name in ["large", "latin1", "pipe", "directory"] {
            assert!(matches!(read(&path(name)), Err(ReadError::NotText { .. })), "{name}");
        }
        assert!(matches!(read(&path("absent")), Err(ReadError::Missing(_))));
    }
}
