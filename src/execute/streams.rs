//! The streams: `zfs send | zfs receive`, parents first, small ones side by side.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::event::{Event, Sink};
use crate::model::{Base, Bytes, DatasetName, SnapshotName};
use crate::plan::{self, SendKind, SendStep, Step, Turn};
use crate::process::{Exit, Invocation, PipeOutput, RunError, Watch};
use crate::zfs::argv::{self, From};
use crate::zfs::error::{Kind, one_line};

use super::{Execution, State, chain};

/// Nothing moved for so long: something hangs. A receive may be busy freeing or syncing for minutes.
const STALL: Duration = Duration::from_secs(30 * 60);
/// Progress is told this often at most.
const TELL: Duration = Duration::from_millis(200);

/// How many streams run at the same time. More of them only wait for the same transaction groups.
const AT_ONCE: usize = 4;

/// What became of one dataset's streams.
#[derive(Default)]
struct Sent {
    bytes: Bytes,
    /// Why the last of them did not end well.
    stopped: Option<Stopped>,
}

enum Stopped {
    Failed(String),
    Interrupted,
}

impl Execution<'_> {
    pub(super) fn send(&mut self, steps: &[(usize, Step)]) {
        for turn in plan::turns(steps) {
            self.stop_if_lost();
            match turn {
                Turn::Streams(chains) => self.send_together(&chains),
                // A placeholder, whose turn comes after its parent arrived and before its children do.
                Turn::Step(entry) => {
                    if !self.context.client.cancel().is_requested() && !self.is_lost() {
                        self.prepare(std::slice::from_ref(entry));
                    }
                }
            }
        }
    }

    fn send_together(&mut self, chains: &[&[(usize, Step)]]) {
        let goes_on = |index: usize| self.tally.states[index] == State::Running;
        let chains: Vec<_> = chains.iter().filter_map(|chain| Some((chain.first()?.0, *chain))).collect();
        let chains: Vec<_> = chains.into_iter().filter(|(index, _)| goes_on(*index)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let taken = || chains.get(next.fetch_add(1, Ordering::Relaxed));
            std::iter::from_fn(taken)
                .map(|(index, chain)| (*index, self.send_chain(chain)))
                .collect::<Vec<_>>()
        };
        let mut sent: HashMap<usize, Sent> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE.min(chains.len())).map(|_| scope.spawn(work)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
        });
        for (index, _) in chains {
            // A thread that broke tells nothing: what it did not tell did not succeed.
            let broken = || Sent {
                stopped: Some(Stopped::Failed("its thread ended early".to_owned())),
                ..Sent::default()
            };
            let Sent { bytes, stopped } = sent.remove(&index).unwrap_or_else(broken);
            self.tally.sent += bytes;
            match stopped {
                None => {}
                Some(Stopped::Interrupted) => self.interrupt(index),
                Some(Stopped::Failed(error)) => self.fail(index, &error),
            }
        }
    }

    /// The streams of one dataset, until one does not end well.
    fn send_chain(&self, chain: &[(usize, Step)]) -> Sent {
        let mut sent = Sent::default();
        for (index, step) in chain {
            let Step::Send(send) = step else { continue };
            let cancel = self.context.client.cancel();
            // Nothing is begun, nor said to begin, on a drive that is gone.
            let result = match cancel.lost() {
                Some(why) => Err(Stopped::Failed(why)),
                None if cancel.is_requested() => Err(Stopped::Interrupted),
                None => self.send_one(*index, send, &mut sent.bytes),
            };
            if let Err(stopped) = result {
                sent.stopped = Some(stopped);
                break;
            }
        }
        sent
    }

    fn send_one(&self, index: usize, step: &SendStep, sent: &mut Bytes) -> Result<(), Stopped> {
        let dataset = &self.plan.datasets[index];
        let sink = self.context.sink;
        sink.event(Event::SendStarted {
            source: dataset.source.clone(),
            target: dataset.target.clone(),
            what: step.to_string(),
            estimate: step.estimate,
        });
        let started = Instant::now();
        let send = send_command(step)
            .map_err(|_| Stopped::Failed("the name of the snapshot is too long".to_owned()))?;
        let receive = argv::receive(&step.into, step.rename_to.as_ref(), step.creation.as_ref());
        let mut watch = watch(sink, &dataset.target);
        log::debug!("{send} | {receive}");
        let client = &self.context.client;
        match client.runner().pipe(&send, &receive, &mut watch, client.cancel()) {
            Ok(output) => {
                *sent += Bytes(output.bytes);
                if let Some(error) = judge(&send, &receive, &output) {
                    self.await_loss();
                    return Err(Stopped::Failed(error));
                }
                let (target, sent) = (dataset.target.clone(), Bytes(output.bytes));
                sink.event(Event::SendFinished { target, sent, took: started.elapsed() });
                Ok(())
            }
            Err(RunError::Cancelled) => Err(Stopped::Interrupted),
            Err(error) => Err(Stopped::Failed(chain(&error))),
        }
    }

    /// An error of the disk may be seen a moment before it is seen that the disk is gone.
    fn await_loss(&self) {
        let started = Instant::now();
        while !self.is_lost() && started.elapsed() < self.context.foreboding {
            std::thread::sleep(TELL);
        }
    }
}

/// Tells the progress of a stream, and stops one that hangs.
fn watch<'a>(sink: &'a dyn Sink, target: &'a DatasetName) -> impl FnMut(u64) -> Watch + 'a {
    let (mut moved, mut moved_at, mut told_at) = (0, Instant::now(), Instant::now());
    move |bytes| {
        if bytes != moved {
            (moved, moved_at) = (bytes, Instant::now());
        } else if moved_at.elapsed() > STALL {
            return Watch::Stop(format!("nothing moved for {} minutes", STALL.as_secs() / 60));
        }
        if told_at.elapsed() > TELL {
            told_at = Instant::now();
            sink.event(Event::SendProgress { target: target.clone(), sent: Bytes(bytes) });
        }
        Watch::Continue
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
        (_, true) if Kind::of(&one_line(&output.receive_stderr)) == Kind::LargeBlocks => Some(format!(
            "the copy had blocks above 128 KiB and the source never had: `{receive}` says “{}”. ZFS continues such a copy only from a dataset that had some too; one that was restored from it before ZFS 2.4.1 may not (OpenZFS pull requests 18105 and 18908). Nothing on the drive was changed. To keep the copy and begin a new one beside it, rename it there, set org.zferry:retired=on on it, and run again",
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
mod tests;
