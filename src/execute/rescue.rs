//! The rescue file system of a drive: mounted for as long as its files are written, and unmounted wherever it is mounted
//! before the drive is let go. A backup is whole without it, so that whatever goes wrong here is a warning.
//!
//! The drive is not trusted: what is on this file system may be anything. All of our files lie in its top directory; they
//! are written under another name and renamed, and no link is ever followed. It is mounted with options under which it can
//! neither run anything nor have the kernel stop when it is damaged (a superblock can say `errors=panic`).

mod look;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::files::{private_directory, unmount};
use super::session::Host;
use crate::drive::{Disk, RescuePartition, list_holders_of_device, rescue_partitions};
use crate::event::Event;
use crate::model::Bytes;
use crate::process::{Invocation, Tool};
use crate::zfs::{Client, ZfsError};

pub use look::outdated;

/// A journal may have to be replayed.
const MOUNT: Duration = Duration::from_secs(120);
/// For all files; a program is some ten megabytes.
const WRITE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(100);
/// Copied and compared at once.
const CHUNK: usize = 1 << 18;
/// The name of a file while it is written.
const STAGE: &str = ".zferry-new";
/// The program's name there.
pub const PROGRAM: &str = "zferry";

const OPTIONS: &str = "rw,nosuid,nodev,noexec,noatime,errors=remount-ro";

/// What is to be there.
#[derive(Debug, Default)]
pub struct Contents {
    /// Texts by the names of their files.
    pub texts: BTreeMap<&'static str, String>,
    /// The program, if it is to be there.
    pub program: Option<PathBuf>,
}

/// Why it is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum RescueError {
    /// There is none on the drive's disk, or more than one.
    #[error("{0} on the drive")]
    NotFound(&'static str),
    /// It cannot be mounted or unmounted.
    #[error("{what}")]
    Zfs {
        /// What was tried.
        what: &'static str,
        /// What came back.
        #[source]
        source: ZfsError,
    },
    /// `mount` said that it worked, and it did not.
    #[error("it is not mounted, although `mount` succeeded")]
    NotMounted,
    /// Something else failed.
    #[error("{what}")]
    Io {
        /// What.
        what: String,
        /// What came back.
        #[source]
        source: io::Error,
    },
    /// It takes too long.
    #[error("writing to it took more than {} s and was given up", WRITE.as_secs())]
    Late,
    /// We were asked to stop, or the drive is gone.
    #[error("interrupted")]
    Interrupted,
}

/// The one on these disks.
///
/// # Errors
/// When there is none, or more than one.
pub fn find(host: &Host<'_>, disks: &[Disk]) -> Result<RescuePartition, RescueError> {
    let mut found = rescue_partitions(host.root, disks);
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(RescueError::NotFound("there is none")),
        _ => Err(RescueError::NotFound("there are several")),
    }
}

/// Writes what is not there yet, or differs. It is mounted at `at` for that long. `contents` is told how much room it has.
///
/// # Errors
/// When anything failed. It is unmounted as far as that is possible.
pub fn keep_current(
    host: &Host<'_>,
    partition: &RescuePartition,
    at: &Path,
    contents: impl FnOnce(Bytes) -> Contents,
) -> Result<(), RescueError> {
    mounted(host, partition, at, OPTIONS, || write_in_time(host, at, contents))
}

/// Does something with it while it is mounted at `at`, and unmounts it.
fn mounted<T>(
    host: &Host<'_>,
    partition: &RescuePartition,
    at: &Path,
    options: &str,
    work: impl FnOnce() -> Result<T, RescueError>,
) -> Result<T, RescueError> {
    let made = private_directory(at);
    made.map_err(|source| RescueError::Io { what: format!("{} cannot be made", at.display()), source })?;
    // Left by a run that was killed.
    let _ = leave(host, at);
    let (node, point) = (partition.node.display().to_string(), at.display().to_string());
    let mount = Invocation::new(Tool::Mount, ["-t", "ext4", "-o", options, &node, &point], MOUNT);
    let mounted =
        host.client.run(&mount).map_err(|source| RescueError::Zfs { what: "it cannot be mounted", source });
    // Looked at also after a failure: a command that was given up may still have its effect.
    let is_there = partition.mounted_on(host.root).is_ok_and(|points| points.iter().any(|on| on == at));
    let done = match (mounted, is_there) {
        (Ok(_), true) => work(),
        (Ok(_), false) => Err(RescueError::NotMounted),
        (Err(error), _) => Err(error),
    };
    let left = leave(host, at).map_err(|source| RescueError::Zfs { what: "it cannot be unmounted", source });
    done.and_then(|done| left.map(|()| done))
}

/// Unmounts what is mounted at a directory of ours, also when the drive is gone.
fn leave(host: &Host<'_>, at: &Path) -> Result<(), ZfsError> {
    let cancel = host.client.cancel().unwatched();
    let client: Client<'_> = host.client.with_cancel(&cancel);
    let is_there = || crate::drive::is_mount_point(host.root, at).unwrap_or(true);
    if !is_there() {
        return Ok(());
    }
    match unmount(&client, at) {
        Err(_) if !is_there() => Ok(()),
        other => other,
    }
}

/// Has a thread write, which is not waited for when the drive does not answer.
fn write_in_time(
    host: &Host<'_>,
    at: &Path,
    contents: impl FnOnce(Bytes) -> Contents,
) -> Result<(), RescueError> {
    let io = |source: io::Error| RescueError::Io { what: "it cannot be written to".to_owned(), source };
    let status = rustix::fs::statvfs(at).map_err(|errno| io(errno.into()))?;
    let contents = contents(Bytes(status.f_blocks.saturating_mul(status.f_frsize)));
    let (answer, question) = mpsc::channel();
    let (stop, directory) = (Arc::new(AtomicBool::new(false)), at.to_owned());
    let stopped = Arc::clone(&stop);
    let writer = move || answer.send(write_all(&directory, &contents, &stopped));
    std::thread::Builder::new().name("rescue".to_owned()).spawn(writer).map_err(io)?;
    let started = Instant::now();
    loop {
        match question.recv_timeout(TICK) {
            Ok(Err(error)) if stop.load(Ordering::Relaxed) => {
                log::debug!("{error}");
                return Err(RescueError::Interrupted);
            }
            Ok(written) => return written,
            Err(RecvTimeoutError::Disconnected) => return Err(RescueError::Late),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if host.client.cancel().lost().is_some() {
            stop.store(true, Ordering::Relaxed);
            return Err(RescueError::Interrupted);
        }
        if host.client.cancel().is_requested() {
            stop.store(true, Ordering::Relaxed);
        }
        if started.elapsed() > WRITE {
            stop.store(true, Ordering::Relaxed);
            return Err(RescueError::Late);
        }
    }
}

/// Everything that differs. A file that cannot be written keeps no other from it; the first one is told.
fn write_all(at: &Path, contents: &Contents, stop: &AtomicBool) -> Result<(), RescueError> {
    let failed =
        |name: &str, source: io::Error| RescueError::Io { what: format!("{name} cannot be written"), source };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let top = openat(CWD, at, flags, Mode::empty()).map_err(|errno| failed("it", errno.into()))?;
    let mut result = Ok(());
    for (name, text) in &contents.texts {
        let written = keep(&top, name, &mut io::Cursor::new(text.as_bytes()), 0o644, stop);
        result = result.and(written.map_err(|source| failed(name, source)));
    }
    if let Some(path) = &contents.program {
        let opened = File::open(path);
        let written = opened.and_then(|mut program| keep(&top, PROGRAM, &mut program, 0o755, stop));
        result = result.and(written.map_err(|source| failed(PROGRAM, source)));
    }
    result
}

/// What a file is made of: read once to compare, and again to write.
trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// Gives a file this content, unless it has it. Whatever has its name otherwise is replaced as a whole, and a link is not
/// followed.
fn keep(top: &OwnedFd, name: &str, source: &mut dyn Source, mode: u32, stop: &AtomicBool) -> io::Result<()> {
    if is_same(top, name, source, stop)? {
        return Ok(());
    }
    source.rewind()?;
    // Left by a run that was killed, or somebody's: it goes, whatever it is.
    let _ = unlinkat(top, STAGE, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = openat(top, STAGE, flags, Mode::from_raw_mode(mode)).map_err(io::Error::from);
    let written = written.and_then(|descriptor| {
        let mut file = File::from(descriptor);
        // Said again because of the umask.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        let mut buffer = vec![0; CHUNK];
        loop {
            check(stop)?;
            match source.read(&mut buffer)? {
                0 => break,
                count => file.write_all(buffer.get(..count).unwrap_or_default())?,
            }
        }
        fsync(&file)?;
        Ok(renameat(top, STAGE, top, name)?)
    });
    if written.is_err() {
        let _ = unlinkat(top, STAGE, AtFlags::empty());
    }
    written?;
    Ok(fsync(top)?)
}

/// Whether a regular file of this name has this content.
fn is_same(top: &OwnedFd, name: &str, source: &mut dyn Source, stop: &AtomicBool) -> io::Result<bool> {
    // A pipe would keep us waiting for somebody who writes.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(descriptor) = openat(top, name, flags, Mode::empty()) else { return Ok(false) };
    let status = fstat(&descriptor)?;
    let length = source.seek(io::SeekFrom::End(0))?;
    source.rewind()?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile
        || u64::try_from(status.st_size) != Ok(length)
    {
        return Ok(false);
    }
    let mut there = File::from(descriptor);
    let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut left = length;
    while left > 0 {
        check(stop)?;
        let count = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let (Some(ours), Some(theirs)) = (ours.get_mut(..count), theirs.get_mut(..count)) else {
            return Ok(false);
        };
        source.read_exact(ours)?;
        // What cannot be read is written anew.
        if there.read_exact(theirs).is_err() || ours != theirs {
            return Ok(false);
        }
        left -= count as u64;
    }
    Ok(true)
}

fn check(stop: &AtomicBool) -> io::Result<()> {
    if stop.load(Ordering::Relaxed) { Err(Errno::INTR.into()) } else { Ok(()) }
}

/// Unmounts the rescue file systems of these disks wherever they are mounted: desktops mount them by themselves, and a
/// disk with something mounted cannot be unplugged. Says who keeps one, if that is so.
pub fn release(host: &Host<'_>, drive: &str, disks: &[Disk]) -> Option<String> {
    let cancel = host.client.cancel().unwatched();
    let client: Client<'_> = host.client.with_cancel(&cancel);
    for partition in rescue_partitions(host.root, disks) {
        for point in partition.mounted_on(host.root).unwrap_or_default() {
            let Err(error) = unmount(&client, &point) else {
                log::info!("the rescue file system of {drive} was unmounted from {}", point.display());
                continue;
            };
            // Somebody else may have unmounted it in the meantime.
            if !partition.mounted_on(host.root).is_ok_and(|points| points.contains(&point)) {
                continue;
            }
            let holders = list_holders_of_device(host.root, &partition.number);
            let named: Vec<_> = holders.iter().take(5).map(super::session::describe).collect();
            let by = if named.is_empty() {
                super::chain(&error)
            } else {
                format!("in use by {}", named.join("; "))
            };
            let (node, point) = (partition.node.display(), point.display());
            return Some(format!("its rescue file system {node} is mounted on {point}, {by}"));
        }
    }
    None
}

/// What is told when it is not up to date: the backup stands.
pub fn warn(host: &Host<'_>, drive: &str, error: &RescueError) {
    let text = format!("The rescue file system of {drive} is not up to date: {}.", super::chain(error));
    host.sink.event(Event::Warning { text });
}

#[cfg(test)]
mod tests;
