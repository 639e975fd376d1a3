//! `run --triggered`: the run that udev starts when a drive appears, unless there is nothing to start it for.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Drive;
use crate::config::request::RunRequest;
use crate::drive::{Disk, find_luks, luks_mappings, wait_for_luks, wait_for_pool};
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
/// As `run` without a terminal ends where a passphrase is asked for.
const NOT_NOW: u8 = 75;

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
        needs_passphrase: needs_passphrase(drive, env),
    };
    let now = (env.clock)();
    let decision = decide(&appearance, now);
    if matches!(decision, Trigger::Run | Trigger::NeedsPassphrase) {
        handled(drive, &attachments.unwrap_or_default(), env);
    }
    let Some(left) = why_not(drive, &decision, &request.common.command) else {
        let results = super::run::run(request, env);
        remember_the_others(drive, env);
        return results;
    };
    env.sink.event(Event::Note { text: left.error.join(" ") });
    if decision != Trigger::Handled {
        tell(drive, &left, now, env);
    }
    Ok(Vec::new())
}

/// What whoever plugged the drive in is told; nothing when it has a run.
fn why_not(drive: &Drive, decision: &Trigger, command: &str) -> Option<Ending> {
    let name = &drive.name;
    let (code, text, hint) = match decision {
        Trigger::Run => return None,
        Trigger::NeedsPassphrase => (
            NOT_NOW,
            format!(
                "The LUKS container of {name} is closed, and only a passphrase opens it: `{command} run {name}` asks for it."
            ),
            Some(format!("For runs that start by themselves: luks-key-file = \"/path\" in [drives.{name}].")),
        ),
        Trigger::TooSoon { ago, left } => (
            0,
            format!(
                "{name} was backed up {} ago, and is left as it is: min-interval lets the next run start in {}, `{command} run {name}` at any time.",
                roughly(*ago),
                roughly(*left),
            ),
            None,
        ),
        Trigger::Handled => (
            0,
            format!("{name} was not unplugged since a run was started for it. It is left as it is."),
            None,
        ),
    };
    Some(Ending { code, error: vec![text], hints: hint.into_iter().collect() })
}

fn tell(drive: &Drive, ending: &Ending, began: Timestamp, env: &Environment<'_>) {
    let name = drive.name.as_str();
    let run = Run { drive: name, pool: &drive.pool, guid: drive.guid, owner: "", began };
    left(env.locks, &run, ending);
}

/// Nothing else that announces the drive starts anything before it is plugged in anew.
fn handled(drive: &Drive, attachments: &[u64], env: &Environment<'_>) {
    if let Err(error) = state::remember_handled(env.locks, drive.guid, attachments) {
        let text = format!(
            "Another run of {} may start although it stays plugged in: {}.",
            drive.name,
            chain(&error)
        );
        env.sink.event(Event::Warning { text });
    }
}

/// The other disks of a mirror came while the run went on, or the drive was plugged in again: that was for this run.
fn remember_the_others(drive: &Drive, env: &Environment<'_>) {
    let numbers = attached_within(Duration::ZERO, drive, env).unwrap_or_default();
    if !numbers.is_empty() {
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
    attached_within(LISTED, drive, env)
}

/// The same, with the time that the first of them has to appear; zero looks once.
fn attached_within(time: Duration, drive: &Drive, env: &Environment<'_>) -> Option<Vec<u64>> {
    let mut quiet = |_| {};
    // That it is gone, or a copy, is told by the run.
    let disks: Vec<Disk> = match &drive.luks {
        Some(luks) => wait_for_luks(env.root, &luks.uuid, time, env.cancel, &mut quiet)
            .map(|device| vec![device.disk])
            .unwrap_or_default(),
        None => wait_for_pool(env.root, drive.guid, time, env.cancel, &mut quiet)
            .map(|members| members.into_iter().map(|member| member.disk).collect())
            .unwrap_or_default(),
    };
    let numbers: Option<BTreeSet<u64>> = disks.iter().map(|disk| disk.diskseq).collect();
    numbers.map(|numbers| numbers.into_iter().collect())
}

/// Whether only a person can open what the drive's pool lies in.
fn needs_passphrase(drive: &Drive, env: &Environment<'_>) -> bool {
    let Some(luks) = drive.luks.as_ref().filter(|luks| luks.key_file.is_none()) else { return false };
    let device = find_luks(env.root, &luks.uuid).ok().flatten();
    !luks_mappings(env.root, &luks.uuid, device.as_ref()).iter().any(|mapping| mapping.is_alive)
}
