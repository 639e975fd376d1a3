//! `rehearse`: a person proves that the passphrase opens what is on the drive. The drive is imported read-only, and no key is
//! loaded.

use std::cell::Cell;
use std::time::Duration;

use crate::config::Drive;
use crate::drive::find_luks;
use crate::event::Event;
use crate::execute::files::{Ask, Trial, Tried};
use crate::execute::luks;
use crate::execute::session::Session;
use crate::model::Luks;
use crate::plan::recurring::{When, age, when};
use crate::plan::rehearse::roots;
use crate::report::status::due;
use crate::report::text::{count, roughly};
use crate::zfs::argv::Access;

use super::super::checked::{Visit, checked};
use super::super::remembered::{metrics, save};
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
    // What opened the container was typed by a person, unless it was open or there is a key file.
    let typed = Cell::new(false);
    let asking = |of: &str, again| (env.ask)(of, again).inspect(|_| typed.set(true));
    let env = &Environment { ask: &asking, ..*env };
    checked(&visit, env, |env, session, _| {
        let container = drive.luks.as_ref().map(|luks| match typed.get() {
            true => Ok(true),
            false => try_container(drive, luks, env),
        });
        work(drive, env, session, container.transpose()?, ask)
    })
}

/// Whether what a person types opens the container that the drive's pool lies in.
fn try_container(drive: &Drive, luks: &Luks, env: &Environment<'_>) -> Result<bool, JobError> {
    let name = drive.name.to_string();
    let missing =
        || FilesError::Lost { drive: name.clone(), why: "its LUKS container is not there".to_owned() };
    let device = find_luks(env.root, &luks.uuid).ok().flatten().ok_or_else(missing)?;
    Ok(luks::try_passphrase(&env.host(), &name, luks, &device)?)
}

/// How many roots do not open. `container`: whether the LUKS container does, if there is one.
fn work(
    drive: &Drive,
    env: &Environment<'_>,
    session: &Session,
    container: Option<bool>,
    ask: &mut dyn Ask,
) -> Result<usize, JobError> {
    let side = datasets(env, drive, session)?;
    let tops: Vec<_> = drive.backups.iter().map(|backup| &backup.target).collect();
    let roots = roots(&tops, &side);
    if roots.is_empty() && container.is_none() {
        let tops: Vec<_> = tops.iter().map(|top| top.as_str()).collect();
        return Err(
            FilesError::NothingEncrypted { drive: drive.name.to_string(), tops: tops.join(", ") }.into()
        );
    }
    tell_of_container(drive, env, container);
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
    if closed > 0 {
        let text = format!(
            "{closed} of {} on {} did not open. A copy wants the passphrase that its source had when its newest snapshot was backed up. If nobody knows that one any more, the copy is lost: while the source is there, begin another copy of it.",
            count(roots.len(), "encryption root"),
            drive.name
        );
        env.sink.event(Event::Warning { text });
    }
    if closed == 0 && container != Some(false) {
        let all = count(roots.len(), "encryption root");
        let all = match container {
            None => all,
            Some(_) if roots.is_empty() => "its LUKS container".to_owned(),
            Some(_) => format!("its LUKS container and {all}"),
        };
        env.sink.event(Event::Note { text: format!("The passphrase opens all of {}: {all}.", drive.name) });
        remember(drive, env);
    }
    Ok(closed + usize::from(container == Some(false)))
}

fn tell_of_container(drive: &Drive, env: &Environment<'_>, opens: Option<bool>) {
    match (opens, &drive.luks) {
        (Some(true), _) => {
            env.sink.event(Event::Note { text: format!("The LUKS container of {} opens.", drive.name) });
        }
        (Some(false), Some(luks)) => {
            let text = format!(
                "The LUKS container of {} does NOT open with what was typed. While something opens it, add a passphrase that you know:\n  cryptsetup luksAddKey {}",
                drive.name,
                luks.uuid.link().display()
            );
            env.sink.event(Event::Warning { text });
        }
        (_, None) | (None, _) => {}
    }
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
    save(env, &state, metrics(drive));
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
