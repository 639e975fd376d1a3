//! From the file as written to settings: defaults, what differs on a drive, and the checks that need more than one key.

use std::path::PathBuf;

use toml::Spanned;

use super::age::{AgeLimit, Length};
use super::file::{AlertsFile, BackupFile, DriveFile, File, Glob, SnapshotGlobs};
use super::keys::{Absent, BACKUP, DRIVE, Key};
use super::name::BackupName;
use super::problem::{Problems, Span, nearest};
use super::reader::Written;
use super::retention;
use super::settings::{Backup, Drive, MIN_INTERVAL, PowerOff, REPLUG_WAIT, Settings, target_on};
use super::streams::{check_overlap as check_streams, resolve_stream};
use crate::model::{Alerts, DatasetFilter, DatasetName, Luks, PoolName, SnapshotFilter, glob_set};

/// Puts the settings together. They are only good when nothing was noted in `problems`.
pub fn resolve(file: &File, path: PathBuf, host: &str, problems: &mut Problems) -> Settings {
    if file.drives.is_empty() && file.streams.is_empty() && problems.is_empty() {
        let hint = "`zferry config example` prints a configuration to start from".to_owned();
        problems.push(0..0, "drives", "neither a drive nor a stream is configured", Some(hint));
    }
    check_guids(&file.drives, problems);
    let drives = file.drives.iter().filter_map(|drive| resolve_drive(file, drive, host, problems)).collect();
    check_streams(&file.streams, problems);
    let streams = file.streams.iter().filter_map(|stream| resolve_stream(stream, problems)).collect();
    Settings { file: path, drives, streams, warnings: unused(file) }
}

/// The general part of a backup with what differs on this drive, for each backup that the drive carries.
pub fn merged(file: &File, drive: &DriveFile) -> Vec<BackupFile> {
    let carried = |backup: &&BackupFile| match &drive.backups {
        Some(listed) => listed.iter().any(|name| name.get_ref() == backup.name.get_ref()),
        None => true,
    };
    let here = |general: &BackupFile| {
        let own = drive.overrides.iter().find(|own| own.name.get_ref() == general.name.get_ref());
        own.unwrap_or(general).over(general)
    };
    file.backups.iter().filter(carried).map(here).collect()
}

/// Two drives with one guid would be one drive with two configurations.
fn check_guids(drives: &[DriveFile], problems: &mut Problems) {
    for (index, drive) in drives.iter().enumerate() {
        let Some(guid) = &drive.guid else { continue };
        let twin = drives[..index].iter().find(|other| other.guid.as_ref() == Some(guid));
        if let Some(twin) = twin {
            let what = format!("drives.{} has the same pool-guid", twin.name.get_ref());
            problems.push(guid.span(), format!("drives.{}.pool-guid", drive.name.get_ref()), what, None);
        }
    }
}

fn resolve_drive(file: &File, drive: &DriveFile, host: &str, problems: &mut Problems) -> Option<Drive> {
    let path = format!("drives.{}", drive.name.get_ref());
    let at = drive.name.span();
    require(&drive.written, DRIVE, &path, &at, problems);
    check_names(file, drive, &path, problems);

    let merged = merged(file, drive);
    if merged.is_empty() {
        let at = drive.written.get("backups").map_or(at, Spanned::span);
        // A backup with an impossible name was told of already.
        if !file.backups.is_empty() || problems.is_empty() {
            problems.push(at, path, "the drive carries no backup", Some("add a [backups.NAME]".to_owned()));
        }
        return None;
    }
    for backup in &merged {
        let (path, at) = (format!("backups.{}", backup.name.get_ref()), backup.name.span());
        require(&backup.written, BACKUP, &path, &at, problems);
    }
    let pool = drive.pool.as_ref()?.get_ref();
    let resolve = |backup: &BackupFile| resolve_backup(backup, pool, host, problems);
    let backups: Vec<_> = merged.iter().map(resolve).collect();
    check_overlap(&merged, &backups, problems);
    Some(Drive {
        name: drive.name.get_ref().clone(),
        pool: pool.clone(),
        guid: *drive.guid.as_ref()?.get_ref(),
        luks: resolve_luks(drive, &path, problems),
        power_off: PowerOff::from(drive.power_off.unwrap_or(true)),
        rescue: None,
        replug_wait: drive.replug_wait.map_or(REPLUG_WAIT, |Length(time)| time),
        scrub: drive.scrub.unwrap_or(AgeLimit::Never).limit(),
        rehearse: drive.rehearse.unwrap_or(AgeLimit::Never).limit(),
        min_interval: drive.min_interval.map_or(MIN_INTERVAL, |Length(time)| time),
        warn_after: drive.warn_after.unwrap_or(AgeLimit::Never).limit(),
        alerts: drive.alerts.as_ref().map(alerts).unwrap_or_default(),
        backups: backups.into_iter().collect::<Option<_>>()?,
    })
}

/// Who is told. What is wrong in it was noted when it was read.
pub fn alerts(written: &AlertsFile) -> Alerts {
    Alerts {
        ping: written.ping.clone(),
        on_start: written.on_start.clone(),
        on_success: written.on_success.clone(),
        on_failure: written.on_failure.clone(),
        metrics: written.metrics.clone(),
    }
}

/// How the drive's container is opened, if its pool lies in one.
fn resolve_luks(drive: &DriveFile, path: &str, problems: &mut Problems) -> Option<Luks> {
    let key_file = drive.luks_key_file.as_ref();
    if let Some(file) = key_file {
        let what = match (PathBuf::from(file.get_ref()).is_absolute(), &drive.luks) {
            (true, Some(_)) => None,
            (false, _) => Some("is no absolute path"),
            (true, None) => Some("has no effect without `luks`, which says what it opens"),
        };
        if let Some(what) = what {
            problems.push(file.span(), format!("{path}.luks-key-file"), what, None);
        }
    }
    let uuid = drive.luks.as_ref()?.get_ref().clone();
    Some(Luks { uuid, key_file: key_file.map(|file| PathBuf::from(file.get_ref())) })
}

/// Notes every key that has to be written and is not.
pub(super) fn require(written: &Written, keys: &[Key], path: &str, at: &Span, problems: &mut Problems) {
    let required = keys.iter().filter(|key| key.absent == Absent::Refused);
    for key in required.filter(|key| !written.contains_key(key.name)) {
        let hint = format!("{} = {}. {}", key.name, key.example, key.meaning);
        problems.push(at.clone(), format!("{path}.{}", key.name), "is missing", Some(hint));
    }
}

/// The backups that a drive names have to exist, and what differs for one that it does not carry would have no effect.
fn check_names(file: &File, drive: &DriveFile, path: &str, problems: &mut Problems) {
    let known = |name: &BackupName| file.backups.iter().any(|backup| backup.name.get_ref() == name);
    let hint = |name: &BackupName| {
        let near = nearest(name.as_str(), file.backups.iter().map(|backup| backup.name.get_ref().as_str()));
        near.map(|near| format!("did you mean \"{near}\"?"))
    };
    let listed = drive.backups.as_deref().unwrap_or_default();
    for (index, name) in listed.iter().enumerate() {
        let label = name.get_ref();
        let twice = listed[..index].iter().any(|other| other.get_ref() == label);
        let (what, hint) = match (known(label), twice) {
            (false, _) => (format!("there is no [backups.{label}]"), hint(label)),
            (true, true) => (format!("\"{label}\" is named twice"), None),
            (true, false) => continue,
        };
        problems.push(name.span(), format!("{path}.backups"), what, hint);
    }
    for own in &drive.overrides {
        let label = own.name.get_ref();
        let key = format!("{path}.override.{label}");
        if !known(label) {
            problems.push(own.name.span(), key, format!("there is no [backups.{label}]"), hint(label));
        } else if drive.backups.is_some() && !listed.iter().any(|name| name.get_ref() == label) {
            problems.push(own.name.span(), key, "has no effect: the drive does not carry this backup", None);
        }
    }
}

fn resolve_backup(file: &BackupFile, pool: &PoolName, host: &str, problems: &mut Problems) -> Option<Backup> {
    let path = format!("backups.{}", file.name.get_ref());
    let source = file.source.as_ref().filter(|source| {
        let inside = source.get_ref().pool() == *pool;
        if inside {
            let what = format!("the source is in the pool of the drive itself, {pool}");
            problems.push(source.span(), format!("{path}.source"), what, None);
        }
        !inside
    });
    let target = resolve_target(file, pool, host, &path, problems);
    let (prune, own) = (retention::prune(file, &path, problems), retention::own(file, &path, problems));
    let backup = Backup::new(file.name.get_ref().to_string(), source?.get_ref().clone(), target?, prune?);
    let (own, own_keep) = own?;
    let backup = Backup { own, own_keep, ..backup };
    with_options(backup, file)
        .map_err(|error| problems.push(file.name.span(), path, error.to_string(), None))
        .ok()
}

fn resolve_target(
    file: &BackupFile,
    pool: &PoolName,
    host: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<DatasetName> {
    let written = file.target.as_ref()?;
    match target_on(pool, written.get_ref(), host) {
        Ok(target) => Some(target),
        Err(error) => {
            problems.push(written.span(), format!("{path}.target"), error.to_string(), None);
            None
        }
    }
}

/// What may be left out. The patterns compiled once already; that they still do is not taken for granted.
fn with_options(mut backup: Backup, file: &BackupFile) -> Result<Backup, globset::Error> {
    let SnapshotGlobs { include, exclude } = file.snapshots.clone().unwrap_or_default();
    let include = include.as_deref().map(texts);
    backup.datasets = DatasetFilter::new(&texts(file.exclude.as_deref().unwrap_or_default()))?;
    backup.snapshots = SnapshotFilter::new(include.as_deref(), &texts(&exclude))?;
    backup.protect = glob_set(&texts(file.protect.as_deref().unwrap_or_default()))?;
    backup.recursive = file.recursive.unwrap_or(backup.recursive);
    backup.send = file.send.unwrap_or(backup.send);
    backup.allow_plaintext = file.allow_plaintext.unwrap_or(backup.allow_plaintext);
    backup.history = file.history.unwrap_or(backup.history);
    backup.prune_limit = file.prune_limit.map_or(backup.prune_limit, |percent| percent.0);
    backup.grace = file.grace.map_or(backup.grace, |grace| grace.0);
    backup.properties = file.properties.clone().unwrap_or_default();
    backup.max_age = file.max_age.unwrap_or(AgeLimit::Never);
    Ok(backup)
}

pub(super) fn texts(globs: &[Glob]) -> Vec<String> {
    globs.iter().map(|glob| glob.0.clone()).collect()
}

/// Two backups that write to the same dataset would undo each other's work.
fn check_overlap(files: &[BackupFile], backups: &[Option<Backup>], problems: &mut Problems) {
    for (index, (file, backup)) in files.iter().zip(backups).enumerate() {
        let Some(backup) = backup else { continue };
        for other in backups[..index].iter().flatten() {
            let what = match (backup.target.below(&other.target), other.target.below(&backup.target)) {
                (Some(""), _) => format!("backups.{} has the same target on this drive", other.name),
                (Some(_), _) => {
                    format!("the target is inside that of backups.{}, {}", other.name, other.target)
                }
                (_, Some(_)) => {
                    format!("the target of backups.{}, {}, is inside this one", other.name, other.target)
                }
                (None, None) => continue,
            };
            let at = file.target.as_ref().map(Spanned::span).unwrap_or_default();
            problems.push(at, format!("backups.{}.target", backup.name), what, None);
        }
    }
}

/// A backup that no drive carries is not wrong, but hardly meant.
fn unused(file: &File) -> Vec<String> {
    let carried = |backup: &BackupFile, drive: &DriveFile| match &drive.backups {
        Some(listed) => listed.iter().any(|name| name.get_ref() == backup.name.get_ref()),
        None => true,
    };
    let unused = file.backups.iter().filter(|backup| !file.drives.iter().any(|drive| carried(backup, drive)));
    unused.map(|backup| format!("No drive carries backups.{}.", backup.name.get_ref())).collect()
}
