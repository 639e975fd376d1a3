//! The real host: finds the tools, runs them under a deadline.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::child::{Child, DIRECTORIES, Wiring, kill, read_ready, wait, watched};
use super::transfer::Transfer;
use super::{
    Cancel, Exit, Interruption, Invocation, Output, PipeOutput, RunError, Runner, Sending, Tool, Watch,
};

/// More than this on standard output, in bytes, is not an answer. A listing of a million snapshots is a fifth of it.
const LARGEST_OUTPUT: usize = 1 << 30;

/// What a running command gets after we were asked to stop at once: enough for an export in good health, so that
/// a second Ctrl-C does not leave the drive imported.
const LAST_CHANCE: Duration = Duration::from_secs(10);

/// How often a sleeping call looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(100);

/// Runs the tools that are installed on this host.
///
/// They are looked for once: first among the booted system's programs (on NixOS these fit the loaded kernel module,
/// `/run/current-system` need not), then in fixed system directories. The caller's `PATH` has no say.
#[derive(Debug, Clone)]
pub struct System {
    directories: Vec<PathBuf>,
    found: HashMap<Tool, PathBuf>,
}

impl System {
    /// With the tools of this host.
    pub fn new() -> Self {
        Self::with_directories(DIRECTORIES.map(PathBuf::from).to_vec())
    }

    /// With the tools found in these directories, for tests with programs of their own. Only code can ask for it:
    /// no flag and no variable does.
    pub fn with_directories(directories: Vec<PathBuf>) -> Self {
        let places = std::env::join_paths(&directories).unwrap_or_default();
        let find = |tool: Tool| Some((tool, which::which_in(tool.name(), Some(&places), "/").ok()?));
        Self { directories, found: Tool::ALL.into_iter().filter_map(find).collect() }
    }

    fn start(&self, command: &Invocation, wiring: &Wiring) -> Result<Child, RunError> {
        let Some(program) = self.found.get(&command.tool) else {
            let places: Vec<_> = self.directories.iter().map(|place| place.display().to_string()).collect();
            return Err(RunError::NotFound { program: command.tool.name(), places: places.join(", ") });
        };
        Child::start(program, &command.args, wiring)
            .map_err(|source| RunError::Spawn { command: command.to_string(), source })
    }
}

/// A program that runs for as long as this is kept, and no longer: dropped, it is killed. What it reads ends with us,
/// however we end.
#[derive(Debug)]
pub struct Kept(#[expect(dead_code, reason = "it is there to be dropped")] Child);

impl System {
    /// Starts a program that reads until its input ends, and keeps that open.
    ///
    /// # Errors
    /// When it is not installed, or cannot be started.
    pub fn keep(&self, command: &Invocation) -> Result<Kept, RunError> {
        self.start(command, &Wiring::Sink).map(Kept)
    }
}

impl System {
    /// Runs `receive` with a file as its standard input, from where that stands to its end. `watch` is called at least every
    /// 250 ms with the bytes that went through so far.
    ///
    /// # Errors
    /// When there is no outcome; a non-zero exit is an outcome.
    pub fn feed(
        &self,
        from: File,
        receive: &Invocation,
        watch: &mut dyn FnMut(u64) -> Watch,
        cancel: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        let receiver = self.start(receive, &Wiring::Sink)?;
        Transfer::of_file(from, receiver, watch).finish(&receive.to_string(), cancel)
    }
}

impl System {
    /// Starts a sender whose stream is read here.
    ///
    /// # Errors
    /// When it is not installed, or cannot be started.
    pub fn send(&self, send: &Invocation, cancel: &Cancel) -> Result<Sending, RunError> {
        let child = self.start(send, &Wiring::Source)?;
        Ok(Sending::new(child, send.to_string(), cancel.clone()))
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Runner for System {
    fn run(&self, command: &Invocation, cancel: &Cancel) -> Result<Output, RunError> {
        refuse_if_lost(cancel, &command.to_string())?;
        let child = self.start(command, &Wiring::Command { input: !command.stdin.is_empty() })?;
        let mut call = Call { child, unwritten: &command.stdin, stdout: Vec::new() };
        let outcome = call.finish(command.deadline, cancel);
        if !matches!(outcome, Ok(End::Exited(_))) {
            kill(&mut [&mut call.child]);
        }
        match outcome {
            Ok(End::Exited(exit)) => Ok(Output { exit, stdout: call.stdout, stderr: call.child.complaint() }),
            Ok(End::Late) => {
                Err(RunError::Deadline { command: command.to_string(), deadline: command.deadline })
            }
            Ok(End::Cancelled) => Err(RunError::Cancelled),
            Ok(End::Lost(why)) => Err(RunError::Lost { command: command.to_string(), why }),
            Err(source) => Err(RunError::Stream { command: command.to_string(), source }),
        }
    }

    fn pipe(
        &self,
        send: &Invocation,
        receive: &Invocation,
        watch: &mut dyn FnMut(u64) -> Watch,
        cancel: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        let command = format!("{send} | {receive}");
        refuse_if_lost(cancel, &command)?;
        // The receiver first: a sender without one would have been started in vain.
        let receiver = self.start(receive, &Wiring::Sink)?;
        let sender = self.start(send, &Wiring::Source)?;
        Transfer::new(sender, receiver, watch).finish(&command, cancel)
    }
}

/// A command that works on a drive that is gone is not even begun.
fn refuse_if_lost(cancel: &Cancel, command: &str) -> Result<(), RunError> {
    cancel.lost().map_or(Ok(()), |why| Err(RunError::Lost { command: command.to_owned(), why }))
}

/// How the wait for a command came to its end.
pub(super) enum End {
    Exited(Exit),
    Late,
    Cancelled,
    Lost(String),
}

/// A command that runs.
pub(super) struct Call<'a> {
    pub(super) child: Child,
    pub(super) unwritten: &'a [u8],
    pub(super) stdout: Vec<u8>,
}

impl Call<'_> {
    /// Feeds and reads the child until it has ended. A first request to stop is not heeded: commands are short, and
    /// the export that follows one must still work.
    pub(super) fn finish(&mut self, deadline: Duration, cancel: &Cancel) -> io::Result<End> {
        let deadline = Instant::now().checked_add(deadline);
        let (mut last_chance, mut watched_at): (_, Option<Instant>) = (None, None);
        loop {
            self.write_ready();
            let stdout = &mut self.stdout;
            read_ready(&mut self.child.stdout, |bytes| stdout.extend_from_slice(bytes));
            if self.stdout.len() > LARGEST_OUTPUT {
                return Err(io::Error::other("it printed more than 1 GiB"));
            }
            self.child.attend()?;
            if let Some(exit) = self.child.exit()
                && (self.child.stdout.is_none() || self.child.is_leftover())
            {
                return Ok(End::Exited(exit));
            }
            let now = Instant::now();
            // Not after every piece of a listing: looking costs as much as reading.
            if watched_at.is_none_or(|at| now >= at + TICK) {
                watched_at = Some(now);
                if let Some(why) = cancel.lost() {
                    return Ok(End::Lost(why));
                }
            }
            if cancel.interruption() == Interruption::Now {
                last_chance.get_or_insert(now + LAST_CHANCE);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(End::Late);
            }
            if last_chance.is_some_and(|until| now >= until) {
                return Ok(End::Cancelled);
            }
            let left = deadline.map_or(TICK, |deadline| deadline - now);
            wait(&mut self.interests(), left.min(TICK))?;
        }
    }

    /// Writes what the child is ready to read and closes its input after the last byte. A child that closed its
    /// input early has decided without the rest; its exit tells.
    fn write_ready(&mut self) {
        while let Some(stdin) = &mut self.child.stdin {
            match stdin.write(self.unwritten) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(count) if count < self.unwritten.len() => self.unwritten = &self.unwritten[count..],
                Ok(_) | Err(_) => self.child.stdin = None,
            }
        }
    }

    fn interests(&self) -> Vec<PollFd<'_>> {
        let input = self.child.stdin.as_ref().map(|stdin| watched(stdin.as_fd(), PollFlags::OUT));
        let output = self.child.stdout.as_ref().map(|stdout| watched(stdout.as_fd(), PollFlags::IN));
        self.child.interests().chain(input).chain(output).collect()
    }
}
