//! `stream save` and `stream prune`: what is configured, one after the other.

use super::super::failure::{self, Failure};
use super::super::work::{World, gravest};
use super::super::{Call, interruptible};
use super::{failed, places};
use crate::alert::alarm::{Alarm, Subject};
use crate::alert::told::{About, Moment};
use crate::config::{Stream, StreamName};
use crate::event::Event;
use crate::execute::chain;
use crate::jobs::Environment;
use crate::jobs::stream::{SaveError, prune_all, save as save_one};
use crate::model::Bytes;
use crate::process::Cancel;
use crate::report::text::count;
use crate::zfs::error::Kind;

/// Who is not root may be allowed to by `zfs allow`: ZFS says.
pub(super) fn save(names: &[StreamName], call: &Call<'_>) -> Result<u8, Failure> {
    each(names, call, |stream, world, cancel| {
        let env = world.environment();
        let about =
            About::Stream { source: stream.policy.source.clone(), directory: stream.directory.clone() };
        let subject = Subject { name: stream.name.as_str(), about, host: &call.host, alerts: &stream.alerts };
        let alarm = Alarm::of_run(subject, env.sink);
        let result = save_one(stream, &Environment { sink: &alarm, ..env }, world.system());
        match &result {
            Ok(summary) => {
                let moment = if summary.failed == 0 { Moment::Success } else { Moment::Failure };
                alarm.raise(moment, &summary.sentence(stream));
            }
            Err(error) => {
                let message = format!("{}: {}.", stream.name, chain(error));
                alarm.ended_early(code_of(error, cancel), &message);
            }
        }
        result.map(|summary| if summary.failed == 0 { failure::DONE } else { failure::INCOMPLETE })
    })
}

pub(super) fn prune(names: &[StreamName], is_meant: bool, call: &Call<'_>) -> Result<u8, Failure> {
    each(names, call, |stream, world, _| {
        let env = world.environment();
        let pruned = prune_all(stream, is_meant, &env)?;
        let (files, bytes) = (count(pruned.files.len(), "file"), Bytes(pruned.bytes));
        let text = match (stream.policy.keep, pruned.files.len()) {
            (None, _) => format!("{}: no `keep` is written, so that all files are kept.", stream.name),
            (Some(_), 0) => format!("{}: `keep` keeps all files.", stream.name),
            (Some(_), _) if is_meant => format!("{}: removed {files}, {bytes}.", stream.name),
            (Some(_), _) => {
                let names: Vec<_> =
                    pruned.files.iter().map(|file| format!("\n  {}", file.display())).collect();
                format!("{}: {files}, {bytes}, would be removed:{}", stream.name, names.concat())
            }
        };
        env.sink.event(Event::Note { text });
        Ok(if pruned.failed == 0 { failure::DONE } else { failure::INCOMPLETE })
    })
}

/// One after the other; one that fails keeps none of the others from being done.
fn each(
    names: &[StreamName],
    call: &Call<'_>,
    work: impl Fn(&Stream, &World, &Cancel) -> Result<u8, SaveError>,
) -> Result<u8, Failure> {
    let settings = call.streams()?;
    let streams = places::streams(names, &settings)?;
    let cancel = interruptible()?;
    let world = World::new(&call.common(settings.warnings.clone()), cancel.clone());
    let (mut code, mut failures) = (failure::DONE, Vec::new());
    for stream in &streams {
        match work(stream, &world, &cancel) {
            Ok(done) => code = code.max(done),
            Err(error) => failures.push(told(error, call, &cancel)),
        }
        if cancel.is_requested() {
            break;
        }
    }
    drop(world);
    gravest(code, failures)
}

/// The code of an error, for those who are told of it.
fn code_of(error: &SaveError, cancel: &Cancel) -> u8 {
    match error {
        SaveError::Interrupted => failure::signalled(cancel.signal().unwrap_or_default()),
        SaveError::Busy(_) => failure::NOT_NOW,
        _ => failure::INCOMPLETE,
    }
}

pub(super) fn told(error: SaveError, call: &Call<'_>, cancel: &Cancel) -> Failure {
    let hints = error.hints();
    let kind = match &error {
        SaveError::Interrupted => {
            return Failure::Interrupted { signal: cancel.signal().unwrap_or_default() };
        }
        SaveError::Busy(_) => {
            let hint = hints.into_iter().next().unwrap_or_default();
            return Failure::NotNow { cause: anyhow::Error::new(error), hint };
        }
        SaveError::UnsafeZfs(_) => {
            let hint = hints.into_iter().next().unwrap_or_default();
            return Failure::ZfsUnsafe { cause: anyhow::Error::new(error), hint };
        }
        SaveError::Zfs { source, .. } => source.kind(),
        _ => Kind::Other,
    };
    failed(anyhow::Error::new(error), kind, hints, call)
}
