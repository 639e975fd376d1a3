//! Waits for the status to change: the directory is watched, because the file is put into its place as a whole. It costs
//! nothing while nothing happens.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::live::public::FILE;

/// Room for a few events with the longest names.
const ROOM: usize = 8 * 1024;

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The status.
    Status,
    /// A run has its drive's lock no longer, or will not have it in a moment: the kernel tells that a file is closed
    /// before it lets go of the lock.
    Lock,
}

/// Calls `changed` whenever the status, or whether a run has its drive's lock, may have changed; at first at once. It
/// returns when `changed` wants no more.
///
/// # Errors
/// When the kernel watches nothing more for this user.
pub fn watch(directory: &Path, mut changed: impl FnMut(Changed) -> bool) -> io::Result<()> {
    loop {
        let there = Watch::begin(directory)?;
        if !changed(Changed::Status) {
            return Ok(());
        }
        match there {
            Some(watch) => {
                if !watch.until_gone(&mut changed)? {
                    return Ok(());
                }
            }
            None => await_directory(directory)?,
        }
    }
}

/// An open watch.
struct Watch(OwnedFd);

impl Watch {
    /// None when there is no such directory.
    fn begin(directory: &Path) -> io::Result<Option<Self>> {
        let fd = inotify::init(CreateFlags::CLOEXEC)?;
        // A lock is closed when its owner ends, however that ends.
        let wanted =
            WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE | WatchFlags::DELETE_SELF | WatchFlags::ONLYDIR;
        match inotify::add_watch(&fd, directory, wanted) {
            Ok(_) => Ok(Some(Self(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns whether somebody wants more, once the directory is gone.
    fn until_gone(self, changed: &mut impl FnMut(Changed) -> bool) -> io::Result<bool> {
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut events = Reader::new(self.0, &mut room);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            if event.events().intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF) {
                return Ok(true);
            }
            let missed = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let name = event.file_name().map(|name| name.to_bytes().to_vec()).unwrap_or_default();
            let what = if missed { Some(Changed::Lock) } else { matters(&name) };
            if what.is_some_and(|what| !changed(what)) {
                return Ok(false);
            }
        }
    }
}

/// The status itself, and the lock of a drive.
fn matters(name: &[u8]) -> Option<Changed> {
    let drive = name.strip_suffix(b".lock").is_some_and(|guid| guid.iter().all(u8::is_ascii_digit));
    if name == FILE.as_bytes() { Some(Changed::Status) } else { drive.then_some(Changed::Lock) }
}

/// Waits in the nearest directory above it that is there.
fn await_directory(directory: &Path) -> io::Result<()> {
    let mut above: PathBuf = directory.to_owned();
    while !above.is_dir() && above.pop() {}
    let fd = inotify::init(CreateFlags::CLOEXEC)?;
    match inotify::add_watch(&fd, &above, WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF)
    {
        // It went meanwhile: somebody looks again at what is there.
        Err(Errno::NOENT) => return Ok(()),
        watched => watched?,
    };
    // What came between the look and the watch is there now.
    let awaited =
        directory.strip_prefix(&above).ok().and_then(|rest| rest.iter().next()).map(OsStr::to_owned);
    let mut room = [MaybeUninit::uninit(); ROOM];
    let mut events = Reader::new(fd, &mut room);
    while awaited.as_ref().is_some_and(|next| !above.join(next).exists()) && above.is_dir() {
        match events.next() {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    fn watched(directory: PathBuf) -> Receiver<()> {
        let (tell, told) = channel();
        std::thread::spawn(move || watch(&directory, |_| tell.send(()).is_ok()));
        told
    }

    fn is_told(told: &Receiver<()>) {
        told.recv_timeout(Duration::from_secs(10)).unwrap();
        while told.recv_timeout(Duration::from_millis(50)).is_ok() {}
    }

    #[test]
    fn a_directory_that_comes_later_goes_and_comes_again_is_watched() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run/zferry");
        let told = watched(directory.clone());
        is_told(&told);
        for _ in 0..2 {
            std::fs::create_dir_all(&directory).unwrap();
            is_told(&told);
            std::fs::write(directory.join("7.events"), "much").unwrap();
            std::fs::write(directory.join("status.lock"), "").unwrap();
            assert!(told.recv_timeout(Duration::from_millis(200)).is_err(), "that is not the status");
            std::fs::write(directory.join(".new"), "{}").unwrap();
            std::fs::rename(directory.join(".new"), directory.join(FILE)).unwrap();
            is_told(&told);
            drop(crate::execute::lock::take(&directory, crate::model::Guid(7), "me").unwrap());
            is_told(&told);
            std::fs::remove_dir_all(place.path().join("run")).unwrap();
            is_told(&told);
        }
    }
}
