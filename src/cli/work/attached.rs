//! `run`, when a run goes on already: on a terminal it is shown, to its end.

use std::path::Path;

use crate::cli::failure::{self, Failure};
use crate::cli::prepare::ask;
use crate::config::request::{Common, Format, RunRequest, Verbosity};
use crate::event::{Event, Sink as _};
use crate::execute::lock::{self, LockError};
use crate::jobs::follow::{Running, Seen};
use crate::jobs::{self, DriveResult, JobError};
use crate::live::Ending;
use crate::model::Guid;
use crate::process::Cancel;
use crate::report::{self, Loudness, Output};

use super::{World, failure_of, gravity, is_interactive, worst};

/// The signal of Ctrl-C.
const CTRL_C: u8 = 2;

/// `run`
pub fn run_or_attach(request: &RunRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let results = jobs::run::run(request, &world.environment());
    drop(world);
    let results = results.map_err(|error| failure_of(error, &cancel))?;
    let may_attach = is_interactive() && request.common.format == Format::Human;
    let goes_on = |result: &DriveResult| may_attach && matches!(result, Err(JobError::Running { .. }));
    let (running, results): (Vec<_>, Vec<_>) = results.into_iter().partition(goes_on);
    let mut came_to = worst(results, &cancel);
    for result in running {
        if let Err(JobError::Running { drive, guid, busy }) = result {
            came_to = graver(came_to, attach(&request.common, (&drive, guid), busy, &cancel));
        }
    }
    came_to
}

/// `run` of somebody who may not start one, but may look on. None when there is nothing to look at.
pub fn attach_only(request: &RunRequest, cancel: &Cancel) -> Option<Result<u8, Failure>> {
    if !is_interactive() || request.common.format != Format::Human {
        return None;
    }
    let attached = request.drives.iter().filter_map(|drive| {
        let busy = running(drive.name.as_str(), drive.guid).find()?;
        Some(attach(&request.common, (drive.name.as_str(), drive.guid), busy, cancel))
    });
    attached.reduce(graver)
}

fn running(drive: &str, guid: Guid) -> Running<'_> {
    Running { drive, guid, directory: Path::new(lock::DIRECTORY) }
}

/// Shows the run that has the drive, and ends as it does.
fn attach(
    common: &Common,
    (drive, guid): (&str, Guid),
    busy: LockError,
    cancel: &Cancel,
) -> Result<u8, Failure> {
    let run = running(drive, guid);
    let failed = |error| failure_of(error, cancel);
    let owner = if let LockError::Taken { owner } = &busy { owner.clone() } else { String::new() };
    let Some(mut record) = run.record(&owner, cancel).map_err(failed)? else {
        return Err(failed(JobError::Running { drive: drive.to_owned(), guid, busy }));
    };
    let loudness = if common.verbosity == Verbosity::Quiet { Loudness::Quiet } else { Loudness::Normal };
    let mut text = format!(
        "A run of {drive} goes on already ({owner}). It is shown here; Ctrl-C asks whether to stop it."
    );
    loop {
        let reporter = report::reporter(Output::detect(report::Format::Text, loudness));
        reporter.event(Event::Note { text });
        let seen = run.look_on(&mut record, &reporter, cancel).map_err(failed)?;
        drop(reporter);
        match seen {
            Seen::Ended(ending) => return ended(ending),
            Seen::Vanished => {
                let cause = anyhow::anyhow!("the run of {drive} is gone, and has not said how it ended");
                let hints = vec![format!("{} run {drive}", common.command)];
                return Err(Failure::Failed { cause, hints });
            }
            Seen::Asked if wants_it_stopped(drive, cancel)? => {
                run.ask_to_end().map_err(failed)?;
                text = format!("Stopping the run of {drive}. What has arrived is kept.");
            }
            Seen::Asked => {
                let cause = anyhow::anyhow!("the run of {drive} goes on, and is not shown any more");
                let hint = format!("`{} run {drive}` shows it again", common.command);
                return Err(Failure::NotNow { cause, hint });
            }
        }
    }
}

/// As the one who started it was told.
fn ended(ending: Ending) -> Result<u8, Failure> {
    match ending.error.is_empty() {
        true => Ok(ending.code),
        false => Err(Failure::Elsewhere(ending)),
    }
}

/// Ctrl-C where a run is only shown may mean either.
fn wants_it_stopped(drive: &str, cancel: &Cancel) -> Result<bool, Failure> {
    match cancel.signal() {
        Some(CTRL_C) | None => {}
        Some(signal) => return Err(Failure::Interrupted { signal }),
    }
    // The question is a matter of its own: Ctrl-C again leaves the run alone.
    cancel.settle();
    let question = format!("Stop the run of {drive}, or leave it going? [s = stop, Enter = leave] ");
    let unread = |error| Failure::Internal(anyhow::Error::new(error).context("the terminal cannot be read"));
    let answer = ask(&question, cancel).map_err(unread)?;
    Ok(answer.is_some_and(|answer| matches!(answer.to_lowercase().as_str(), "s" | "stop")))
}

/// Of two ends the one that says more about what is to be done; the other is told.
fn graver(one: Result<u8, Failure>, other: Result<u8, Failure>) -> Result<u8, Failure> {
    let code = |end: &Result<u8, Failure>| end.as_ref().map_or_else(Failure::code, |code| *code);
    let (more, less) = if gravity(code(&other)) > gravity(code(&one)) { (other, one) } else { (one, other) };
    match (more, less) {
        // What is told last is what counts.
        (Ok(code), Err(less)) if code != failure::DONE => {
            less.tell();
            Ok(code)
        }
        (Err(more), Err(less)) => {
            less.tell();
            Err(more)
        }
        (more, Ok(_)) => more,
        (Ok(_), Err(less)) => Err(less),
    }
}
