//! What went wrong in a `zfs` or `zpool` command. The only place that looks at message text, and only to choose
//! words: what to do is decided by listing again (facts: zfs.md 8.2).

use crate::process::{Exit, Output, RunError};

/// A kind of failure that somebody acts on or that has better words than the tool's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A dataset, snapshot or bookmark that was named is not there (any more).
    Missing,
    /// Something of that name (or a hold of that tag) is there already.
    Exists,
    /// Something uses it.
    Busy,
    /// The pool has no room, or a quota is reached.
    NoSpace,
    /// The pool was last used by another host.
    ForeignHost,
    /// A pool of that name is imported already.
    NameTaken,
    /// The kernel module is not loaded, or too different from the tools.
    Module,
    /// Not root.
    Permission,
    /// Another key opens it.
    WrongKey,
    /// The copy takes increments of datasets that ever had a block above 128 KiB, and this one never had.
    LargeBlocks,
    /// Anything else.
    Other,
}

impl Kind {
    /// By the message, in the C locale. Order matters: the more telling text first.
    pub fn of(stderr: &str) -> Self {
        let table = [
            ("modules are not loaded", Self::Module),
            ("/dev/zfs and /proc/self/mounts are required", Self::Module),
            ("previously in use from another system", Self::ForeignHost),
            ("last accessed by another system", Self::ForeignHost),
            ("a pool with that name already exists", Self::NameTaken),
            // The same from the kernel, when another import was quicker by a moment.
            ("pool already exists", Self::NameTaken),
            ("tag already exists", Self::Exists),
            ("dataset already exists", Self::Exists),
            ("out of space", Self::NoSpace),
            ("quota exceeded", Self::NoSpace),
            ("No space left", Self::NoSpace),
            ("dataset does not exist", Self::Missing),
            ("no such pool", Self::Missing),
            ("could not find any snapshots to destroy", Self::Missing),
            ("permission denied", Self::Permission),
            ("Permission denied", Self::Permission),
            ("is busy", Self::Busy),
            ("requires -L (--large-block)", Self::LargeBlocks),
            ("Incorrect key provided", Self::WrongKey),
            // Not even a passphrase: these are from 8 to 512 bytes long.
            ("Passphrase too", Self::WrongKey),
        ];
        table.iter().find(|(text, _)| stderr.contains(text)).map_or(Self::Other, |&(_, kind)| kind)
    }
}

/// A request on ZFS that did not give its answer.
#[derive(Debug, thiserror::Error)]
pub enum ZfsError {
    /// The command has no outcome.
    #[error("ZFS could not be asked")]
    Run(#[source] RunError),
    /// It ended with an error.
    #[error("`{command}` failed with {exit}: {message}")]
    Failed {
        /// As a person could type it.
        command: String,
        /// How it ended.
        exit: Exit,
        /// What it complained, on one line.
        message: String,
        /// What that is about.
        kind: Kind,
    },
    /// It ended with code 0 and complained all the same: its answer is not to be trusted.
    #[error("`{command}` says that it succeeded and complains: {message}")]
    Contradiction {
        /// As a person could type it.
        command: String,
        /// What it complained, on one line.
        message: String,
    },
    /// Its output is not what such a command prints.
    #[error("`{command}` printed something unexpected in line {line}: {what}")]
    Unreadable {
        /// As a person could type it.
        command: String,
        /// Counted from 1; 0 is the output as a whole.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl ZfsError {
    /// For a command that ended with an error.
    pub fn failed(command: String, output: &Output) -> Self {
        let message = one_line(&output.stderr);
        Self::Failed { command, exit: output.exit, kind: Kind::of(&message), message }
    }

    /// What it is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Failed { kind, .. } => *kind,
            _ => Kind::Other,
        }
    }

    /// Whether we were interrupted.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Run(RunError::Cancelled))
    }

    /// Whether it was given up because the drive is gone.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Run(RunError::Lost { .. }))
    }
}

/// Folds a complaint to one line; says so when there is none.
pub fn one_line(stderr: &str) -> String {
    let folded = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    if folded.is_empty() { "no message".to_owned() } else { folded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_zfs_are_told_apart() {
        // ZFS 2.4.4, Debian 13 (facts: zfs.md 2–5).
        let table = [
            ("cannot open 'rpool/x': dataset does not exist", Kind::Missing),
            ("cannot export 'd2': pool is busy", Kind::Busy),
            ("cannot unmount '/mnt': pool or dataset is busy", Kind::Busy),
            ("cannot receive new filesystem stream: out of space", Kind::NoSpace),
            (
                "cannot import 'd2': pool was previously in use from another system.\nLast accessed by b (hostid=1)",
                Kind::ForeignHost,
            ),
            ("cannot import 'd2': a pool with that name already exists", Kind::NameTaken),
            ("cannot import 'backup': pool already exists", Kind::NameTaken),
            ("The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root", Kind::Module),
            (
                "cannot receive incremental stream: incremental send stream requires -L (--large-block), to match previous receive.",
                Kind::LargeBlocks,
            ),
            ("Key load error: Incorrect key provided for 'backup/eds'.", Kind::WrongKey),
            ("", Kind::Other),
        ];
        for (message, kind) in table {
            assert_eq!(Kind::of(&one_line(message)), kind, "{message}");
        }
    }
}
