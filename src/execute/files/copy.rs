//! Copying a file or directory out of a snapshot. It is copied aside, by `cp`, and gets its name when it is whole: a copy
//! that was cut off never has it. `cp` keeps times, modes, owners, ACLs, extended attributes, hard links and holes as far as
//! the file system that it copies to can.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::look;
use crate::model::Bytes;
use crate::process::{Cancel, Exit, Invocation, RunError, Runner, Tool};

/// A copy may take as long as it goes on.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// It does not go on: nothing more arrived for so long.
const STALLED: Duration = Duration::from_secs(10 * 60);
/// Between two looks at how much arrived.
const PAUSE: Duration = Duration::from_millis(500);
/// Beside what is restored, while it is not whole.
const STAGE: &str = ".zferry-restore-";

/// Where something is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// An existing directory.
    pub directory: PathBuf,
    /// What it is called there.
    pub name: OsString,
    /// What is there already is replaced, file by file.
    pub force: bool,
}

/// Who is told how much was copied.
pub type Progress<'a> = &'a (dyn Fn(Bytes) + Sync);

/// Why it was not copied. Nothing has its final name then, unless it was whole.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Something has the name already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// A directory where a file is to be, or a file where a directory is to be: never replaced.
    #[error("{} exists already, and is a directory on one side only", .0.display())]
    OtherKind(PathBuf),
    /// The destination is full.
    #[error("{} has no space left", .0.display())]
    NoSpace(PathBuf),
    /// `cp` failed.
    #[error("{from} could not be copied: {message}")]
    Cp {
        /// What was copied.
        from: String,
        /// What `cp` complained.
        message: String,
    },
    /// It has no outcome.
    #[error("{from} could not be copied")]
    Run {
        /// What was copied.
        from: String,
        /// Why.
        #[source]
        source: RunError,
    },
    /// Only text can be given to `cp`.
    #[error("{} is not UTF-8", .0.display())]
    NotText(PathBuf),
    /// The destination cannot be written to.
    #[error("{} cannot be written to", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// We were asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What a file system has left.
///
/// # Errors
/// When it does not say.
pub fn free(directory: &Path) -> io::Result<Bytes> {
    let status = rustix::fs::statvfs(directory)?;
    Ok(Bytes(status.f_bavail.saturating_mul(status.f_frsize)))
}

/// Copies `from`, and gives it its name when all of it has arrived.
///
/// # Errors
/// When it was not copied. What had arrived of it is removed.
pub fn copy(
    runner: &dyn Runner,
    cancel: &Cancel,
    from: &Path,
    target: &Target,
    progress: Progress<'_>,
) -> Result<(), CopyError> {
    let written = |path: &Path, source: io::Error| CopyError::Io { path: path.to_owned(), source };
    let there = target.directory.join(&target.name);
    if !target.force && fs::symlink_metadata(&there).is_ok() {
        return Err(CopyError::Exists(there));
    }
    let stage = tempfile::Builder::new().prefix(STAGE).tempdir_in(&target.directory);
    let stage = stage.map_err(|source| written(&target.directory, source))?;
    let staged = stage.path().join("copy");
    run_cp(runner, cancel, from, &staged, progress).map_err(|error| explain(error, target))?;
    settle(stage.path()).map_err(|source| match source.raw_os_error() {
        Some(code) if code == Errno::NOSPC.raw_os_error() => CopyError::NoSpace(target.directory.clone()),
        _ => written(&target.directory, source),
    })?;
    publish(&staged, &there, target.force)
}

/// What `cp` copies must be on the disk before it gets its name: it could be empty after a power cut.
fn settle(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(directory)?.as_fd())?)
}

fn run_cp(
    runner: &dyn Runner,
    cancel: &Cancel,
    from: &Path,
    to: &Path,
    progress: Progress<'_>,
) -> Result<(), CopyError> {
    let cp = invocation(from, to)?;
    let (done, moved) = (AtomicBool::new(false), std::sync::Arc::new(Mutex::new(Instant::now())));
    let (asked, seen) = (cancel.clone(), std::sync::Arc::clone(&moved));
    let watched = cancel.watching(move || {
        let stalled = || seen.lock().is_ok_and(|at| at.elapsed() > STALLED);
        let lost = asked.lost();
        let stop = || asked.is_requested().then(|| "interrupted".to_owned());
        lost.or_else(stop).or_else(|| stalled().then(|| "nothing was copied for 10 minutes".to_owned()))
    });
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| follow(to, &done, &moved, progress));
        let outcome = runner.run(&cp, &watched);
        done.store(true, Ordering::Relaxed);
        outcome
    });
    let shown = || from.display().to_string();
    match outcome {
        Ok(output) if output.exit == Exit::Code(0) => Ok(()),
        Ok(output) => {
            let message = output.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(CopyError::Cp { from: shown(), message })
        }
        Err(_) if cancel.is_requested() && cancel.lost().is_none() => Err(CopyError::Interrupted),
        Err(source) => Err(CopyError::Run { from: shown(), source }),
    }
}

fn invocation(from: &Path, to: &Path) -> Result<Invocation, CopyError> {
    let text =
        |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| CopyError::NotText(path.to_owned()));
    let (from, to) = (text(from)?, text(to)?);
    // It may run for hours, and must not go on when we are killed: then nobody would give its copy a name, and it would
    // keep the drive busy.
    let ends_with_us = ["--pdeathsig", "KILL", "cp"];
    let cp = ["-a", "--reflink=auto", "--", &from, &to];
    Ok(Invocation::new(Tool::Setpriv, ends_with_us.into_iter().chain(cp), LONGEST))
}

/// Tells how much has arrived, and notes when something did. Only the destination is looked at, never the drive.
fn follow(to: &Path, done: &AtomicBool, moved: &Mutex<Instant>, progress: Progress<'_>) {
    let mut last = Bytes(0);
    let mut entries = 0;
    let mut next = Instant::now() + PAUSE;
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        if Instant::now() < next {
            continue;
        }
        let began = Instant::now();
        // Files come and go while it is looked: the next look tells.
        if let Ok(now) = look::measure(to) {
            if (now.length, now.entries) != (last, entries)
                && let Ok(mut moved) = moved.lock()
            {
                *moved = Instant::now();
            }
            (last, entries) = (now.length, now.entries);
            progress(last);
        }
        // Looking costs as well: at most a tenth of the time.
        next = Instant::now() + PAUSE.max(began.elapsed() * 10);
    }
}

/// A full disk in the words of its own.
fn explain(error: CopyError, target: &Target) -> CopyError {
    match &error {
        CopyError::Cp { message, .. } if message.contains("No space left") => {
            CopyError::NoSpace(target.directory.clone())
        }
        CopyError::Cp { message, .. } if message.contains("Disk quota exceeded") => {
            CopyError::NoSpace(target.directory.clone())
        }
        _ => error,
    }
}

/// Gives what is whole its name; where something has it and may be replaced, file by file.
fn publish(staged: &Path, there: &Path, force: bool) -> Result<(), CopyError> {
    let failed = |source: io::Error| CopyError::Io { path: there.to_owned(), source };
    match rename_new(staged, there) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) if force => {}
        Err(Errno::EXIST) => return Err(CopyError::Exists(there.to_owned())),
        Err(errno) => return Err(failed(errno.into())),
    }
    let is_directory = |path: &Path| fs::symlink_metadata(path).map(|status| status.is_dir());
    match (is_directory(staged).map_err(failed)?, is_directory(there).map_err(failed)?) {
        (false, false) => fs::rename(staged, there).map_err(failed),
        (true, true) => {
            let entries = fs::read_dir(staged).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            entries.map_err(failed)?.iter().try_for_each(|entry| {
                publish(&entry.path(), &there.join::<&OsStr>(&entry.file_name()), force)
            })
        }
        _ => Err(CopyError::OtherKind(there.to_owned())),
    }
}

/// Renames to a name that nothing has.
fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot do it in one step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match fs::symlink_metadata(to) {
            Ok(_) => Err(Errno::EXIST),
            Err(_) => rustix::fs::rename(from, to),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use crate::process::System;

    struct Setting {
        directory: tempfile::TempDir,
        cancel: Cancel,
    }

    impl Setting {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir_all(directory.path().join("from/sub")).unwrap();
            fs::create_dir(directory.path().join("to")).unwrap();
            fs::write(directory.path().join("from/a"), "new a").unwrap();
            fs::write(directory.path().join("from/sub/b"), "new b").unwrap();
            symlink("/etc/passwd", directory.path().join("from/link")).unwrap();
            Self { directory, cancel: Cancel::new() }
        }

        fn path(&self, path: &str) -> PathBuf {
            self.directory.path().join(path)
        }

        fn copy(&self, from: &str, name: &str, force: bool) -> Result<(), CopyError> {
            let target = Target { directory: self.path("to"), name: name.into(), force };
            copy(&System::new(), &self.cancel, &self.path(from), &target, &|_| {})
        }

        /// What is in the destination, by name.
        fn there(&self) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(self.path("to"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.path(path)).unwrap()
        }
    }

    #[test]
    fn a_copy_has_what_the_file_has_and_leaves_nothing_beside_it() {
        let setting = Setting::new();
        fs::set_permissions(setting.path("from/a"), fs::Permissions::from_mode(0o640)).unwrap();
        let time = fs::FileTimes::new()
            .set_modified(std::time::UNIX_EPOCH + Duration::from_nanos(1_500_000_000_123));
        fs::File::options().write(true).open(setting.path("from/a")).unwrap().set_times(time).unwrap();
        setting.copy("from/a", "a", false).unwrap();
        setting.copy("from", "all", false).unwrap();
        setting.copy("from/link", "link", false).unwrap();
        assert_eq!(setting.there(), ["a", "all", "link"]);
        for copied in ["to/a", "to/all/a"] {
            let (before, after) = (setting.path("from/a"), setting.path(copied));
            let seen = |path: &Path| {
                let status = fs::metadata(path).unwrap();
                (status.mode(), status.mtime(), status.mtime_nsec(), status.uid())
            };
            assert_eq!(seen(&before), seen(&after), "{copied}");
            assert_eq!(setting.text(copied), "new a");
        }
        assert_eq!(fs::read_link(setting.path("to/all/link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(fs::read_link(setting.path("to/link")).unwrap(), Path::new("/etc/passwd"));
    }

    #[test]
    fn what_is_there_stays_unless_it_may_be_replaced_and_then_only_file_by_file() {
        let setting = Setting::new();
        fs::create_dir_all(setting.path("to/all/sub")).unwrap();
        for (name, text) in
            [("to/a", "old"), ("to/all/a", "old"), ("to/all/kept", "old"), ("to/all/sub/kept", "old")]
        {
            fs::write(setting.path(name), text).unwrap();
        }
        assert!(matches!(setting.copy("from/a", "a", false), Err(CopyError::Exists(_))));
        assert!(matches!(setting.copy("from", "all", false), Err(CopyError::Exists(_))));
        assert!(matches!(setting.copy("from/a", "all", true), Err(CopyError::OtherKind(_))));
        assert!(matches!(setting.copy("from", "a", true), Err(CopyError::OtherKind(_))));
        assert_eq!((setting.text("to/a"), setting.text("to/all/a")), ("old".into(), "old".into()));
        setting.copy("from/a", "a", true).unwrap();
        setting.copy("from", "all", true).unwrap();
        for (name, text) in [
            ("to/a", "new a"),
            ("to/all/a", "new a"),
            ("to/all/sub/b", "new b"),
            ("to/all/kept", "old"),
            ("to/all/sub/kept", "old"),
        ] {
            assert_eq!(setting.text(name), text, "{name}");
        }
        assert_eq!(setting.there(), ["a", "all"]);
    }

    #[test]
    fn what_fails_or_is_stopped_has_no_name_and_leaves_nothing() {
        let setting = Setting::new();
        assert!(matches!(setting.copy("from/none", "x", false), Err(CopyError::Cp { .. })));
        setting.cancel.request(2);
        assert!(matches!(setting.copy("from/a", "x", false), Err(CopyError::Interrupted)));
        assert_eq!(setting.there(), Vec::<String>::new());
        let full = CopyError::Cp { from: String::new(), message: "cp: x: No space left on device".into() };
        let target = Target { directory: "/home".into(), name: "x".into(), force: false };
        assert_eq!(explain(full, &target).to_string(), "/home has no space left");
    }
}
