//! A program that the user has named in the configuration: not one of ours, and run for its own sake.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use super::child::{Child, DIRECTORIES, Wiring, kill};
use super::supervisor::{Call, End};
use super::{Cancel, Output, RunError};

/// What is to be run. No shell reads any of it (S16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program<'a> {
    /// The program and its arguments.
    pub words: &'a [String],
    /// What it finds in its environment, beside what every child finds there.
    pub variables: &'a [(&'static str, String)],
    /// What it reads.
    pub input: &'a str,
    /// After which it is killed, with whatever it has started.
    pub deadline: Duration,
}

/// Where a program is: an absolute path as it is, a name in the directories where tools are looked for.
///
/// # Errors
/// When there is no such file, or none that can be run.
pub fn find_program(name: &str) -> Result<PathBuf, RunError> {
    let not_found = |_| {
        let source = Error::new(ErrorKind::NotFound, "there is no such program");
        RunError::Spawn { command: name.to_owned(), source }
    };
    let places = std::env::join_paths(DIRECTORIES).unwrap_or_default();
    which::which_in(name, Some(&places), "/").map_err(not_found)
}

impl Program<'_> {
    /// Runs it to its end. Nobody's Ctrl-C reaches it: it tells of a run that may have been ended by one.
    ///
    /// # Errors
    /// When there is no outcome; a non-zero exit is an outcome.
    pub fn run(&self) -> Result<Output, RunError> {
        let (name, arguments) = self.words.split_first().map_or(("", &[][..]), |(name, rest)| (name, rest));
        let command = || name.to_owned();
        let path = find_program(name)?;
        let wiring = Wiring::Command { input: true };
        let child = Child::start_with(&path, arguments, self.variables, &wiring)
            .map_err(|source| RunError::Spawn { command: command(), source })?;
        let mut call = Call { child, unwritten: self.input.as_bytes(), stdout: Vec::new() };
        let outcome = call.finish(self.deadline, &Cancel::new());
        if !matches!(outcome, Ok(End::Exited(_))) {
            kill(&mut [&mut call.child]);
        }
        match outcome {
            Ok(End::Exited(exit)) => Ok(Output { exit, stdout: call.stdout, stderr: call.child.complaint() }),
            Ok(End::Late | End::Cancelled | End::Lost(_)) => {
                Err(RunError::Deadline { command: command(), deadline: self.deadline })
            }
            Err(source) => Err(RunError::Stream { command: command(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::process::Exit;

    fn run(words: &[&str], deadline: Duration) -> Result<Output, RunError> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let variables = [("ZFERRY_DRIVE", "t7".to_owned())];
        Program { words: &words, variables: &variables, input: "read\n", deadline }.run()
    }

    #[test]
    fn it_gets_its_arguments_as_they_are_and_the_environment_that_is_documented() {
        let script = "read line; echo \"$1 $line $ZFERRY_DRIVE $HOME $PATH\"; echo bad >&2; exit 3";
        let output = run(&["sh", "-c", script, "sh", "$HOME;"], Duration::from_secs(20)).unwrap();
        let expected = format!("$HOME; read t7 / {}\n", DIRECTORIES.join(":"));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        assert_eq!((output.exit, output.stderr.trim()), (Exit::Code(3), "bad"));
    }

    #[test]
    fn one_that_does_not_end_is_killed_with_what_it_started_and_one_that_is_not_there_is_told() {
        let started = Instant::now();
        let late = run(&["/bin/sh", "-c", "sleep 61 & wait"], Duration::from_millis(300));
        assert!(matches!(late, Err(RunError::Deadline { .. })), "{late:?}");
        assert!(started.elapsed() < Duration::from_secs(20));
        for missing in ["/nonexistent/tell-me", "no-such-program-at-all"] {
            let error = run(&[missing], Duration::from_secs(1)).unwrap_err();
            assert_eq!(error.to_string(), format!("`{missing}` could not be started"));
        }
        let unread = run(&["true"], Duration::from_secs(20)).unwrap();
        assert_eq!(unread.exit, Exit::Code(0), "what it does not read is no fault");
    }
}
