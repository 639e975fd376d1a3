//! A host on which one command goes wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::process::{Cancel, Exit, Invocation, Output, PipeOutput, RunError, Runner, Watch};

use super::{Cut, Host};

/// What goes wrong with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and has done nothing.
    Fails,
    /// It does what it should, and says that it failed.
    FailsAfterwards,
    /// It says that it succeeded, and has done nothing.
    DoesNothing,
    /// It gives no answer, and has done nothing.
    Hangs,
    /// It gives no answer, and has done what it should.
    HangsAfterwards,
    /// It prints something else.
    Garbage,
    /// It prints half of it.
    HalfOfIt,
    /// zferry dies before it.
    DiesBefore,
    /// zferry dies after it.
    DiesAfter,
    /// A stream ends after so many of its snapshots, the next one begun or not. Of other commands: as [`Self::Fails`].
    Cut { snapshots: usize, begun: bool },
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Fails,
        Self::FailsAfterwards,
        Self::DoesNothing,
        Self::Hangs,
        Self::HangsAfterwards,
        Self::Garbage,
        Self::HalfOfIt,
        Self::DiesBefore,
        Self::DiesAfter,
        Self::Cut { snapshots: 0, begun: false },
        Self::Cut { snapshots: 0, begun: true },
        Self::Cut { snapshots: 1, begun: false },
        Self::Cut { snapshots: 1, begun: true },
    ];

    fn dies(self) -> bool {
        matches!(self, Self::DiesBefore | Self::DiesAfter)
    }
}

/// One of a run's commands: its text, and how often the same was given before. (Not its place in the run: commands that
/// run side by side change places.)
pub type Place = (String, usize);

/// A host with faults at some of the commands that it is given.
pub struct Faulty<'a> {
    host: &'a Host,
    faults: Vec<(Place, Fault)>,
    given: Mutex<Vec<Place>>,
    dead: AtomicBool,
}

impl<'a> Faulty<'a> {
    /// With these faults.
    pub fn new(host: &'a Host, faults: Vec<(Place, Fault)>) -> Self {
        Self { host, faults, given: Mutex::default(), dead: AtomicBool::new(false) }
    }

    /// The commands that it was given.
    pub fn given(self) -> Vec<Place> {
        let mut given = self.given.into_inner().unwrap();
        given.sort();
        given
    }

    /// What becomes of the next command. Of one that is dead nothing is heard any more, and nothing is done.
    fn next(&self, command: String) -> Result<Option<Fault>, RunError> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(RunError::Cancelled);
        }
        let mut given = self.given.lock().unwrap();
        let before = given.iter().filter(|(text, _)| *text == command).count();
        let place = (command, before);
        let fault = self.faults.iter().find(|(at, _)| *at == place).map(|(_, fault)| *fault);
        given.push(place);
        if fault.is_some_and(Fault::dies) {
            self.dead.store(true, Ordering::Relaxed);
        }
        Ok(fault)
    }
}

/// No answer.
pub fn late(command: &Invocation) -> RunError {
    RunError::Deadline { command: command.to_string(), deadline: command.deadline }
}

const COMPLAINT: &str = "internal error: something went wrong";

impl Runner for Faulty<'_> {
    fn run(&self, command: &Invocation, _cancel: &Cancel) -> Result<Output, RunError> {
        let answer = |code, stdout: &[u8], stderr: &str| {
            Ok(Output { exit: Exit::Code(code), stdout: stdout.to_vec(), stderr: stderr.to_owned() })
        };
        match self.next(command.to_string())? {
            None => Ok(self.host.perform(command)),
            Some(Fault::Fails | Fault::Cut { .. }) => answer(1, b"", COMPLAINT),
            Some(Fault::FailsAfterwards) => {
                self.host.perform(command);
                answer(1, b"", COMPLAINT)
            }
            Some(Fault::DoesNothing) => answer(0, b"", ""),
            Some(Fault::Hangs) => Err(late(command)),
            Some(Fault::HangsAfterwards) => {
                self.host.perform(command);
                Err(late(command))
            }
            Some(Fault::Garbage) => {
                self.host.perform(command);
                answer(0, b"\x7fELF\xff\xfe lp0 on fire\n", "")
            }
            Some(Fault::HalfOfIt) => {
                let output = self.host.perform(command);
                let half = output.stdout.len() / 2;
                answer(0, &output.stdout[..half], "")
            }
            Some(Fault::DiesBefore) => Err(RunError::Cancelled),
            Some(Fault::DiesAfter) => {
                self.host.perform(command);
                Err(RunError::Cancelled)
            }
        }
    }

    fn pipe(
        &self,
        send: &Invocation,
        receive: &Invocation,
        watch: &mut dyn FnMut(u64) -> Watch,
        _cancel: &Cancel,
    ) -> Result<PipeOutput, RunError> {
        watch(0);
        let whole = || self.host.transfer(send, receive, Cut::Nowhere);
        let failed = |output: PipeOutput| PipeOutput {
            receive: Exit::Code(1),
            receive_stderr: COMPLAINT.to_owned(),
            ..output
        };
        let nothing = |code| PipeOutput {
            send: Exit::Code(0),
            receive: Exit::Code(code),
            send_stderr: String::new(),
            receive_stderr: if code == 0 { String::new() } else { COMPLAINT.to_owned() },
            bytes: 0,
        };
        match self.next(format!("{send} | {receive}"))? {
            None => Ok(whole()),
            Some(Fault::Fails) => Ok(nothing(1)),
            Some(Fault::FailsAfterwards) => Ok(failed(whole())),
            Some(Fault::DoesNothing) => Ok(nothing(0)),
            Some(Fault::Hangs) => Err(late(receive)),
            Some(Fault::HangsAfterwards) => {
                whole();
                Err(late(receive))
            }
            // What a stream prints goes nowhere.
            Some(Fault::Garbage | Fault::HalfOfIt) => Ok(whole()),
            Some(Fault::Cut { snapshots, begun }) => {
                Ok(self.host.transfer(send, receive, Cut::After { snapshots, begun }))
            }
            Some(Fault::DiesBefore) => Err(RunError::Cancelled),
            Some(Fault::DiesAfter) => {
                whole();
                Err(RunError::Cancelled)
            }
        }
    }
}
