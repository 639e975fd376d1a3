//! The process that has a lock: the one that wrote itself into the file, and that the kernel says holds it. Signals go to
//! that very process, also when its number is given to another one meanwhile.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{major, minor};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::path;
use crate::model::Guid;

/// A living process that holds a drive's lock.
#[derive(Debug)]
pub struct Holder {
    process: OwnedFd,
}

impl Holder {
    /// Who has the lock of a drive; nothing when nobody has, or it is not certain who.
    ///
    /// # Errors
    /// When the lock, or the kernel's list of locks, cannot be read.
    pub fn find(directory: &Path, drive: Guid) -> io::Result<Option<Self>> {
        let path = path(directory, drive);
        let Some(pid) = written_pid(&fs::read_to_string(&path)?) else { return Ok(None) };
        // Opened before it is asked about: what is true of it then is true of the process that gets the signal.
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let status = File::open(&path)?.metadata()?;
        let file = (major(status.dev()), minor(status.dev()), status.ino());
        let has_it = holds(&fs::read_to_string("/proc/locks")?, pid, file);
        let is_zferry = program(pid.as_raw_nonzero().get())? == program("self")?;
        Ok((has_it && is_zferry).then_some(Self { process }))
    }

    /// Asks it to end as Ctrl-C does. One that has ended meanwhile is as good.
    ///
    /// # Errors
    /// When that is not permitted.
    pub fn ask_to_end(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.process, Signal::TERM) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// What the kernel calls a process: the first 15 bytes of its program's name.
fn program(pid: impl std::fmt::Display) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/comm"))
}

/// `process 123, since …`
fn written_pid(owner: &str) -> Option<Pid> {
    let number: u32 = owner.strip_prefix("process ")?.split(',').next()?.parse().ok()?;
    Pid::from_raw(number.try_into().ok()?)
}

/// Whether the kernel's list says that the process has locked the file, for itself alone.
/// `1: FLOCK  ADVISORY  WRITE 708 00:13:46 0 EOF`, the device in hexadecimal.
fn holds(list: &str, pid: Pid, (major, minor, inode): (u32, u32, u64)) -> bool {
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let pid = pid.as_raw_nonzero().to_string();
    list.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // One that waits has an arrow behind its number.
        matches!(words.as_slice(), [_, "FLOCK", _, "WRITE", who, what, ..] if *who == pid && *what == file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::lock::take;

    #[test]
    fn only_the_process_that_the_kernel_says_has_the_file_holds_it() {
        let list = "1: POSIX  ADVISORY  WRITE 708 00:1a:46 0 EOF\n\
                    2: FLOCK  ADVISORY  WRITE 709 00:1a:46 0 EOF\n\
                    2: -> FLOCK  ADVISORY  WRITE 710 00:1a:46 0 EOF\n\
                    3: FLOCK  ADVISORY  READ 711 00:1a:46 0 EOF\n";
        let pid = |number| Pid::from_raw(number).unwrap();
        for (number, file, expected) in [
            (709, (0, 0x1a, 46), true),
            (709, (0, 0x1a, 47), false),
            (709, (8, 0x1a, 46), false),
            (708, (0, 0x1a, 46), false),
            (710, (0, 0x1a, 46), false),
            (711, (0, 0x1a, 46), false),
        ] {
            assert_eq!(holds(list, pid(number), file), expected, "{number} {file:?}");
        }
    }

    #[test]
    fn who_wrote_himself_into_the_file_and_does_not_have_it_is_nobody() {
        assert_eq!(written_pid("process 12, since noon; it backs up to the drive\n"), Pid::from_raw(12));
        for text in ["", "process", "process x, since", "process 0, since", "process -1, since", "12"] {
            assert_eq!(written_pid(text), None, "{text}");
        }
        let directory = tempfile::tempdir().unwrap();
        let owner = format!("process {}, since noon", std::process::id());
        let lock = take(directory.path(), Guid(7), &owner).unwrap();
        assert!(Holder::find(directory.path(), Guid(7)).unwrap().is_some());
        drop(lock);
        assert!(Holder::find(directory.path(), Guid(7)).unwrap().is_none());
        let _lock = take(directory.path(), Guid(7), "process 1, since noon").unwrap();
        assert!(Holder::find(directory.path(), Guid(7)).unwrap().is_none());
    }
}
