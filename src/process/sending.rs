//! A sender whose stream we read ourselves.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::pipe::fcntl_setpipe_size;

use super::child::{Child, DYING, kill, wait, watched};
use super::{Cancel, Output, RunError};

/// Capacity of the pipe in bytes, the most that an unprivileged process may ask for.
const CAPACITY: usize = 1 << 20;
/// How often a call that waits looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(100);

/// A sender that runs. Dropped, it is killed and not waited for.
///
/// There is no limit to how long it may be silent: a sender may have much to skip. A person may stop it.
#[derive(Debug)]
pub struct Sending {
    child: Child,
    command: String,
    cancel: Cancel,
}

impl Sending {
    pub(super) fn new(child: Child, command: String, cancel: Cancel) -> Self {
        if let Some(stdout) = &child.stdout {
            // Refused when the user's pipes take too much memory already: slower, not wrong.
            let _ = fcntl_setpipe_size(stdout, CAPACITY);
        }
        Self { child, command, cancel }
    }

    /// How it ended, after its stream has: it has no reason to stay.
    ///
    /// # Errors
    /// When it does stay, or the kernel does not tell.
    pub fn finish(mut self) -> Result<Output, RunError> {
        // What is not read is not wanted, and it learns that when it writes.
        drop(self.child.stdout.take());
        let until = Instant::now() + DYING;
        let stream = |source| RunError::Stream { command: self.command.clone(), source };
        loop {
            self.child.attend().map_err(stream)?;
            if let Some(exit) = self.child.exit() {
                return Ok(Output { exit, stdout: Vec::new(), stderr: self.child.complaint() });
            }
            if Instant::now() > until {
                kill(&mut [&mut self.child]);
                return Err(RunError::Deadline { command: self.command, deadline: DYING });
            }
            let mut interests: Vec<_> = self.child.interests().collect();
            wait(&mut interests, TICK).map_err(stream)?;
        }
    }
}

impl Read for Sending {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.cancel.is_requested() {
                return Err(io::Error::other("we were asked to stop"));
            }
            let Some(stdout) = &mut self.child.stdout else { return Ok(0) };
            match stdout.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            // Who complains and is not heard stops.
            self.child.attend()?;
            let stdout = self.child.stdout.iter().map(|stdout| watched(stdout.as_fd(), PollFlags::IN));
            let mut interests: Vec<_> = self.child.interests().chain(stdout).collect();
            wait(&mut interests, TICK)?;
        }
    }
}
