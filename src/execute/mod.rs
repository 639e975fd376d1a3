//! Effects. A checked plan is carried out phase by phase over all datasets; what fails in one dataset ends that
//! dataset only (S14). Behaviour does not live here: a decision that is missing belongs into `plan`.

mod bookkeeping;
pub mod files;
pub mod lock;
pub mod luks;
pub mod rescue;
mod rollback;
mod room;
pub mod session;
mod streams;
mod tidy;
mod verify;

use std::time::Duration;

use crate::event::{Event, Sink};
use crate::model::{Bytes, Guid, PoolName};
use crate::plan::{Afterwards, Phase, Plan, Step, Verdict};
use crate::zfs::{Client, ZfsError};

pub use bookkeeping::release_stale_holds;
pub use tidy::repair;

/// What execution works with.
pub struct Context<'a> {
    /// The host's ZFS.
    pub client: Client<'a>,
    /// Who is told.
    pub sink: &'a dyn Sink,
    /// The drive's pool, by the name that it has now.
    pub pool: PoolName,
    /// The drive's pool guid: part of the names of bookmarks and of the holds' tag.
    pub drive: Guid,
    /// What there is when a person types what is printed.
    pub afterwards: Afterwards<'a>,
    /// Error counters of the drive's pool when the run began (S3).
    pub errors_before: u64,
    /// Holds of an earlier run could not be released.
    pub holds_left: bool,
    /// How long is looked whether the drive is gone, after a stream failed.
    pub foreboding: Duration,
}

/// From the first failed write of a disk that is pulled out until the kernel takes it away.
pub const FOREBODING: Duration = Duration::from_secs(2);

/// How one dataset ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Going on, and at the end: done.
    Running,
    /// Left alone on purpose.
    Refused,
    /// An error.
    Failed,
    /// Somebody asked us to stop before it was finished.
    Interrupted,
    /// A snapshot vanished between plan and send: it can be planned again.
    Vanished,
    /// The drive was pulled out before it was finished: it can be planned again when the drive is back.
    Lost,
}

/// What a plan's execution came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// One for each dataset of the plan, in its order.
    pub states: Vec<State>,
    /// Bytes that travelled.
    pub sent: Bytes,
    /// Snapshots that arrived and were verified.
    pub snapshots: usize,
    /// Snapshots that were destroyed on the drive.
    pub pruned: usize,
}

/// One run through a plan.
struct Execution<'a> {
    context: &'a Context<'a>,
    plan: &'a Plan,
    tally: Tally,
    /// Snapshots of the source may be left held: what tells of them must stay.
    holds_left: bool,
}

/// Carries out a plan that passed the checker.
pub fn execute(context: &Context<'_>, plan: &Plan) -> Tally {
    let state = |verdict: &Verdict| match verdict {
        Verdict::Refused(_) => State::Refused,
        _ => State::Running,
    };
    let states = plan.datasets.iter().map(|dataset| state(&dataset.verdict)).collect();
    let tally = Tally { states, ..Tally::default() };
    let mut execution = Execution { context, plan, tally, holds_left: context.holds_left };
    execution.announce();
    for phase in Phase::ALL {
        execution.phase(phase);
    }
    execution.tally
}

impl Execution<'_> {
    /// What the plan says before anything is done.
    fn announce(&self) {
        for dataset in &self.plan.datasets {
            let (source, target) = (&dataset.source, &dataset.target);
            if let Verdict::Refused(refusal) = &dataset.verdict {
                self.context.sink.event(Event::Refused {
                    source: source.clone(),
                    target: target.clone(),
                    finding: refusal.finding(source, target).to_string(),
                    remedies: refusal.remedies(source, target, &self.context.afterwards),
                });
            }
            for step in dataset.steps.iter().filter(|step| matches!(step, Step::Rollback(_))) {
                self.context.sink.event(Event::Note { text: format!("As --rollback-target says: {step}.") });
            }
            for text in &dataset.notes {
                self.context.sink.event(Event::Note { text: text.clone() });
            }
        }
        self.plan.warnings.iter().for_each(|warning| self.warn(warning.clone()));
        let with = |verdict: Verdict| self.plan.datasets.iter().filter(|d| d.verdict == verdict).count();
        self.context.sink.event(Event::Planned {
            datasets: with(Verdict::Behind),
            up_to_date: with(Verdict::UpToDate),
            snapshots: self.plan.snapshots(),
            estimate: self.plan.estimate(),
        });
    }

    fn phase(&mut self, phase: Phase) {
        self.stop_if_lost();
        // Of a drive that is gone, whoever goes on or gives up releases them.
        if phase == Phase::Reduce && !self.is_lost() {
            self.release_holds();
        }
        let steps = self.steps(phase);
        match phase {
            Phase::Prepare => self.prepare(&steps),
            Phase::Protect | Phase::Keep => self.bookmark(&steps),
            Phase::Hold => self.hold(&steps),
            Phase::MakeRoom => self.make_room(&steps),
            Phase::Send => self.send(&steps),
            Phase::Verify => self.verify(&steps),
            Phase::Reduce => self.unbookmark(&steps),
            Phase::Prune => self.prune(&steps),
            Phase::Rename => self.small_changes(&steps),
            Phase::Record => {
                self.small_changes(&steps);
                self.mark(&steps);
            }
            Phase::Swap => self.swap(&steps),
        }
    }

    /// The steps of a phase whose datasets are still going on. Parents come with those that are not, too: others stand
    /// below them (S14). What is refused for lack of space still gives free what it can, before the others are sent.
    fn steps(&self, phase: Phase) -> Vec<(usize, Step)> {
        let goes_on = |index: usize, step: &Step| {
            let parent = matches!(step, Step::CreatePlaceholder { .. });
            let gives = self.tally.states[index] == State::Refused && phase <= Phase::MakeRoom;
            parent || gives || self.tally.states[index] == State::Running
        };
        let steps = self.plan.phase(phase).filter(|(index, step)| goes_on(*index, step));
        steps.map(|(index, step)| (index, step.clone())).collect()
    }

    /// After the drive vanished no command touches its pool (S13).
    fn stop_if_lost(&mut self) {
        if self.is_lost() {
            for state in self.tally.states.iter_mut().filter(|state| **state == State::Running) {
                *state = State::Lost;
            }
        }
    }

    fn is_lost(&self) -> bool {
        self.context.client.cancel().lost().is_some()
    }

    /// Ends a dataset, once, and says why.
    fn fail(&mut self, index: usize, error: &str) {
        if self.tally.states[index] != State::Running {
            return;
        }
        if self.is_lost() {
            // Whatever it looks like from here.
            self.tally.states[index] = State::Lost;
            return;
        }
        self.tally.states[index] = State::Failed;
        let dataset = &self.plan.datasets[index];
        self.context.sink.event(Event::Failed {
            source: dataset.source.clone(),
            target: dataset.target.clone(),
            error: error.to_owned(),
        });
    }

    /// Ends a dataset because of a request that did not work out.
    fn fail_with(&mut self, index: usize, error: &ZfsError) {
        if error.is_interruption() {
            self.interrupt(index);
        } else {
            self.fail(index, &chain(error));
        }
    }

    fn interrupt(&mut self, index: usize) {
        if self.tally.states[index] == State::Running {
            self.tally.states[index] = State::Interrupted;
        }
    }

    fn warn(&self, text: String) {
        self.context.sink.event(Event::Warning { text });
    }

    fn done(&self, index: usize, what: &dyn std::fmt::Display) {
        let target = self.plan.datasets[index].target.clone();
        self.context.sink.event(Event::Done { target, what: what.to_string() });
    }
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
