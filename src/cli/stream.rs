//! `stream`: streams in files. Neither a configuration nor root nor ZFS is needed to look at one; to receive one is ZFS's to
//! allow.

use std::path::PathBuf;

use super::failure::{self, Failure};
use super::work::World;
use super::{Call, args, interruptible, print, request};
use crate::config::request::Format;
use crate::jobs;
use crate::jobs::stream::{RestoreError, RestoreRequest};
use crate::plan::files::Wanted;
use crate::process::Cancel;
use crate::report::{self, Loudness, Output};
use crate::zfs::error::Kind;

pub(super) fn run(command: args::StreamCommand, call: &Call<'_>) -> Result<u8, Failure> {
    match command {
        args::StreamCommand::Verify { files } => Ok(verify(&files, call)),
        args::StreamCommand::Restore { into, from, at, dataset } => {
            let wanted = at.map_or(Wanted::Newest, Wanted::AsOf);
            restore(&RestoreRequest { into, from, wanted, dataset }, call, &interruptible()?)
        }
    }
}

/// Says it on standard output: for people one file after the other, as they are read.
fn verify(files: &[PathBuf], call: &Call<'_>) -> u8 {
    let format = request::common(&call.global, &call.host, Vec::new()).format;
    let output = Output::detect(report::Format::Text, Loudness::Normal);
    let mut all = Vec::new();
    jobs::stream::verify(files, &mut |one| {
        if format == Format::Human {
            print(&(report::stream::line(&one).paint(output) + "\n"));
        }
        all.push(one);
    });
    match format {
        Format::Json => print(&report::stream::json(&all)),
        Format::Human => {
            if let Some(hint) = report::stream::hint(&all) {
                print(&(hint.paint(output) + "\n"));
            }
        }
    }
    if all.iter().all(|one| one.found.is_ok()) { failure::DONE } else { failure::INCOMPLETE }
}

fn restore(request: &RestoreRequest, call: &Call<'_>, cancel: &Cancel) -> Result<u8, Failure> {
    let world = World::new(&call.common(Vec::new()), cancel.clone());
    let result = jobs::stream::restore(request, &world.environment(), world.system());
    drop(world);
    result.map(|()| failure::DONE).map_err(|error| failure_of(error, call, cancel))
}

fn failure_of(error: RestoreError, call: &Call<'_>, cancel: &Cancel) -> Failure {
    let kind = match &error {
        RestoreError::Interrupted => {
            let signal = cancel.signal().unwrap_or_default();
            return Failure::Interrupted { signal };
        }
        RestoreError::NotReceived { source, .. } | RestoreError::Zfs { source, .. } => source.kind(),
        _ => Kind::Other,
    };
    if kind == Kind::Permission && !call.caller.is_root {
        return call.caller.not_root();
    }
    let hints = error.hints();
    let cause = anyhow::Error::new(error);
    if kind == Kind::Module { Failure::ZfsMissing(cause) } else { Failure::Failed { cause, hints } }
}
