//! The only place that turns an error into a heading, hints and an exit code.
//!
//! The codes are those of docs/exit-codes.md: few, stable, and the names that systemd prints for them are right.

use std::fmt::Write as _;

use crate::config::{ConfigError, Problem, ReadError};
use crate::live::Ending;

/// Done; there may have been warnings.
pub const DONE: u8 = 0;
/// At least one dataset failed or was refused, or the drive could not be exported; the rest was done.
pub const INCOMPLETE: u8 = 1;
/// The command line is wrong. clap's code, not that of sysexits.
pub const USAGE: u8 = 2;
/// ZFS is not installed or not loaded (`EX_UNAVAILABLE`).
pub const ZFS_MISSING: u8 = 69;
/// A mistake in zferry (`EX_SOFTWARE`).
pub const INTERNAL: u8 = 70;
/// Not now: the drive is absent or another run has it. Trying again later is enough (`EX_TEMPFAIL`).
pub const NOT_NOW: u8 = 75;
/// Root is needed (`EX_NOPERM`).
pub const NOT_ROOT: u8 = 77;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIGURATION: u8 = 78;
/// A signal ended it: this plus the signal's number, as shells do.
const SIGNALLED: u8 = 128;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// What was typed cannot be done.
    Usage {
        /// A sentence without a full stop.
        what: String,
        /// What to type instead.
        hint: String,
    },
    /// The configuration is missing, not trusted or wrong.
    Config(ConfigError),
    /// Root is needed.
    NotRoot {
        /// The whole command to type.
        command: String,
    },
    /// ZFS does not answer a user who is not root.
    NotPermitted(anyhow::Error),
    /// `zfs` or `zpool` is not installed, or the kernel module is not loaded.
    ZfsMissing(anyhow::Error),
    /// `zfs` or `zpool` answers with something that cannot be read.
    ZfsBroken(anyhow::Error),
    /// This version of `zfs` is known to ruin backups.
    ZfsUnsafe {
        /// In what way.
        cause: anyhow::Error,
        /// The version to go to.
        hint: String,
    },
    /// Nothing is wrong, but it cannot be done at this time.
    NotNow {
        /// Why.
        cause: anyhow::Error,
        /// What to do, or when to try again.
        hint: String,
    },
    /// It was tried, and failed; with the commands that may help.
    Failed {
        /// Why.
        cause: anyhow::Error,
        /// What the user can do.
        hints: Vec<String>,
    },
    /// A signal asked us to stop, and everything was tidied up.
    Interrupted {
        /// Its number.
        signal: u8,
    },
    /// A run that was only shown here failed in this way.
    Elsewhere(Ending),
    /// A mistake in zferry.
    Internal(anyhow::Error),
}

/// The exit code after a signal.
pub fn signalled(signal: u8) -> u8 {
    SIGNALLED.saturating_add(signal)
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } => USAGE,
            Self::Config(_) => CONFIGURATION,
            Self::NotRoot { .. } | Self::NotPermitted(_) => NOT_ROOT,
            Self::ZfsMissing(_) | Self::ZfsBroken(_) | Self::ZfsUnsafe { .. } => ZFS_MISSING,
            Self::NotNow { .. } => NOT_NOW,
            Self::Failed { .. } => INCOMPLETE,
            Self::Interrupted { signal } => signalled(*signal),
            Self::Elsewhere(ending) => ending.code,
            Self::Internal(_) => INTERNAL,
        }
    }

    /// Tells it on standard error. Nobody is left to tell when that is closed; the exit code still does.
    pub fn tell(&self) {
        use std::io::Write as _;
        let text = self.text();
        // The journal takes a priority per line, not per message: 3 is an error.
        let mark = if super::logging::is_journal() { "<3>" } else { "" };
        let marked: String = text.lines().map(|line| format!("{mark}{line}\n")).collect();
        let _ = anstream::stderr().write_all(marked.as_bytes());
    }

    /// The error and, of a configuration, what is wrong in it: in one line, without what stands there.
    pub fn sentence(&self) -> String {
        let mut all = vec![self.heading()];
        if let Self::Config(ConfigError::Invalid { problems, .. }) = self {
            let problem =
                |problem: &Problem| format!("line {}: {}: {}", problem.line, problem.key, problem.what);
            all.extend(problems.iter().map(problem));
        }
        all.join(". ") + "."
    }

    /// What the user reads: the error, its causes, and what to try.
    pub fn text(&self) -> String {
        let mut text = format!("zferry: error: {}\n", self.heading());
        if let Self::Config(ConfigError::Invalid { problems, .. }) = self {
            for problem in problems {
                add(&mut text, "  ", &problem.to_string());
                problem.hint.iter().for_each(|hint| add(&mut text, "    try: ", hint));
            }
        }
        self.causes().iter().for_each(|cause| add(&mut text, "  because: ", cause));
        self.hints().iter().for_each(|hint| add(&mut text, "  try: ", hint));
        text
    }

    /// The error and its causes.
    pub fn told(&self) -> Vec<String> {
        std::iter::once(self.heading()).chain(self.causes()).collect()
    }

    fn heading(&self) -> String {
        match self {
            Self::Usage { what, .. } => what.clone(),
            Self::Config(error) => error.to_string(),
            Self::NotRoot { .. } => "only root may import pools and send and receive snapshots".to_owned(),
            Self::ZfsMissing(cause) | Self::ZfsBroken(cause) => format!("ZFS is not available: {cause}"),
            Self::NotPermitted(cause)
            | Self::NotNow { cause, .. }
            | Self::ZfsUnsafe { cause, .. }
            | Self::Failed { cause, .. } => cause.to_string(),
            Self::Interrupted { signal } => format!("interrupted by signal {signal}"),
            Self::Elsewhere(ending) => ending.error.first().cloned().unwrap_or_default(),
            Self::Internal(cause) => format!("a mistake in zferry itself: {cause}"),
        }
    }

    fn causes(&self) -> Vec<String> {
        let chain = |error: &anyhow::Error| error.chain().skip(1).map(ToString::to_string).collect();
        match self {
            Self::Config(ConfigError::Read(ReadError::Io { source, .. })) => vec![source.to_string()],
            Self::NotPermitted(cause)
            | Self::ZfsMissing(cause)
            | Self::ZfsBroken(cause)
            | Self::ZfsUnsafe { cause, .. }
            | Self::NotNow { cause, .. }
            | Self::Failed { cause, .. }
            | Self::Internal(cause) => chain(cause),
            Self::Elsewhere(ending) => ending.error.iter().skip(1).cloned().collect(),
            Self::Usage { .. } | Self::Config(_) | Self::NotRoot { .. } | Self::Interrupted { .. } => {
                Vec::new()
            }
        }
    }

    /// What the user can do.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Usage { hint, .. } | Self::NotNow { hint, .. } | Self::ZfsUnsafe { hint, .. } => {
                vec![hint.clone()]
            }
            Self::Config(ConfigError::Read(error)) => config_hints(error),
            Self::Config(ConfigError::Without { what, .. }) => {
                vec![format!("add one: docs/configuration.md has all keys of [{what}s.NAME]")]
            }
            Self::Config(ConfigError::Invalid { .. }) | Self::Interrupted { .. } => Vec::new(),
            Self::NotRoot { command } => vec![command.clone()],
            Self::NotPermitted(_) => vec!["the same command as root".to_owned()],
            Self::ZfsMissing(_) => {
                vec![
                    "install your system's ZFS package, then `modprobe zfs`; `zfs version` shows both parts"
                        .to_owned(),
                ]
            }
            Self::ZfsBroken(_) => vec!["run that command by hand and look at what it prints".to_owned()],
            Self::Failed { hints, .. } => hints.clone(),
            Self::Elsewhere(ending) => ending.hints.clone(),
            Self::Internal(_) => {
                vec!["please report it with the output of the same command with -vv".to_owned()]
            }
        }
    }
}

fn config_hints(error: &ReadError) -> Vec<String> {
    match error {
        ReadError::Missing(path) => vec![
            format!("write it, beginning with the output of `zferry config example`: {}", path.display()),
            "--config FILE, or ZFERRY_CONFIG=FILE, for one that lies elsewhere".to_owned(),
        ],
        ReadError::NotTrusted { remedy, .. } => vec![remedy.clone()],
        ReadError::Denied(_) => vec!["the same command as root".to_owned()],
        ReadError::Io { .. } | ReadError::NotText { .. } => Vec::new(),
    }
}

/// Adds a text of one or more lines; those that follow are indented as far as the first.
fn add(text: &mut String, label: &str, lines: &str) {
    let indent = " ".repeat(label.len() - label.trim_start().len());
    for (index, line) in lines.lines().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}{line}", if index == 0 { label } else { &indent });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_documented_exit_code() {
        let cause = || anyhow::anyhow!("x");
        for (failure, code) in [
            (Failure::Usage { what: String::new(), hint: String::new() }, 2),
            (Failure::Config(ReadError::Missing("x".into()).into()), 78),
            (Failure::NotRoot { command: String::new() }, 77),
            (Failure::NotPermitted(cause()), 77),
            (Failure::ZfsMissing(cause()), 69),
            (Failure::ZfsUnsafe { cause: cause(), hint: String::new() }, 69),
            (Failure::NotNow { cause: cause(), hint: String::new() }, 75),
            (Failure::Failed { cause: cause(), hints: Vec::new() }, 1),
            (Failure::Interrupted { signal: 2 }, 130),
            (Failure::Interrupted { signal: 15 }, 143),
            (Failure::Internal(cause()), 70),
        ] {
            assert_eq!(failure.code(), code, "{failure:?}");
        }
    }

    #[test]
    fn causes_follow_the_error_and_hints_come_last() {
        let cause =
            anyhow::anyhow!("no space").context("the receive failed").context("backup/eds was not updated");
        let failure = Failure::Failed { cause, hints: vec!["zferry plan t7".to_owned()] };
        let expected = "zferry: error: backup/eds was not updated\n  because: the receive failed\n  because: no space\n  try: zferry plan t7\n";
        assert_eq!(failure.text(), expected);
    }
}
