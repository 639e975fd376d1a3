//! `stream`: streams in files. Neither a configuration nor root nor ZFS is needed to look at one; to send and to receive one
//! is ZFS's to allow.

mod places;
mod saving;

use std::path::PathBuf;

use super::failure::{self, Failure};
use super::work::{self, World};
use super::{Call, args, interruptible, print, request};
use crate::config::request::Format;
use crate::jobs;
use crate::jobs::stream::{Closely, ExportError, ExportRequest, RestoreError, RestoreRequest};
use crate::model::SendMode;
use crate::plan::files::Wanted;
use crate::process::Cancel;
use crate::report::{self, Loudness, Output};
use crate::zfs::error::Kind;

pub(super) fn run(command: args::StreamCommand, call: &Call<'_>) -> Result<u8, Failure> {
    match command {
        args::StreamCommand::Save { streams } => saving::save(&streams, call),
        args::StreamCommand::List { of } => list(&of, call),
        args::StreamCommand::Verify { of, quick } => {
            verify(&of, if quick { Closely::Quick } else { Closely::Whole }, call)
        }
        args::StreamCommand::Restore { into, from, at, dataset } => {
            let wanted = at.map_or(Wanted::Newest, Wanted::AsOf);
            restore(&RestoreRequest { into, from, wanted, dataset }, call, &interruptible()?)
        }
        args::StreamCommand::Export { snapshot, file, from, plain } => {
            let mode = if plain { SendMode::Plain } else { SendMode::Raw };
            export(&ExportRequest { snapshot, from, file, mode }, call, &interruptible()?)
        }
        args::StreamCommand::Prune { streams, dry_run } => saving::prune(&streams, !dry_run, call),
        args::StreamCommand::Adopt { paths } => adopt(&paths, call),
    }
}

fn format(call: &Call<'_>) -> Format {
    request::common(&call.global, &call.host, Vec::new()).format
}

/// Says it on standard output: for people one file after the other, as they are read.
fn verify(of: &[String], closely: Closely, call: &Call<'_>) -> Result<u8, Failure> {
    let places = places::files(of, call)?;
    let (format, output) = (format(call), Output::detect(report::Format::Text, Loudness::Normal));
    let mut all = Vec::new();
    jobs::stream::verify(&places.files, closely, work::now(), &mut |one| {
        if format == Format::Human {
            print(&(report::stream::line(&one, closely).paint(output) + "\n"));
        }
        all.push(one);
    });
    match format {
        Format::Json => print(&report::stream::json(&all, closely, &places.lacks)),
        Format::Human => {
            for line in report::stream::ending(&all, &places.lacks) {
                print(&(line.paint(output) + "\n"));
            }
        }
    }
    let is_well = places.lacks.is_empty() && all.iter().all(|one| one.found.is_ok());
    Ok(if is_well { failure::DONE } else { failure::INCOMPLETE })
}

fn list(of: &[String], call: &Call<'_>) -> Result<u8, Failure> {
    let shelves = places::shelves(of, call)?;
    let zone = jiff::tz::TimeZone::system();
    match format(call) {
        Format::Json => print(&report::shelves::json(&shelves)),
        Format::Human => {
            let output = Output::detect(report::Format::Text, Loudness::Normal);
            let lines = report::shelves::table(&shelves, &zone);
            print(&lines.iter().map(|line| line.paint(output) + "\n").collect::<String>());
        }
    }
    Ok(failure::DONE)
}

fn adopt(paths: &[PathBuf], call: &Call<'_>) -> Result<u8, Failure> {
    let cancel = interruptible()?;
    let world = World::new(&call.common(Vec::new()), cancel.clone());
    let adopted = jobs::stream::adopt(paths, &world.environment());
    drop(world);
    if let Some(signal) = cancel.signal() {
        return Err(Failure::Interrupted { signal });
    }
    let adopted = adopted.map_err(|(path, error)| places::unreadable(&path, error))?;
    if format(call) == Format::Human {
        print(&format!("{}\n", report::shelves::adopted(&adopted)));
    }
    Ok(if adopted.failed == 0 { failure::DONE } else { failure::INCOMPLETE })
}

fn restore(request: &RestoreRequest, call: &Call<'_>, cancel: &Cancel) -> Result<u8, Failure> {
    let world = World::new(&call.common(Vec::new()), cancel.clone());
    let result = jobs::stream::restore(request, &world.environment(), world.system());
    drop(world);
    result.map(|()| failure::DONE).map_err(|error| {
        let kind = match &error {
            RestoreError::Interrupted => {
                return Failure::Interrupted { signal: cancel.signal().unwrap_or_default() };
            }
            RestoreError::NotReceived { source, .. } | RestoreError::Zfs { source, .. } => source.kind(),
            _ => Kind::Other,
        };
        let hints = error.hints();
        failed(anyhow::Error::new(error), kind, hints, call)
    })
}

fn export(request: &ExportRequest, call: &Call<'_>, cancel: &Cancel) -> Result<u8, Failure> {
    let world = World::new(&call.common(Vec::new()), cancel.clone());
    let result = jobs::stream::export(request, &world.environment(), world.system());
    drop(world);
    result.map(|()| failure::DONE).map_err(|error| {
        if error.is_interruption() {
            return Failure::Interrupted { signal: cancel.signal().unwrap_or_default() };
        }
        match error {
            ExportError::Zfs(error) => saving::told(error, call, cancel),
            error => {
                let (kind, hints) = (error.kind(), error.hints());
                failed(anyhow::Error::new(error), kind, hints, call)
            }
        }
    })
}

/// What ZFS did not do, by its kind.
fn failed(cause: anyhow::Error, kind: Kind, hints: Vec<String>, call: &Call<'_>) -> Failure {
    match kind {
        Kind::Permission if !call.caller.is_root => call.caller.not_root(),
        Kind::Module => Failure::ZfsMissing(cause),
        _ => Failure::Failed { cause, hints },
    }
}
