//! The seam to the world: an argument vector and streams go in, bytes and an exit status come out.
//!
//! This is the only module that spawns. Everything above speaks to [`Runner`], so that a simulated host can answer in
//! the text that `zfs` and the others print. Every call has a deadline or a stall watch and a [`Cancel`]; a child
//! that does not die is abandoned, never joined (S13).
//!
//! No thread belongs to a child: the calling thread polls all streams without blocking, so that there is nothing
//! that could hang with a child in uninterruptible sleep.
//!
//! Children get no parent-death signal: it can only be set between fork and exec, which is unsafe code. When zferry
//! is killed, `zfs send` dies by its broken pipe, `zfs receive -s` meets the end of its input and keeps what it has,
//! and everything else is short; but for `cp`, for which `setpriv` sets it.

use std::fmt;
use std::time::Duration;

mod cancel;
mod child;
mod complaint;
mod program;
mod pump;
mod sending;
mod supervisor;
#[cfg(test)]
pub(crate) mod testing;
mod transfer;

pub use cancel::{Cancel, Interruption};
pub(crate) use complaint::{printable, quoted};
pub use program::{Program, find_program};
pub use sending::Sending;
pub use supervisor::{Kept, System};

/// The programs that zferry runs. Looked for in fixed system directories, never in the caller's PATH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// `zfs`
    Zfs,
    /// `zpool`
    Zpool,
    /// `udisksctl`
    Udisksctl,
    /// `udevadm`
    Udevadm,
    /// `mount`
    Mount,
    /// `umount`
    Umount,
    /// `setpriv`, which starts another program with a condition: here that it ends when we do.
    Setpriv,
    /// `blockdev`
    Blockdev,
    /// `mkfs.ext4`
    Mkfs,
    /// `systemd-inhibit`
    SystemdInhibit,
    /// `cryptsetup`
    Cryptsetup,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Zfs,
        Self::Zpool,
        Self::Udisksctl,
        Self::Udevadm,
        Self::Mount,
        Self::Umount,
        Self::Setpriv,
        Self::Blockdev,
        Self::Mkfs,
        Self::SystemdInhibit,
        Self::Cryptsetup,
    ];
}

impl Tool {
    /// The program's file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zfs => "zfs",
            Self::Zpool => "zpool",
            Self::Udisksctl => "udisksctl",
            Self::Udevadm => "udevadm",
            Self::Mount => "mount",
            Self::Umount => "umount",
            Self::Setpriv => "setpriv",
            Self::Blockdev => "blockdev",
            Self::Mkfs => "mkfs.ext4",
            Self::SystemdInhibit => "systemd-inhibit",
            Self::Cryptsetup => "cryptsetup",
        }
    }
}

/// One command: nothing of it ever passes a shell (S16).
#[derive(Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program.
    pub tool: Tool,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it reads on standard input; nothing: closed.
    pub stdin: Vec<u8>,
    /// After which it is killed and, if it does not die, abandoned. Ignored by [`Runner::pipe`], which watches for
    /// stalls instead.
    pub deadline: Duration,
}

impl Invocation {
    /// A command with arguments, no standard input and the given deadline.
    pub fn new(tool: Tool, args: impl IntoIterator<Item = impl Into<String>>, deadline: Duration) -> Self {
        Self { tool, args: args.into_iter().map(Into::into).collect(), stdin: Vec::new(), deadline }
    }
}

/// Without what it reads: that may be a passphrase (S17).
impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.stdin.len();
        write!(f, "Invocation({self}, {read} bytes on standard input, within {:?})", self.deadline)
    }
}

/// As a person could type it: arguments with other characters than plain ones are quoted.
impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tool.name())?;
        for argument in &self.args {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@#=,+".contains(c);
            if !argument.is_empty() && argument.chars().all(plain) {
                write!(f, " {argument}")?;
            } else {
                write!(f, " '{}'", argument.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// A signal killed it.
    Signal(i32),
}

impl Exit {
    /// Exit code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What a finished command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// All that it printed.
    pub stdout: Vec<u8>,
    /// The last part of what it complained, control characters made harmless.
    pub stderr: String,
}

/// How a send → receive pair ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeOutput {
    /// How `zfs send` ended. It may say 0 although the receiver failed (facts: zfs.md decision 13).
    pub send: Exit,
    /// How `zfs receive` ended.
    pub receive: Exit,
    /// The last part of what `zfs send` complained.
    pub send_stderr: String,
    /// The last part of what `zfs receive` complained.
    pub receive_stderr: String,
    /// Bytes that went from one to the other.
    pub bytes: u64,
}

/// Why a command has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program is not installed in any of the places where it is looked for.
    #[error("`{program}` was not found in {places}")]
    NotFound {
        /// File name.
        program: &'static str,
        /// The directories that were searched.
        places: String,
    },
    /// It could not be started.
    #[error("`{command}` could not be started")]
    Spawn {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It did not finish within its deadline and was killed, or abandoned when it could not be.
    #[error("`{command}` gave no answer within {} s", deadline.as_secs())]
    Deadline {
        /// The command.
        command: String,
        /// The time that it had.
        deadline: Duration,
    },
    /// Nothing moved between send and receive for too long, or the watch said stop.
    #[error("`{command}` stopped moving: {why}")]
    Stalled {
        /// Both commands.
        command: String,
        /// What the watch saw.
        why: String,
    },
    /// The user or the system asked us to stop.
    #[error("interrupted")]
    Cancelled,
    /// The drive that it may be working on is gone: it was killed and, if the kernel keeps it, abandoned.
    #[error("`{command}` was given up: {why}")]
    Lost {
        /// The command.
        command: String,
        /// What happened to the drive.
        why: String,
    },
    /// Reading from or writing to it failed.
    #[error("the streams of `{command}` broke")]
    Stream {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What a watch says about a running transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// Go on.
    Continue,
    /// Kill both sides, wait for neither.
    Stop(String),
}

/// A host that runs commands: the real one is [`System`].
pub trait Runner: Send + Sync {
    /// Runs one command to its end.
    ///
    /// # Errors
    /// When there is no outcome; a non-zero exit is an outcome.
    fn run(&self, command: &Invocation, cancel: &Cancel) -> Result<Output, RunError>;

    /// Runs `send` with its standard output connected to the standard input of `receive`. `watch` is called at least
    /// every 250 ms with the bytes that went through so far.
    ///
    /// # Errors
    /// When there is no outcome; non-zero exits are an outcome.
    fn pipe(
        &self,
        send: &Invocation,
        receive: &Invocation,
        watch: &mut dyn FnMut(u64) -> Watch,
        cancel: &Cancel,
    ) -> Result<PipeOutput, RunError>;
}

#[cfg(test)]
mod tests;
