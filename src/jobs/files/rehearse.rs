//! `rehearse`: a person proves that the passphrase opens what is on the drive. The drive is imported read-only, and no key is
//! loaded.

use std::time::Duration;

use crate::config::Drive;
use crate::event::Event;
use crate::execute::files::{Ask, Trial, Tried};
use crate::execute::session::Session;
use crate::plan::recurring::{When, age, when};
use crate::plan::rehearse::roots;
use crate::report::status::due;
use crate::report::text::{count, roughly};
use crate::zfs::argv::Access;

use super::super::checked::{Visit, checked};
use super::super::drive_run::warn_of;
use super::super::{DriveResult, Environment, JobError};
use super::reach::{datasets, go_on};
use super::{FilesError, RehearseRequest};

/// Tries what the person types on each encryption root. What does not open is counted in `failed`.
///
/// # Errors
/// When the drive cannot be used, or the trial was broken off.
pub fn rehearse(request: &RehearseRequest, env: &Environment<'_>, ask: &mut dyn Ask) -> DriveResult {
    let drive = &request.drive;
    let visit = Visit { drive, access: Access::ReadOnly, wait: request.wait, retry: &request.retry };
    checked(&visit, env, |env, session, _| work(drive, env, session, ask))
}

/// How many roots do not open.
fn work(
    drive: &Drive,
    env: &Environment<'_>,
    session: &Session,
    ask: &mut dyn Ask,
) -> Result<usize, JobError> {
    let side = datasets(env, drive, session)?;
    let tops: Vec<_> = drive.backups.iter().map(|backup| &backup.target).collect();
    let roots = roots(&tops, &side);
    if roots.is_empty() {
        let tops: Vec<_> = tops.iter().map(|top| top.as_str()).collect();
        return Err(
            FilesError::NothingEncrypted { drive: drive.name.to_string(), tops: tops.join(", ") }.into()
        );
    }
    let mut trial = Trial::new(ask);
    let mut closed = 0;
    for (root, wanted) in &roots {
        go_on(env, drive)?;
        let tried = trial.root(&env.client(), root, wanted).map_err(FilesError::from)?;
        let text = match tried {
            Tried::Opens => {
                env.sink.event(Event::Note { text: format!("“{root}” opens.") });
                continue;
            }
            Tried::Not => format!("“{root}” does NOT open with what was typed."),
            Tried::Bytes => format!(
                "“{root}” is opened by a key that is bytes, which nobody types: it was not tried. Keep that key in a second place."
            ),
        };
        closed += 1;
        env.sink.event(Event::Warning { text });
    }
    go_on(env, drive)?;
    if closed == 0 {
        let all = count(roots.len(), "encryption root");
        env.sink.event(Event::Note { text: format!("The passphrase opens all of {}: {all}.", drive.name) });
        remember(drive, env);
    } else {
        let text = format!(
            "{closed} of {} on {} did not open. A copy wants the passphrase that its source had when its newest snapshot was backed up. If nobody knows that one any more, the copy is lost: while the source is there, begin another copy of it.",
            count(roots.len(), "encryption root"),
            drive.name
        );
        env.sink.event(Event::Warning { text });
    }
    Ok(closed)
}

/// Only what a person typed proves that somebody knows it.
fn remember(drive: &Drive, env: &Environment<'_>) {
    if !env.interactive {
        let text = "This is not recorded: it did not come from a person at a terminal.".to_owned();
        env.sink.event(Event::Note { text });
        return;
    }
    let mut state = env.store.load(drive.name.as_str(), drive.guid).state;
    state.last_rehearsal = Some((env.clock)());
    warn_of(env, env.store.save(&state).err().as_ref());
}

/// Reminds a person at a terminal, when it is due. `command` is how this program is called.
pub fn remind(drive: &Drive, command: &str, env: &Environment<'_>) {
    if !env.interactive || drive.rehearse.is_none() {
        return;
    }
    let last = env.store.load(drive.name.as_str(), drive.guid).state.last_rehearsal;
    let now = (env.clock)();
    if when(drive.rehearse, last, now) == Some(When::Now) {
        let ago = last.and_then(|at| age(at, now)).map(|age: Duration| roughly(age));
        let text = due(drive.name.as_str(), ago.as_deref(), command);
        env.sink.event(Event::Note { text });
    }
}
