//! Status and what was told before, to what is to be shown now. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::memory::{Said, Told};
use super::{Note, words};
use crate::live::public::{DriveNow, State, Status};
use crate::model::Guid;

/// What went well so long ago is not worth a notification: the computer was on, and nobody was logged in.
const STALE: Duration = Duration::from_secs(12 * 3600);

/// What is remembered once it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// A run came so far.
    Run {
        /// The drive's pool.
        guid: Guid,
        /// Which run.
        began: Timestamp,
        /// How far.
        said: Said,
    },
    /// A drive is overdue.
    Overdue {
        /// The drive's pool.
        guid: Guid,
        /// Which alert.
        at: Timestamp,
    },
    /// No run can be started.
    Problem {
        /// Since when.
        at: Timestamp,
    },
}

impl Fact {
    /// Remembers it.
    pub fn note(self, told: &mut Told) {
        match self {
            Self::Run { guid, began, said } => told.tell_run(guid, began, said),
            Self::Overdue { guid, at } => told.tell_overdue(guid, at),
            Self::Problem { at } => told.problem = Some(at),
        }
    }
}

/// Something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// To be remembered.
    pub fact: Fact,
    /// To be shown; nothing where nobody wants to know it.
    pub note: Option<Note>,
}

/// What is new in this status. `is_alive` says whether the run of a drive still has its lock.
pub fn decide(status: &Status, is_alive: &dyn Fn(Guid) -> bool, told: &Told, now: Timestamp) -> Vec<News> {
    let mut all = Vec::new();
    // First: where a run follows, its notification takes the place of this one.
    for overdue in &status.overdue {
        if !told.has_told_overdue(overdue.guid, overdue.at) {
            let fact = Fact::Overdue { guid: overdue.guid, at: overdue.at };
            all.push(News { fact, note: Some(words::of_overdue(overdue)) });
        }
    }
    all.extend(status.drives.iter().filter_map(|drive| of_drive(drive, is_alive, told, now)));
    if let Some(problem) = &status.problem
        && told.problem != Some(problem.at)
    {
        let fact = Fact::Problem { at: problem.at };
        all.push(News { fact, note: Some(words::of_problem(problem)) });
    }
    all
}

fn of_drive(drive: &DriveNow, is_alive: &dyn Fn(Guid) -> bool, told: &Told, now: Timestamp) -> Option<News> {
    let said = so_far(drive, is_alive)?;
    let before = told.of_run(drive.guid, drive.began);
    if before == Some(said) {
        return None;
    }
    let fact = Fact::Run { guid: drive.guid, began: drive.began, said };
    let worth = said != Said::Ended || before.is_some() || is_worth(drive, now);
    Some(News { fact, note: worth.then(|| words::of_run(drive, said)) })
}

/// How far the run is. Nothing as long as it waits for a drive that is not there: somebody has typed it, and reads that
/// there.
fn so_far(drive: &DriveNow, is_alive: &dyn Fn(Guid) -> bool) -> Option<Said> {
    match drive.state {
        State::Running if !drive.found => None,
        State::Running if !is_alive(drive.guid) => Some(Said::Vanished),
        State::Running if drive.wanted.is_some() => Some(Said::Awaited),
        State::Running if drive.lost.is_some() => Some(Said::Lost),
        State::Running => Some(Said::Begun),
        _ => Some(Said::Ended),
    }
}

/// Whether somebody wants to know of an end who has heard nothing of the run before.
fn is_worth(drive: &DriveNow, now: Timestamp) -> bool {
    let age = drive.ended.map_or(SignedDuration::ZERO, |ended| now.duration_since(ended));
    let is_stale = SignedDuration::try_from(STALE).is_ok_and(|stale| age > stale);
    match drive.state {
        State::Failed => true,
        // The drive is not there, or somebody else has it: whoever has typed it knows.
        State::NotNow => drive.found && !is_stale,
        State::Running | State::Succeeded | State::Interrupted => !is_stale,
    }
}

#[cfg(test)]
mod tests;
