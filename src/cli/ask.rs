//! A passphrase from the person at the terminal, without an echo; from standard input where that is no terminal. Written
//! here since what libraries offer waits without end: Ctrl-C must end the question, so that what was imported for it is
//! exported again.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

use crate::execute::files::{Ask, NotTyped, Secret};
use crate::model::DatasetName;
use crate::process::Cancel;

/// How often it is looked whether somebody wants us to stop.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Longer than any passphrase of ZFS.
const LONGEST: usize = 4096;

/// Asks whoever is there.
pub struct Asking<'a> {
    cancel: &'a Cancel,
}

impl<'a> Asking<'a> {
    /// Nobody was asked yet.
    pub fn new(cancel: &'a Cancel) -> Self {
        Self { cancel }
    }

    /// One byte after the other: what comes behind the line is for whoever asks next.
    fn line(&self, from: BorrowedFd<'_>) -> Result<Secret, NotTyped> {
        let mut line = Vec::new();
        loop {
            if self.cancel.is_requested() {
                return Err(NotTyped::Interrupted);
            }
            if line.len() > LONGEST {
                return Err(NotTyped::Unreadable);
            }
            let mut ready = [PollFd::from_borrowed_fd(from, PollFlags::IN)];
            match poll(&mut ready, Some(&TICK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return Err(NotTyped::Unreadable),
            }
            let mut byte = [0];
            match rustix::io::read(from, &mut byte) {
                Ok(0) if line.is_empty() => return Err(NotTyped::Ended),
                // The last line may have no end.
                Ok(0) => return Ok(Secret::new(line)),
                Ok(_) if byte == *b"\n" => return Ok(Secret::new(line)),
                Ok(_) => line.extend(byte),
                Err(Errno::INTR) => {}
                Err(_) => return Err(NotTyped::Unreadable),
            }
        }
    }
}

impl Ask for Asking<'_> {
    fn ask(&mut self, dataset: &DatasetName, again: bool) -> Result<Secret, NotTyped> {
        self.passphrase(dataset.as_str(), again)
    }
}

impl Asking<'_> {
    /// The passphrase of something. `again`: the last one was wrong.
    ///
    /// # Errors
    /// When nobody typed one.
    pub fn passphrase(&self, of: &str, again: bool) -> Result<Secret, NotTyped> {
        let stdin = io::stdin();
        if !isatty(&stdin) {
            return self.line(stdin.as_fd());
        }
        let mut terminal =
            File::options().read(true).write(true).open("/dev/tty").map_err(|_| NotTyped::Unreadable)?;
        let wrong = if again { "That was not it. " } else { "" };
        let prompt = format!("{wrong}Passphrase of {of}: ");
        // First quiet, then asked: what is typed at once is neither shown nor thrown away.
        let quiet = Quiet::new(&terminal)?;
        (&terminal).write_all(prompt.as_bytes()).map_err(|_| NotTyped::Unreadable)?;
        let typed = self.line(terminal.as_fd());
        drop(quiet);
        // The line that was typed is not shown, and neither is its end.
        let _ = terminal.write_all(b"\n");
        typed
    }
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> Result<Self, NotTyped> {
        let before = tcgetattr(terminal).map_err(|_| NotTyped::Unreadable)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &quiet).map_err(|_| NotTyped::Unreadable)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_passphrases_whether_or_not_the_last_one_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one two\n\nthree").unwrap();
        drop(writer);
        let cancel = Cancel::new();
        let asking = Asking::new(&cancel);
        for expected in ["one two", "", "three"] {
            let typed = asking.line(reader.as_fd()).unwrap();
            assert_eq!(typed, Secret::new(expected.as_bytes().to_vec()));
        }
        assert_eq!(asking.line(reader.as_fd()), Err(NotTyped::Ended));
    }

    #[test]
    fn a_question_ends_when_we_are_asked_to_stop() {
        let (reader, _writer) = io::pipe().unwrap();
        let cancel = Cancel::new();
        cancel.request(2);
        assert_eq!(Asking::new(&cancel).line(reader.as_fd()), Err(NotTyped::Interrupted));
    }
}
