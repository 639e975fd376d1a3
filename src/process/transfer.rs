//! A sender and a receiver, from their start to the end of both; or a file in the place of the sender.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child::{Child, DYING, kill, wait};
use super::pump::{Flow, Pump};
use super::{Cancel, Exit, Interruption, PipeOutput, RunError, Watch};

/// How often the watch is asked and the cancellation looked at.
const TICK: Duration = Duration::from_millis(100);

/// What the receiver gets, after its input was closed early, to keep its partial state: it waits for a transaction
/// group to be written, which takes seconds on a slow drive.
const KEEPING: Duration = Duration::from_secs(30);

/// A running pair.
pub(super) struct Transfer<'a> {
    /// None: a file is what is sent.
    send: Option<Child>,
    receive: Child,
    pump: Option<Pump>,
    bytes: u64,
    watch: &'a mut dyn FnMut(u64) -> Watch,
    watched_at: Option<Instant>,
    /// Whether a child has ended or complained since it was last looked after.
    is_stirred: bool,
}

/// Why the pair is no longer waited for.
enum End {
    Both { send: Exit, receive: Exit },
    Stopped(String),
    Lost(String),
    Cancelled,
}

impl<'a> Transfer<'a> {
    /// Connects two children that have just been started.
    pub(super) fn new(mut send: Child, mut receive: Child, watch: &'a mut dyn FnMut(u64) -> Watch) -> Self {
        let ends = send.stdout.take().zip(receive.stdin.take());
        let pump = ends.map(|(from, to)| Pump::new(from, to));
        Self { send: Some(send), receive, pump, bytes: 0, watch, watched_at: None, is_stirred: true }
    }

    /// Connects a file, from where it stands to its end, with a receiver that has just been started.
    pub(super) fn of_file(from: File, mut receive: Child, watch: &'a mut dyn FnMut(u64) -> Watch) -> Self {
        let pump = receive.stdin.take().map(|to| Pump::new(from, to));
        Self { send: None, receive, pump, bytes: 0, watch, watched_at: None, is_stirred: true }
    }

    /// Waits until both have ended, the watch says stop or somebody asks to stop; then none of them is left running
    /// unless the kernel keeps it.
    ///
    /// # Errors
    /// `Stalled`, `Cancelled`, or `Stream` when the bytes cannot be moved.
    pub(super) fn finish(mut self, command: &str, cancel: &Cancel) -> Result<PipeOutput, RunError> {
        let end = self.drive(cancel);
        if !matches!(end, Ok(End::Both { .. })) {
            let mut children: Vec<_> = self.send.iter_mut().chain([&mut self.receive]).collect();
            kill(&mut children);
        }
        match end {
            Ok(End::Both { send, receive }) => Ok(PipeOutput {
                send,
                receive,
                send_stderr: self.send.as_mut().map(Child::complaint).unwrap_or_default(),
                receive_stderr: self.receive.complaint(),
                bytes: self.bytes,
            }),
            Ok(End::Stopped(why)) => Err(RunError::Stalled { command: command.to_owned(), why }),
            Ok(End::Lost(why)) => Err(RunError::Lost { command: command.to_owned(), why }),
            Ok(End::Cancelled) => Err(RunError::Cancelled),
            Err(source) => Err(RunError::Stream { command: command.to_owned(), source }),
        }
    }

    fn drive(&mut self, cancel: &Cancel) -> io::Result<End> {
        loop {
            if let Some(end) = self.turn(cancel)? {
                return Ok(end);
            }
            if let Some(end) = self.ended() {
                return Ok(end);
            }
            match cancel.interruption() {
                Interruption::None => {}
                Interruption::Finish => return self.wind_down(cancel),
                Interruption::Now => return Ok(End::Cancelled),
            }
        }
    }

    fn ended(&self) -> Option<End> {
        Some(End::Both { send: self.sent()?, receive: self.receive.exit()? })
    }

    /// How the sender ended, once it has. A file has nothing to go wrong with.
    fn sent(&self) -> Option<Exit> {
        self.send.as_ref().map_or(Some(Exit::Code(0)), Child::exit)
    }

    /// Ends the sender first, so that the receiver meets the end of its input and keeps what can be resumed. A pair
    /// whose sender had already succeeded may still succeed.
    fn wind_down(&mut self, cancel: &Cancel) -> io::Result<End> {
        let was_sent = match &self.send {
            Some(send) => send.exit().is_some_and(Exit::is_success),
            None => self.pump.is_none(),
        };
        self.signal_sender(Signal::TERM);
        if let Some(end) = self.attend_while(DYING, cancel, |pair| pair.sent().is_none())? {
            return Ok(end);
        }
        self.signal_sender(Signal::KILL);
        if !was_sent {
            self.pump = None;
        }
        if let Some(end) = self.attend_while(KEEPING, cancel, |pair| pair.receive.exit().is_none())? {
            return Ok(end);
        }
        Ok(self.ended().filter(|_| was_sent).unwrap_or(End::Cancelled))
    }

    fn signal_sender(&self, signal: Signal) {
        if let Some(send) = &self.send {
            send.signal(signal);
        }
    }

    /// Goes on as long as a condition holds, at most for a time; an outcome when the watch or the user ends it.
    fn attend_while(
        &mut self,
        most: Duration,
        cancel: &Cancel,
        condition: impl Fn(&Self) -> bool,
    ) -> io::Result<Option<End>> {
        let until = Instant::now() + most;
        while condition(self) && Instant::now() < until {
            if let Some(end) = self.turn(cancel)? {
                return Ok(Some(end));
            }
            if cancel.interruption() == Interruption::Now {
                return Ok(Some(End::Cancelled));
            }
        }
        Ok(None)
    }

    /// Moves what is ready, looks after both children, asks both watches when it is due and sleeps until something
    /// happens. An outcome when one of them says stop.
    fn turn(&mut self, cancel: &Cancel) -> io::Result<Option<End>> {
        let flow = match &mut self.pump {
            Some(pump) => pump.advance(&mut self.bytes)?,
            None => Flow::Waits,
        };
        let is_due = self.watched_at.is_none_or(|at| at.elapsed() >= TICK);
        // Not after every move: looking costs as much as moving.
        if is_due || self.is_stirred {
            if let Some(send) = &mut self.send {
                send.attend()?;
            }
            self.receive.attend()?;
            self.is_stirred = false;
        }
        // A receiver that has ended takes nothing more: the sender has to learn of it by its broken pipe, also when
        // it has nothing to write and the pump would not notice.
        if flow == Flow::Ended || self.receive.exit().is_some() {
            self.pump = None;
        }
        if is_due {
            self.watched_at = Some(Instant::now());
            if let Some(why) = cancel.lost() {
                return Ok(Some(End::Lost(why)));
            }
            if let Watch::Stop(why) = (self.watch)(self.bytes) {
                return Ok(Some(End::Stopped(why)));
            }
        }
        if flow == Flow::Waits && self.ended().is_none() {
            let children = self.send.iter().chain([&self.receive]);
            let mut interests: Vec<_> = children.flat_map(Child::interests).collect();
            let children = interests.len();
            interests.extend(self.pump.iter().map(Pump::interest));
            wait(&mut interests, TICK)?;
            self.is_stirred = interests.iter().take(children).any(|interest| !interest.revents().is_empty());
        }
        Ok(None)
    }
}
