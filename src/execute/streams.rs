//! The streams: `zfs send | zfs receive`, one dataset after the other, parents first.

use std::time::{Duration, Instant};

use crate::event::Event;
use crate::model::{Base, Bytes, SnapshotName};
use crate::plan::{SendKind, SendStep, Step};
use crate::process::{Exit, Invocation, PipeOutput, RunError, Watch};
use crate::zfs::argv::{self, From};
use crate::zfs::error::{Kind, one_line};

use super::{Execution, State, chain};

/// Nothing moved for so long: something hangs. A receive may be busy freeing or syncing for minutes.
const STALL: Duration = Duration::from_secs(30 * 60);
/// From the first failed write of a disk that is pulled out until the kernel takes it away.
const FOREBODING: Duration = Duration::from_secs(2);
/// Progress is told this often at most.
const TELL: Duration = Duration::from_millis(200);

impl Execution<'_> {
    pub(super) fn send(&mut self, steps: &[(usize, Step)]) {
        for entry in steps {
            let (index, step) = entry;
            self.stop_if_lost();
            let Step::Send(send) = step else {
                // A placeholder, whose turn comes after its parent arrived and before its children do.
                let stopped = self.context.client.cancel().is_requested();
                if !stopped && !self.is_lost() {
                    self.prepare(std::slice::from_ref(entry));
                }
                continue;
            };
            if self.tally.states[*index] != State::Running {
                continue;
            }
            if self.context.client.cancel().is_requested() {
                self.interrupt(*index);
                continue;
            }
            self.send_one(*index, send);
        }
    }

    fn send_one(&mut self, index: usize, step: &SendStep) {
        let dataset = &self.plan.datasets[index];
        let sink = self.context.sink;
        sink.event(Event::SendStarted {
            source: dataset.source.clone(),
            target: dataset.target.clone(),
            what: step.to_string(),
            estimate: step.estimate,
        });
        let started = Instant::now();
        let Ok(send) = send_command(step) else {
            return self.fail(index, "the name of the snapshot is too long");
        };
        let receive = argv::receive(&step.into, step.rename_to.as_ref(), step.creation.as_ref());
        let (mut moved, mut moved_at, mut told_at) = (0, Instant::now(), Instant::now());
        let mut watch = |bytes: u64| {
            if bytes != moved {
                (moved, moved_at) = (bytes, Instant::now());
            } else if moved_at.elapsed() > STALL {
                return Watch::Stop(format!("nothing moved for {} minutes", STALL.as_secs() / 60));
            }
            if told_at.elapsed() > TELL {
                told_at = Instant::now();
                sink.event(Event::SendProgress { target: dataset.target.clone(), sent: Bytes(bytes) });
            }
            Watch::Continue
        };
        log::debug!("{send} | {receive}");
        let client = &self.context.client;
        let result = client.runner().pipe(&send, &receive, &mut watch, client.cancel());
        match result.map(|output| (output.bytes, judge(&send, &receive, &output))) {
            Ok((bytes, None)) => {
                self.tally.sent += Bytes(bytes);
                let target = dataset.target.clone();
                sink.event(Event::SendFinished { target, sent: Bytes(bytes), took: started.elapsed() });
            }
            Ok((bytes, Some(error))) => {
                self.tally.sent += Bytes(bytes);
                self.await_loss();
                self.fail(index, &error);
            }
            Err(RunError::Cancelled) => self.interrupt(index),
            Err(error) => self.fail(index, &chain(&error)),
        }
    }

    /// An error of the disk may be seen a moment before it is seen that the disk is gone.
    fn await_loss(&self) {
        let started = Instant::now();
        while !self.is_lost() && started.elapsed() < FOREBODING {
            std::thread::sleep(TELL);
        }
    }
}

/// The sending side of a stream.
fn send_command(step: &SendStep) -> Result<Invocation, crate::model::NameError> {
    let name = step.delivers.last().map(|delivery| &delivery.name);
    let from = match &step.kind {
        SendKind::Resume(token) => return Ok(argv::send_resume(token)),
        SendKind::Full => From::Nothing,
        SendKind::Increment(base @ (Base::Snapshot(_) | Base::Bookmark(_))) => {
            From::Increment(base.argument())
        }
        SendKind::Range(base, _) => From::Range(base.clone()),
    };
    let to: SnapshotName = match name {
        Some(name) => step.source.snapshot(name)?,
        None => format!("{}@", step.source).parse()?,
    };
    Ok(argv::send(step.mode, &from, &to))
}

/// Both exit codes count (facts: zfs.md decision 13). When the receiver fails the sender dies of the broken pipe, which
/// is not worth a word.
fn judge(send: &Invocation, receive: &Invocation, output: &PipeOutput) -> Option<String> {
    const SIGPIPE: i32 = 13;
    let complaint = |command: &Invocation, exit: Exit, stderr: &str| {
        format!("`{command}` failed with {exit}: {}", one_line(stderr))
    };
    let receive_failed = !output.receive.is_success();
    let send_failed = !output.send.is_success();
    let broken_pipe = matches!(output.send, Exit::Signal(SIGPIPE) | Exit::Code(141));
    match (send_failed, receive_failed) {
        (false, false) => None,
        (_, true) if Kind::of(&one_line(&output.receive_stderr)) == Kind::NoSpace => Some(format!(
            "the drive is full, or a quota on it was reached, in mid-send: `{receive}` says “{}”. What had arrived before is complete and safe. What arrived of this one is kept: the next run goes on from there when there is room for the rest, and drops it otherwise. Make room on the drive, or exclude datasets.",
            one_line(&output.receive_stderr)
        )),
        (true, false) => Some(complaint(send, output.send, &output.send_stderr)),
        (true, true) if !broken_pipe && !output.send_stderr.trim().is_empty() => Some(format!(
            "{}; {}",
            complaint(send, output.send, &output.send_stderr),
            complaint(receive, output.receive, &output.receive_stderr)
        )),
        (_, true) => Some(complaint(receive, output.receive, &output.receive_stderr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Tool;

    #[test]
    fn both_exit_codes_count_and_a_broken_pipe_is_not_told() {
        let send = Invocation::new(Tool::Zfs, ["send", "a@b"], Duration::ZERO);
        let receive = Invocation::new(Tool::Zfs, ["receive", "c"], Duration::ZERO);
        let output = |send, receive, send_says: &str, receive_says: &str| PipeOutput {
            send,
            receive,
            send_stderr: send_says.into(),
            receive_stderr: receive_says.into(),
            bytes: 0,
        };
        let table = [
            (output(Exit::Code(0), Exit::Code(0), "", "warning"), None),
            (
                output(Exit::Code(1), Exit::Code(0), "gone", ""),
                Some("`zfs send a@b` failed with exit code 1: gone"),
            ),
            (
                output(Exit::Signal(13), Exit::Code(1), "", "out of\n space"),
                Some(
                    "the drive is full, or a quota on it was reached, in mid-send: `zfs receive c` says “out of space”.",
                ),
            ),
            (
                output(Exit::Code(0), Exit::Code(1), "", "it is busy"),
                Some("`zfs receive c` failed with exit code 1: it is busy"),
            ),
            (
                output(Exit::Code(0), Exit::Code(1), "", ""),
                Some("`zfs receive c` failed with exit code 1: no message"),
            ),
        ];
        for (output, expected) in table {
            let judged = judge(&send, &receive, &output);
            let begins = |begin: &str| judged.as_deref().is_some_and(|text| text.starts_with(begin));
            assert!(expected.map_or(judged.is_none(), begins), "{judged:?}");
        }
    }
}
