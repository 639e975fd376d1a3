//! `run --triggered`: the run that udev starts when a drive appears, unless there is nothing to start it for.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::config::Drive;
use crate::config::request::RunRequest;
use crate::drive::{find_pool, wait_for_pool};
use crate::event::Event;
use crate::execute::{chain, lock};
use crate::live::record::Run;
use crate::live::{Ending, public};
use crate::plan::trigger::{Appearance, Trigger, decide};
use crate::report::text::roughly;
use crate::state;

use super::{DriveResult, Environment, JobError};

/// How long udev may be busy with a device that it has announced.
const LISTED: Duration = Duration::from_secs(10);

/// Backs up to the one drive of the request, if it is to be. None when it was left as it is.
///
/// # Errors
/// As [`super::run::run`].
pub fn run(request: &RunRequest, env: &Environment<'_>) -> Result<Vec<DriveResult>, JobError> {
    let Some(drive) = request.drives.first() else { return Ok(Vec::new()) };
    let attachments = attachments(drive, env);
    let appearance = Appearance {
        attachments: attachments.as_deref(),
        handled: &state::handled(env.locks, drive.guid),
        last_success: env.store.load(drive.name.as_str(), drive.guid).state.last_success,
        min_interval: Some(drive.min_interval),
    };
    let name = &drive.name;
    let decision = decide(&appearance, (env.clock)());
    let text = match decision {
        Trigger::Run => {
            if let Err(error) =
                state::remember_handled(env.locks, drive.guid, &attachments.unwrap_or_default())
            {
                let text = format!(
                    "Another run of {name} may start although it stays plugged in: {}.",
                    chain(&error)
                );
                env.sink.event(Event::Warning { text });
            }
            let results = super::run::run(request, env);
            remember_the_others(drive, env);
            return results;
        }
        Trigger::Handled => {
            format!("{name} was not unplugged since a run was started for it. It is left as it is.")
        }
        Trigger::TooSoon { ago, left } => format!(
            "{name} was backed up {} ago, and is left as it is: min-interval lets the next run start in {}, `{} run {name}` at any time.",
            roughly(ago),
            roughly(left),
            request.common.command
        ),
    };
    env.sink.event(Event::Note { text: text.clone() });
    if matches!(decision, Trigger::TooSoon { .. }) {
        let run = Run {
            drive: name.as_str(),
            pool: &drive.pool,
            guid: drive.guid,
            owner: "",
            began: (env.clock)(),
        };
        left(env.locks, &run, &Ending { code: 0, error: vec![text], hints: Vec::new() });
    }
    Ok(Vec::new())
}

/// The other disks of a mirror came while the run went on, or the drive was plugged in again: that was for this run.
fn remember_the_others(drive: &Drive, env: &Environment<'_>) {
    let Ok(members) = find_pool(env.root, drive.guid) else { return };
    let numbers: BTreeSet<u64> = members.into_iter().filter_map(|member| member.disk.diskseq).collect();
    if !numbers.is_empty() {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        // That it cannot be written was told at the beginning.
        let _ = state::remember_handled(env.locks, drive.guid, &numbers);
    }
}

/// Whoever looks at the desktop is told of a drive that was plugged in and gets no run; unless it has one, of which more
/// is to be told.
pub fn left(directory: &Path, run: &Run<'_>, ending: &Ending) {
    if lock::is_free(directory, run.guid) {
        public::left(directory, run, ending);
    }
}

/// The kernel's numbers of the attachments of the drive's disks, each once. None where one of them has no number.
///
/// While udev is busy with a device that it announces once more, it does not list it: that is no new attachment.
fn attachments(drive: &Drive, env: &Environment<'_>) -> Option<Vec<u64>> {
    // That it is gone, or a copy, is told by the run.
    let members = wait_for_pool(env.root, drive.guid, LISTED, env.cancel, &mut |_| {}).unwrap_or_default();
    let numbers: Option<BTreeSet<u64>> = members.into_iter().map(|member| member.disk.diskseq).collect();
    numbers.map(|numbers| numbers.into_iter().collect())
}
