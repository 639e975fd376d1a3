//! Runs a job and turns what came of it into an exit code. Here the wall clock, the terminal and the places of files
//! come in.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ask::Asking;
use super::awake::Awake;
use super::failure::{self, Failure};
use crate::config::preparing::{AdoptRequest, InitRequest};
use crate::config::request::{
    Common, DoctorRequest, EjectRequest, Format, Mode, PlanRequest, ReplicateRequest, RestoreRequest,
    StatusRequest, Verbosity, VerifyRequest,
};
use crate::drive::Root;
use crate::event::{Event, Fault, Sink, Summary, Unplug};
use crate::execute::lock;
use crate::execute::luks::Asker;
use crate::jobs::{self, DriveResult, Environment, JobError};
use crate::live::Ending;
use crate::plan::{Afterwards, Plan};
use crate::process::{Cancel, System};
use crate::report::{self, Loudness, Output, Reporter};
use crate::state::Store;

mod attached;
mod failing;
mod looking;

pub use attached::{attach_only, run_or_attach};
pub use looking::{list, log};

/// Where the host remembers its drives. systemd says so for units that have a state directory.
const STATE: &str = "/var/lib/zferry";

/// What a job runs in.
pub(super) struct World {
    system: System,
    cancel: Cancel,
    root: Root,
    reporter: Awake<Reporter>,
    store: Store,
    zone: TimeZone,
    /// Asks for passphrases of LUKS containers.
    ask: Box<Asker<'static>>,
    /// How the user is told what came of a drive.
    ending: Box<dyn Fn(&DriveResult) -> Ending>,
}

impl World {
    pub(super) fn new(common: &Common, cancel: Cancel) -> Self {
        let format = match common.format {
            Format::Human => report::Format::Text,
            Format::Json => report::Format::Json,
        };
        let loudness = if common.verbosity == Verbosity::Quiet { Loudness::Quiet } else { Loudness::Normal };
        let system = System::new();
        let reporter = Awake::new(report::reporter(Output::detect(format, loudness)), system.clone());
        for text in &common.warnings {
            reporter.event(Event::Warning { text: text.clone() });
        }
        let state = std::env::var_os("STATE_DIRECTORY").map_or_else(|| PathBuf::from(STATE), PathBuf::from);
        let asked = cancel.clone();
        let ask = Box::new(move |of: &str, again| Asking::new(&asked).passphrase(of, again));
        let stopped = cancel.clone();
        let ending = Box::new(move |result: &DriveResult| ending(result, &stopped));
        Self {
            system,
            cancel,
            root: Root::default(),
            reporter,
            store: Store::new(state),
            zone: TimeZone::system(),
            ask,
            ending,
        }
    }

    pub(super) fn system(&self) -> &System {
        &self.system
    }

    pub(super) fn zone(&self) -> TimeZone {
        self.zone.clone()
    }

    pub(super) fn environment(&self) -> Environment<'_> {
        Environment {
            runner: &self.system,
            cancel: &self.cancel,
            root: &self.root,
            sink: &self.reporter,
            ask: &self.ask,
            clock: &now,
            zone: &self.zone,
            store: &self.store,
            locks: Path::new(lock::DIRECTORY),
            ending: &self.ending,
            interactive: is_interactive(),
        }
    }
}

/// Whether a person sits in front of it, who can be asked.
fn is_interactive() -> bool {
    std::io::stderr().is_terminal() && std::io::stdin().is_terminal()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the wall clock is read; jobs get it as an argument"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// `replicate`
pub fn replicate(request: &ReplicateRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let env = world.environment();
    let results = match request.mode {
        Mode::Act => vec![jobs::replicate::replicate(request, &env)],
        Mode::Plan => {
            let mut show = |drive: &str, then: &Afterwards<'_>, plan: &Plan| {
                show(request.common.format, drive, then, plan);
            };
            let planned = jobs::replicate::plan(request, &env).and_then(|drive| drive.plan(&env, &mut show));
            vec![planned.map(|planned| planned.summary)]
        }
    };
    drop(world);
    worst(results, &cancel)
}

/// `plan`, `run -n`
pub fn plan(request: &PlanRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let mut show =
        |drive: &str, then: &Afterwards<'_>, plan: &Plan| show(request.common.format, drive, then, plan);
    let results = jobs::plan::plan(request, &world.environment(), &mut show);
    drop(world);
    let results = results.map_err(|error| failure_of(error, &cancel))?;
    worst(results.into_iter().map(|planned| planned.map(|planned| planned.summary)).collect(), &cancel)
}

fn show(format: Format, drive: &str, afterwards: &Afterwards<'_>, plan: &Plan) {
    super::print(&match format {
        Format::Human => report::plan::text(drive, afterwards, plan),
        Format::Json => format!("{}\n", report::plan::json(drive, afterwards, plan)),
    });
}

/// `status`
pub fn status(request: &StatusRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let drives = jobs::status::status(request, &world.environment());
    drop(world);
    let drives = drives.map_err(|error| failure_of(error, &cancel))?;
    match request.common.format {
        Format::Human => {
            let output = Output::detect(report::Format::Text, Loudness::Normal);
            let lines = report::status::table(&drives);
            super::print(&lines.iter().map(|line| line.paint(output) + "\n").collect::<String>());
        }
        Format::Json => {
            let text = report::status::json(&drives).map_err(|error| Failure::Internal(error.into()))?;
            super::print(&(text + "\n"));
        }
    }
    Ok(failure::DONE)
}

/// `doctor`
pub fn doctor(request: &DoctorRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let checkup = jobs::doctor::doctor(request, &world.environment());
    drop(world);
    let checkup = checkup.map_err(|error| failure_of(error, &cancel))?;
    match request.common.format {
        Format::Human => {
            let output = Output::detect(report::Format::Text, Loudness::Normal);
            let lines = report::doctor::lines(&checkup);
            super::print(&lines.iter().map(|line| line.paint(output) + "\n").collect::<String>());
        }
        Format::Json => {
            let text = report::doctor::json(&checkup).map_err(|error| Failure::Internal(error.into()))?;
            super::print(&(text + "\n"));
        }
    }
    let code = if checkup.findings.is_empty() { failure::DONE } else { failure::INCOMPLETE };
    // It may have come to its end all the same.
    Ok(cancel.signal().map_or(code, failure::signalled))
}

/// `eject`
pub fn eject(request: &EjectRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let result = jobs::eject::eject(request, &world.environment());
    drop(world);
    worst(vec![result], &cancel)
}

/// `init`
pub fn init(request: &InitRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let mut ask = |question: &str| super::prepare::ask(question, &cancel);
    let result = jobs::init::init(request, &world.environment(), &mut ask);
    drop(world);
    result.map(|()| failure::DONE).map_err(|error| failure_of(error, &cancel))
}

/// `adopt`
pub fn adopt(request: &AdoptRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let result = jobs::adopt::adopt(request, &world.environment());
    drop(world);
    result.map(|()| failure::DONE).map_err(|error| failure_of(error, &cancel))
}

/// `verify`
pub fn verify(request: &VerifyRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let result = match request.drill {
        None => jobs::verify::verify(request, &world.environment()),
        Some(which) => {
            let mut ask = Asking::new(&cancel);
            jobs::files::drill(request, which, &world.environment(), &mut ask)
        }
    };
    drop(world);
    worst(vec![result], &cancel)
}

/// `restore`
pub fn restore(request: &RestoreRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let mut ask = super::ask::Asking::new(&cancel);
    let result = jobs::restore::restore(request, &world.environment(), &mut ask);
    drop(world);
    worst(vec![result], &cancel)
}

/// The exit code of several drives: the gravest. All failures are told, the last one by the caller.
pub(super) fn worst(results: Vec<DriveResult>, cancel: &Cancel) -> Result<u8, Failure> {
    let mut codes = Vec::new();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(summary) => codes.push(code(&summary, cancel)),
            Err(error) => failures.push(failure_of(error, cancel)),
        }
    }
    let code = codes.into_iter().max_by_key(|&code| gravity(code)).unwrap_or(failure::DONE);
    if failures.is_empty() && code == failure::DONE {
        return Ok(cancel.signal().map_or(code, failure::signalled));
    }
    gravest(code, failures)
}

/// Of a code and failures the gravest. The others are told.
pub(super) fn gravest(code: u8, mut failures: Vec<Failure>) -> Result<u8, Failure> {
    failures.sort_by_key(|failure| gravity(failure.code()));
    let Some(gravest) = failures.pop() else {
        return Ok(code);
    };
    failures.iter().for_each(Failure::tell);
    if gravity(code) > gravity(gravest.code()) {
        gravest.tell();
        return Ok(code);
    }
    Err(gravest)
}

/// What became of one drive, for those who look on.
fn ending(result: &DriveResult, cancel: &Cancel) -> Ending {
    match result {
        Ok(summary) => Ending { code: code(summary, cancel), ..Ending::default() },
        Err(error) => {
            let failure = failing::failure_for(error, cancel);
            Ending { code: failure.code(), error: failure.told(), hints: failure.hints() }
        }
    }
}

/// From what went wrong to what the user reads.
pub(super) fn failure_of(error: JobError, cancel: &Cancel) -> Failure {
    failing::failure_for(&error, cancel)
}

/// Which of two codes says more about what the user should do. One drive that was done and one that was absent is
/// "not now".
fn gravity(code: u8) -> u8 {
    match code {
        failure::DONE => 0,
        failure::NOT_NOW => 1,
        failure::INCOMPLETE => 2,
        failure::ZFS_MISSING => 3,
        failure::INTERNAL => 5,
        code if code > 128 => 4,
        _ => 3,
    }
}

fn code(summary: &Summary, cancel: &Cancel) -> u8 {
    if let Some(signal) = cancel.signal().filter(|_| summary.interrupted) {
        return failure::signalled(signal);
    }
    let unplug = matches!(summary.unplug, Unplug::Unsafe { .. } | Unplug::Gone { .. });
    match summary.fault {
        Fault::Internal => failure::INTERNAL,
        Fault::Zfs => failure::ZFS_MISSING,
        Fault::Damage => failure::INCOMPLETE,
        Fault::None if summary.failed > 0 || unplug => failure::INCOMPLETE,
        Fault::None => failure::DONE,
    }
}

#[cfg(test)]
mod tests;
