//! Moves bytes from a pipe or a file into a pipe without copying them, and counts them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ChildStdin;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};

use super::child::watched;

/// Capacity of both pipes in bytes, the most that an unprivileged process may ask for. `zfs receive` reads in bursts
/// between transaction groups; what the pipes hold keeps the sender busy meanwhile.
const CAPACITY: usize = 1 << 20;

/// Moves without looking at anything else, so that a steady stream is not slowed down by its supervision.
const MOVES: usize = 64;

/// How far a pump got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// There is more to move at once.
    More,
    /// One side is not ready: poll for [`Pump::interest`].
    Waits,
    /// The sender closed its end and everything went through, or the receiver closed its own.
    Ended,
}

/// Which side the next move waits for.
#[derive(Debug, Clone, Copy)]
enum Side {
    Sender,
    Receiver,
}

/// The connection between two children, or between a file and a child; dropped, they see it closed.
pub(super) struct Pump {
    from: OwnedFd,
    to: ChildStdin,
    waits_for: Side,
}

impl Pump {
    /// Between the non-blocking ends that two children gave us; a file is always ready.
    pub(super) fn new(from: impl Into<OwnedFd>, to: ChildStdin) -> Self {
        let from = from.into();
        for pipe in [from.as_fd(), to.as_fd()] {
            // Refused when the user's pipes take too much memory already: slower, not wrong. A file has none.
            let _ = fcntl_setpipe_size(pipe, CAPACITY);
        }
        Self { from, to, waits_for: Side::Sender }
    }

    /// Moves what is ready and adds it to `bytes`.
    ///
    /// # Errors
    /// When the kernel refuses to move bytes between these two.
    pub(super) fn advance(&mut self, bytes: &mut u64) -> io::Result<Flow> {
        for _ in 0..MOVES {
            match splice(&self.from, None, &self.to, None, CAPACITY, SpliceFlags::NONBLOCK) {
                Ok(0) | Err(Errno::PIPE) => return Ok(Flow::Ended),
                Ok(moved) => *bytes += moved as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.turn();
                    return Ok(Flow::Waits);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Flow::More)
    }

    /// `splice` does not say which side was not ready. Waiting for the other one than last time finds out: a side
    /// that is ready ends the wait at once, and the next failure turns back.
    fn turn(&mut self) {
        self.waits_for = match self.waits_for {
            Side::Sender => Side::Receiver,
            Side::Receiver => Side::Sender,
        };
    }

    /// What to poll before the next [`Self::advance`].
    pub(super) fn interest(&self) -> PollFd<'_> {
        match self.waits_for {
            Side::Sender => watched(self.from.as_fd(), PollFlags::IN),
            Side::Receiver => watched(self.to.as_fd(), PollFlags::OUT),
        }
    }
}
