//! One child process: started, read without blocking, signalled as a group, and abandoned if nothing else helps.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child as StdChild, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::Exit;
use super::complaint::Complaint;

/// How long a killed child gets to disappear before it is abandoned. More does not help: a child that outlives
/// SIGKILL is in uninterruptible sleep.
pub(super) const DYING: Duration = Duration::from_secs(2);

/// How long the streams of a child that has ended are still read: only a grandchild can keep them open.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Where children look for programs that they start themselves; also where ours are looked for.
pub(super) const DIRECTORIES: [&str; 7] = [
    "/run/booted-system/sw/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// What a child's standard input and output are connected to.
pub(super) enum Wiring {
    /// Input from us if wanted, output to us: a command.
    Command {
        /// Whether there is something to read.
        input: bool,
    },
    /// Nothing in, output to us: a sender.
    Source,
    /// Input from us, no output: a receiver.
    Sink,
}

/// A running child that leads its own process group. Dropped while it runs, it is killed and not waited for.
#[derive(Debug)]
pub(super) struct Child {
    child: StdChild,
    /// Becomes readable when the child has ended, so that one poll waits for it and its streams alike.
    pidfd: OwnedFd,
    /// Where we write; to be taken. Non-blocking.
    pub(super) stdin: Option<ChildStdin>,
    /// Where we read; to be taken. Non-blocking.
    pub(super) stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    complaint: Complaint,
    ended: Option<(Exit, Instant)>,
}

impl Child {
    /// Starts a program with nothing of our environment, in its own process group so that a Ctrl-C on the terminal
    /// reaches it only through us, and in `/` so that it keeps no file system busy.
    ///
    /// # Errors
    /// When the program cannot be started or its streams cannot be prepared; nothing is left running then.
    pub(super) fn start(program: &Path, arguments: &[String], wiring: &Wiring) -> io::Result<Self> {
        Self::start_with(program, arguments, &[], wiring)
    }

    /// The same, with these variables in its environment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(super) fn start_with(
        program: &Path,
        arguments: &[String],
        variables: &[(&str, String)],
        wiring: &Wiring,
    ) -> io::Result<Self> {
        let piped_if = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
        #[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            // Some of what is read has dates in it.
            .env("TZ", "UTC0")
            .env("PATH", DIRECTORIES.join(":"))
            .env("HOME", "/")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(piped_if(matches!(wiring, Wiring::Sink | Wiring::Command { input: true })))
            .stdout(piped_if(!matches!(wiring, Wiring::Sink)))
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        match Self::prepare(&child) {
            Ok(pidfd) => Ok(Self {
                pidfd,
                stdin: child.stdin.take(),
                stdout: child.stdout.take(),
                stderr: child.stderr.take(),
                complaint: Complaint::default(),
                ended: None,
                child,
            }),
            Err(error) => {
                // Just started, so it dies; an error here changes nothing about the one that is reported.
                let _ = child.kill();
                let _ = child.try_wait();
                Err(error)
            }
        }
    }

    fn prepare(child: &StdChild) -> io::Result<OwnedFd> {
        let streams = [
            child.stdin.as_ref().map(AsFd::as_fd),
            child.stdout.as_ref().map(AsFd::as_fd),
            child.stderr.as_ref().map(AsFd::as_fd),
        ];
        for stream in streams.into_iter().flatten() {
            fcntl_setfl(stream, fcntl_getfl(stream)? | OFlags::NONBLOCK)?;
        }
        Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
    }

    /// Sends a signal to the whole group. A child that has ended is not signalled: its number may be another's.
    pub(super) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // It fails only when the group is gone already, which is what was wanted.
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    /// Reads what it complained and notices whether it has ended. Never blocks.
    ///
    /// # Errors
    /// When the kernel does not tell how the child ended.
    pub(super) fn attend(&mut self) -> io::Result<()> {
        if self.ended.is_none()
            && let Some(status) = self.child.try_wait()?
        {
            let signal = || Exit::Signal(status.signal().unwrap_or_default());
            self.ended = Some((status.code().map_or_else(signal, Exit::Code), Instant::now()));
        }
        let complaint = &mut self.complaint;
        read_ready(&mut self.stderr, |bytes| complaint.add(bytes));
        Ok(())
    }

    /// How it ended, once it has and its complaints were read.
    pub(super) fn exit(&self) -> Option<Exit> {
        let (exit, _) = self.ended?;
        (self.stderr.is_none() || self.is_leftover()).then_some(exit)
    }

    /// Whether it ended so long ago that only a grandchild can still hold its streams.
    pub(super) fn is_leftover(&self) -> bool {
        self.ended.is_some_and(|(_, since)| since.elapsed() > LEFTOVERS)
    }

    /// What to poll to be woken when [`Self::attend`] has something to do.
    pub(super) fn interests(&self) -> impl Iterator<Item = PollFd<'_>> {
        let end = self.ended.is_none().then(|| watched(self.pidfd.as_fd(), PollFlags::IN));
        let stderr = self.stderr.as_ref().map(|stderr| watched(stderr.as_fd(), PollFlags::IN));
        end.into_iter().chain(stderr)
    }

    /// What it complained, for a person to read.
    pub(super) fn complaint(&mut self) -> String {
        std::mem::take(&mut self.complaint).into_text()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // Collects one that is dead already; one that is not becomes init's when we end.
        let _ = self.child.try_wait();
    }
}

/// Kills these groups at once and waits for their ends together, at most [`DYING`]; then they are abandoned.
pub(super) fn kill(children: &mut [&mut Child]) {
    let until = Instant::now() + DYING;
    for child in children.iter() {
        child.signal(Signal::KILL);
    }
    while children.iter().any(|child| child.ended.is_none()) {
        let Some(left) = until.checked_duration_since(Instant::now()) else { return };
        let mut interests: Vec<_> = children.iter().flat_map(|child| child.interests()).collect();
        if wait(&mut interests, left).is_err() {
            return;
        }
        drop(interests);
        if children.iter_mut().any(|child| child.attend().is_err()) {
            return;
        }
    }
}

/// One descriptor of a poll.
pub(super) fn watched(descriptor: BorrowedFd<'_>, flags: PollFlags) -> PollFd<'_> {
    PollFd::from_borrowed_fd(descriptor, flags)
}

/// Sleeps until one of these is ready, at most this long.
///
/// # Errors
/// What `poll` reports; an interrupted sleep is none.
pub(super) fn wait(interests: &mut [PollFd<'_>], most: Duration) -> io::Result<()> {
    let most = Timespec::try_from(most).map_err(io::Error::other)?;
    match rustix::event::poll(interests, Some(&most)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives what a non-blocking stream has ready to `take`, at most a mebibyte, so that a child that prints without end
/// does not keep its caller from looking at the clock. Closes the stream at its end; one that breaks has ended too:
/// how the child fared is told by its exit.
pub(super) fn read_ready<S: Read>(stream: &mut Option<S>, mut take: impl FnMut(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    for _ in 0..64 {
        let Some(open) = stream else { return };
        match open.read(&mut buffer) {
            Ok(count) if count > 0 => take(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => *stream = None,
        }
    }
}
