//! `restore` of files: out of a snapshot on the drive into a directory. The drive is only read, and is as it was before
//! when it is over.

use std::path::PathBuf;
use std::time::Instant;

use crate::event::{Event, Summary, Then, Unplug};
use crate::execute::chain;
use crate::execute::files::{self, Ask, CopyError, Keyring, Target};
use crate::execute::session::{After, Session};
use crate::model::Bytes;
use crate::plan::files::{Room, SnapPath};

use super::super::drive_run::take_lock;
use super::super::{DriveResult, Environment, JobError};
use super::reach::{Was, datasets, reach, unload};
use super::seek::{Hit, Seeker, Version};
use super::{Destination, FilesError, FilesRequest};

/// Restores each path. One that does not come back keeps no other from it.
///
/// # Errors
/// When nothing could be done, or the only path did not come back.
pub fn restore(request: &FilesRequest, env: &Environment<'_>, ask: &mut dyn Ask) -> DriveResult {
    let started = Instant::now();
    if let Some(to) = &request.to {
        look_at(to, &request.paths)?;
    }
    let work = |seeker: &mut Seeker<'_>| {
        let (mut done, mut failed) = (0, 0);
        for path in &request.paths {
            match restore_one(seeker, path) {
                Ok(()) => done += 1,
                Err(error) if request.paths.len() == 1 || error.ends_it() => return Err(error),
                Err(error) => {
                    failed += 1;
                    let text = format!("{} was not restored: {}.", path.path().display(), chain(&error));
                    seeker.env.sink.event(Event::Warning { text });
                }
            }
        }
        Ok((done, failed))
    };
    let ((done, failed), unplug) = with_drive(request, env, ask, work)?;
    let nothing_sent = env.nothing_sent(request.drive.name.as_str(), started, unplug);
    Ok(Summary { done, failed, ..nothing_sent })
}

/// Every state of each path that the drive has, newest first.
///
/// # Errors
/// When one of the paths was in no snapshot, or the drive cannot be used.
pub fn versions(
    request: &FilesRequest,
    env: &Environment<'_>,
    ask: &mut dyn Ask,
) -> Result<(Vec<Version>, Summary), JobError> {
    let started = Instant::now();
    let work = |seeker: &mut Seeker<'_>| {
        let all: Result<Vec<_>, _> = request.paths.iter().map(|path| seeker.versions(path)).collect();
        Ok(all?.concat())
    };
    let (versions, unplug) = with_drive(request, env, ask, work)?;
    Ok((versions, env.nothing_sent(request.drive.name.as_str(), started, unplug)))
}

/// What can be known before the drive is touched.
fn look_at(to: &Destination, paths: &[SnapPath]) -> Result<(), FilesError> {
    if !to.directory.is_dir() {
        return Err(FilesError::NoDestination(to.directory.clone()));
    }
    for path in paths {
        let (there, _) = to.place(path.name());
        if !to.force && std::fs::symlink_metadata(&there).is_ok() {
            return Err(CopyError::Exists(there).into());
        }
    }
    Ok(())
}

/// Does something with the drive imported, and leaves it as it was.
fn with_drive<T>(
    request: &FilesRequest,
    env: &Environment<'_>,
    ask: &mut dyn Ask,
    work: impl FnOnce(&mut Seeker<'_>) -> Result<T, FilesError>,
) -> Result<(T, Unplug), JobError> {
    let drive = &request.drive;
    let _lock = take_lock(env, drive.guid)?;
    let (session, was) = reach(env, drive, request.wait)?;
    let guarded = session.guard(&env.host());
    let env = &Environment { cancel: &guarded, ..*env };
    let result = datasets(env, drive, &session).and_then(|side| {
        let mut seeker = Seeker::new(env, request, &session, side, Keyring::new(ask));
        let result = work(&mut seeker);
        let left = seeker.leave();
        if was != Was::Closed {
            unload(env, seeker.keys());
        }
        seeker.remove_directories();
        Ok(result.and_then(|done| left.map(|()| done))?)
    });
    let unplug = end(env, &session, was);
    let truth = crate::report::summary::truth(drive.name.as_str(), &unplug);
    let text = match (&unplug, was) {
        (Unplug::LeftImported { .. }, Was::Open) => {
            format!(
                "{0} is still open, as it was before; do NOT unplug it before `zferry close {0}`.",
                drive.name
            )
        }
        (Unplug::Gone { then: Then::PlugIn, .. }, _) => format!(
            "{0} was unplugged while it was read from. Nothing on it was changed. `zferry close {0}` says whether this computer has to be restarted.",
            drive.name
        ),
        _ => truth.text,
    };
    env.sink.event(Event::Note { text });
    result.map(|done| (done, unplug))
}

/// What was imported for this only is exported, which forgets its keys too.
fn end(env: &Environment<'_>, session: &Session, was: Was) -> Unplug {
    let host = env.host();
    match was {
        Was::Open if host.client.cancel().lost().is_none() => {
            Unplug::LeftImported { first: format!("zferry close {}", session.drive) }
        }
        _ => session.close(&host, After::Export, false),
    }
}

fn restore_one(seeker: &mut Seeker<'_>, path: &SnapPath) -> Result<(), FilesError> {
    let Some(to) = &seeker.request.to else { return Ok(()) };
    let hit = seeker.find(path)?;
    let copied = copy_hit(seeker, path, to, &hit);
    let left = seeker.leave();
    let there = copied.and_then(|there| left.map(|()| there))?;
    let made = hit.made.to_zoned(seeker.env.zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
    let text = format!(
        "Restored {} as it was in @{} (made {made}) to {}.",
        path.path().display(),
        hit.snapshot.snap,
        there.display()
    );
    seeker.env.sink.event(Event::Note { text });
    Ok(())
}

fn copy_hit(
    seeker: &Seeker<'_>,
    path: &SnapPath,
    to: &Destination,
    hit: &Hit,
) -> Result<PathBuf, FilesError> {
    let real = hit.found.real.clone();
    let amount = seeker.attended(path.path(), move || files::measure(&real))?;
    let free = files::free(&to.directory);
    let available = free.map_err(|source| FilesError::Read { path: to.directory.clone(), source })?;
    match amount.fits(available) {
        Room::Enough => {}
        Room::Perhaps => {
            let text = format!(
                "{} is {} long and takes {} on the drive; {} has {available} left, which may be too little.",
                path.path().display(),
                amount.length,
                amount.taken,
                to.directory.display()
            );
            seeker.env.sink.event(Event::Warning { text });
        }
        Room::None => {
            let (path, directory) = (path.path().to_owned(), to.directory.clone());
            return Err(FilesError::NoRoom { path, needed: amount.length, directory, available });
        }
    }
    let (there, name) = to.place(path.name());
    let target = Target { directory: to.directory.clone(), name, force: to.force };
    let (sink, what) = (seeker.env.sink, path.path().display().to_string());
    let tell = |copied: Bytes| {
        sink.event(Event::Copying { what: what.clone(), copied, of: amount.length });
    };
    let copied = files::copy(seeker.env.runner, seeker.env.cancel, &hit.found.real, &target, &tell);
    // Whatever became of it, it is over.
    tell(amount.length);
    copied.map_err(|error| match seeker.env.cancel.lost() {
        Some(why) => FilesError::Lost { drive: seeker.request.drive.name.to_string(), why },
        None => error.into(),
    })?;
    Ok(there)
}
