//! From what was typed, and the configuration, to what a job is asked to do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::failure::Failure;
use super::{args, quoted};
use crate::config::request::{
    Common, DoctorRequest, DrillRequest, EjectRequest, Export, Form, Format, ListRequest, Mode, PlanRequest,
    ReplicateRequest, RestoreRequest, RunRequest, Selection, StatusRequest, Verbosity, VerifyRequest, Wait,
};
use crate::config::{Backup, BackupName, Drive, DriveName, Glob, PowerOff, Settings, nearest};
use crate::model::{Consents, DatasetFilter, DatasetName, HistoryMode, Prune, SendMode, SnapshotFilter};

impl From<&args::Global> for Verbosity {
    fn from(global: &args::Global) -> Self {
        match global.verbose {
            _ if global.quiet => Self::Quiet,
            0 => Self::Normal,
            1 => Self::Verbose,
            _ => Self::Debug,
        }
    }
}

/// What every request carries.
pub fn common(global: &args::Global, host: &str, warnings: Vec<String>) -> Common {
    let format = if global.json { Format::Json } else { Format::Human };
    let named = global.config.as_ref().map(|path| format!(" --config {}", quoted(&path.to_string_lossy())));
    let command = format!("zferry{}", named.unwrap_or_default());
    Common { format, verbosity: Verbosity::from(global), command, host: host.to_owned(), warnings }
}

/// `run`
///
/// # Errors
/// When a name is not configured, or a consent is for something else than this run does.
pub fn run(typed: args::Run, settings: Settings, common: Common) -> Result<RunRequest, Failure> {
    let wait = wait(&typed.which);
    let (mut drives, selection) = select(&typed.which.drives, &typed.which.backups, settings)?;
    take_snapshots(&typed.which, &mut drives);
    if typed.no_power_off {
        drives.iter_mut().for_each(|drive| drive.power_off = PowerOff::No);
    }
    if typed.consent.last_used_by.is_some() {
        require_one(&drives, "--last-used-by")?;
    }
    let consents = consents(typed.consent.accept_source_loss, typed.consent.rollback_target, &drives)?;
    let export = if typed.eject { Export::Always } else { Export::Ours };
    let last_used_by = typed.consent.last_used_by;
    Ok(RunRequest { common, drives, selection, wait, export, last_used_by, consents })
}

/// `plan`, and `run -n`
///
/// # Errors
/// As [`run`].
pub fn plan(typed: args::Plan, settings: Settings, common: Common) -> Result<PlanRequest, Failure> {
    let wait = wait(&typed.which);
    let (mut drives, selection) = select(&typed.which.drives, &typed.which.backups, settings)?;
    take_snapshots(&typed.which, &mut drives);
    let consents = consents(typed.accept_source_loss, typed.rollback_target, &drives)?;
    Ok(PlanRequest { common, drives, selection, wait, consents })
}

/// `status`
///
/// # Errors
/// When a drive is not configured.
pub fn status(typed: &args::Status, settings: Settings, common: Common) -> Result<StatusRequest, Failure> {
    let (drives, _) = select(&typed.drives, &[], settings)?;
    Ok(StatusRequest { common, drives })
}

/// `doctor`
///
/// # Errors
/// When a drive is not configured.
pub fn doctor(typed: &args::Doctor, settings: Settings, common: Common) -> Result<DoctorRequest, Failure> {
    let known = settings.drives.iter().map(|drive| drive.guid).collect();
    let luks = settings.drives.iter().filter_map(|drive| drive.luks.as_ref());
    let containers = luks.map(|luks| luks.uuid.clone()).collect();
    let (drives, _) = select(&typed.drives, &[], settings)?;
    Ok(DoctorRequest { common, drives, known, containers })
}

/// `restore --into`
///
/// # Errors
/// When the drive or the backup is not configured, or the drive itself would receive.
pub fn restore(typed: args::Restore, settings: Settings, common: Common) -> Result<RestoreRequest, Failure> {
    let (mut drives, _) =
        select(std::slice::from_ref(&typed.drive), std::slice::from_ref(&typed.backup), settings)?;
    let none = || Failure::Internal(anyhow::anyhow!("{} was found and is not there", typed.drive));
    let mut drive = drives.pop().ok_or_else(none)?;
    let backup = drive.backups.pop().ok_or_else(none)?;
    let into = typed.into.clone().ok_or_else(none)?;
    if into.pool() == drive.pool {
        return Err(Failure::Usage {
            what: format!("{into} is on the drive itself"),
            hint: "name a dataset in a pool of this computer".to_owned(),
        });
    }
    if into.parent().is_none() {
        return Err(Failure::Usage {
            what: format!("{} is a pool; what is restored needs a dataset of its own below it", into),
            hint: format!("{}/{}", into, backup.target.leaf()),
        });
    }
    // What was sent plain lies there decrypted, and should not lie on the computer like that.
    let form = match typed.decrypted || backup.send == SendMode::Plain {
        true => Form::Decrypted { allow_plaintext: typed.allow_plaintext },
        false => Form::Raw,
    };
    let retry = restore_again(&typed, &common);
    Ok(RestoreRequest {
        common,
        drive,
        backup,
        into,
        from: typed.from,
        form,
        wait: waiting(typed.wait),
        retry,
    })
}

/// `restore --into` as it was typed.
fn restore_again(typed: &args::Restore, common: &Common) -> String {
    let mut words = vec![format!("{} restore {} {}", common.command, typed.drive, typed.backup)];
    words.extend(typed.into.as_ref().map(|into| format!("--into {}", quoted(into.as_str()))));
    words.extend(typed.from.as_ref().map(|from| format!("--from {}", quoted(from))));
    let flags = [(typed.decrypted, "--decrypted"), (typed.allow_plaintext, "--allow-plaintext")];
    words.extend(flags.into_iter().filter(|(said, _)| *said).map(|(_, flag)| flag.to_owned()));
    words.join(" ")
}

/// `verify`
///
/// # Errors
/// When the drive is not configured.
pub fn verify(typed: &args::Verify, settings: Settings, common: Common) -> Result<VerifyRequest, Failure> {
    let mut drive = find(&typed.drive, &settings.drives)?.clone();
    if typed.no_power_off {
        drive.power_off = PowerOff::No;
    }
    let retry = format!("{} verify {}", common.command, drive.name);
    let drill = match (typed.drill, typed.all) {
        (false, _) => None,
        (true, true) => Some(DrillRequest::All),
        (true, false) => Some(DrillRequest::Some(typed.seed)),
    };
    Ok(VerifyRequest { common, drive, wait: waiting(typed.wait), retry, drill })
}

/// `list`
///
/// # Errors
/// When a drive or a backup is not configured.
pub fn list(typed: args::List, settings: Settings, common: Common) -> Result<ListRequest, Failure> {
    let drives: Vec<_> = typed.drive.into_iter().collect();
    let backups: Vec<_> = typed.backup.into_iter().collect();
    let (drives, selection) = select(&drives, &backups, settings)?;
    Ok(ListRequest { common, drives, selection })
}

/// `eject`
///
/// # Errors
/// When the drive is not configured.
pub fn eject(typed: &args::Eject, settings: Settings, common: Common) -> Result<EjectRequest, Failure> {
    let mut drive = find(&typed.drive, &settings.drives)?.clone();
    if typed.no_power_off {
        drive.power_off = PowerOff::No;
    }
    Ok(EjectRequest { common, drive })
}

/// `replicate`
///
/// # Errors
/// When the target is no dataset of its own in another pool, or a consent is for something else.
pub fn replicate(typed: args::Replicate, common: Common) -> Result<ReplicateRequest, Failure> {
    let pool = typed.target.pool();
    if typed.target.parent().is_none() {
        return Err(Failure::Usage {
            what: format!("{} is a pool; the copy needs a dataset of its own below it", typed.target),
            hint: format!("{}/{}", typed.target, typed.source.leaf()),
        });
    }
    if typed.source.pool() == pool {
        return Err(Failure::Usage {
            what: format!("source and target are both in the pool {pool}"),
            hint: "name a target in the pool of the removable drive".to_owned(),
        });
    }
    let retry = retry(&typed);
    let consents = Consents {
        source_loss: typed.consent.accept_source_loss.clone(),
        rollback: typed.consent.rollback_target.clone(),
    };
    check_below(&consents, &[&typed.target])?;
    let mode = if typed.dry_run { Mode::Plan } else { Mode::Act };
    let (guid, power_off) = (typed.pool_guid, PowerOff::from(typed.power_off));
    let last_used_by = typed.consent.last_used_by.clone();
    let backup = backup(typed).map_err(|error| Failure::Internal(error.into()))?;
    Ok(ReplicateRequest { common, pool, guid, backup, power_off, mode, last_used_by, consents, retry })
}

/// The patterns compiled when they were parsed; an error now is a mistake of ours.
fn backup(typed: args::Replicate) -> Result<Backup, globset::Error> {
    let texts = |globs: Vec<Glob>| globs.into_iter().map(|glob| glob.0).collect::<Vec<_>>();
    let include = (!typed.include_snapshots.is_empty()).then(|| texts(typed.include_snapshots));
    Ok(Backup {
        recursive: typed.recursive,
        skip_parent: typed.skip_parent,
        datasets: DatasetFilter::new(&texts(typed.exclude))?,
        snapshots: SnapshotFilter::new(include.as_deref(), &texts(typed.exclude_snapshots))?,
        own: typed.snapshot.then_some(crate::config::OWN_KEEP),
        send: typed.send.into(),
        allow_plaintext: typed.allow_plaintext,
        history: typed.history.into(),
        ..Backup::new(typed.source.to_string(), typed.source, typed.target, typed.prune.into())
    })
}

/// `--snapshot`, where the configuration does not say so already.
fn take_snapshots(which: &args::Which, drives: &mut [Drive]) {
    for backup in drives.iter_mut().flat_map(|drive| &mut drive.backups).filter(|_| which.snapshot) {
        backup.own = backup.own.or(Some(backup.own_keep));
    }
}

fn wait(which: &args::Which) -> Wait {
    waiting(which.wait)
}

/// One drive, with the backups that are meant.
pub(super) fn one(name: &DriveName, backups: &[BackupName], settings: Settings) -> Result<Drive, Failure> {
    let (mut drives, _) = select(std::slice::from_ref(name), backups, settings)?;
    drives.pop().ok_or_else(|| Failure::Internal(anyhow::anyhow!("{name} was found and is not there")))
}

pub(super) fn waiting(typed: Option<Option<Duration>>) -> Wait {
    match typed {
        None => Wait::Unsaid,
        Some(None) => Wait::Forever,
        Some(Some(time)) => Wait::For(time),
    }
}

/// The drives that are meant, each with the backups that are meant.
pub(super) fn select(
    names: &[DriveName],
    backups: &[BackupName],
    settings: Settings,
) -> Result<(Vec<Drive>, Selection), Failure> {
    let (mut drives, selection) = if names.is_empty() {
        (settings.drives, Selection::Connected)
    } else {
        let mut seen = BTreeSet::new();
        let named = names.iter().filter(|name| seen.insert(*name));
        let found: Result<Vec<_>, _> = named.map(|name| find(name, &settings.drives).cloned()).collect();
        (found?, Selection::Named)
    };
    for name in backups {
        let carried = |drive: &Drive| drive.backups.iter().any(|backup| backup.name == name.as_str());
        let lacking = match selection {
            Selection::Named => drives.iter().find(|drive| !carried(drive)),
            Selection::Connected => drives.first().filter(|_| !drives.iter().any(carried)),
        };
        if let Some(drive) = lacking {
            let all: Vec<_> = drive.backups.iter().map(|backup| backup.name.as_str()).collect();
            let what = format!("the drive {} carries no backup {name}", drive.name);
            return Err(Failure::Usage { what, hint: format!("one of its backups: {}", all.join(", ")) });
        }
    }
    if !backups.is_empty() {
        for drive in &mut drives {
            drive.backups.retain(|backup| backups.iter().any(|name| name.as_str() == backup.name));
        }
        drives.retain(|drive| !drive.backups.is_empty());
    }
    Ok((drives, selection))
}

fn find<'a>(name: &DriveName, drives: &'a [Drive]) -> Result<&'a Drive, Failure> {
    drives.iter().find(|drive| drive.name == *name).ok_or_else(|| {
        let all: Vec<_> = drives.iter().map(|drive| drive.name.as_str()).collect();
        let hint = match nearest(name.as_str(), all.iter().copied()) {
            Some(near) => near.to_owned(),
            None => format!("one of the drives that are: {}", all.join(", ")),
        };
        Failure::Usage { what: format!("no drive {name} is configured"), hint }
    })
}

/// Dataset names mean something on one drive only: two drives may both have a `backup/eds`.
fn consents(
    source_loss: Vec<DatasetName>,
    rollback: Vec<DatasetName>,
    drives: &[Drive],
) -> Result<Consents, Failure> {
    let consents = Consents { source_loss, rollback };
    if let Some((flag, _)) = given(&consents).next() {
        require_one(drives, flag)?;
        let targets: Vec<_> =
            drives.iter().flat_map(|drive| &drive.backups).map(|backup| &backup.target).collect();
        check_below(&consents, &targets)?;
    }
    Ok(consents)
}

/// Each dataset that a consent was given for, with the option.
fn given(consents: &Consents) -> impl Iterator<Item = (&'static str, &DatasetName)> {
    let loss = consents.source_loss.iter().map(|dataset| ("--accept-source-loss", dataset));
    loss.chain(consents.rollback.iter().map(|dataset| ("--rollback-target", dataset)))
}

fn require_one(drives: &[Drive], flag: &str) -> Result<(), Failure> {
    if drives.len() == 1 {
        return Ok(());
    }
    let what = format!("{flag} is a consent for one drive, and {} are meant", drives.len());
    Err(Failure::Usage { what, hint: format!("zferry run {flag}=… DRIVE") })
}

/// A consent for a dataset that the run does not touch is a mistyped one.
fn check_below(consents: &Consents, targets: &[&DatasetName]) -> Result<(), Failure> {
    let stray = |dataset: &DatasetName| !targets.iter().any(|target| dataset.below(target).is_some());
    match given(consents).find(|(_, dataset)| stray(dataset)) {
        None => Ok(()),
        Some((flag, stray)) => {
            let all: Vec<_> = targets.iter().map(|target| target.as_str()).collect();
            let what = format!("{flag}={stray}: this run does not write to that dataset");
            Err(Failure::Usage { what, hint: format!("a dataset at or below {}", all.join(", ")) })
        }
    }
}

/// `replicate` as it was typed, for consents to be put behind: without those, and without `-n`.
fn retry(typed: &args::Replicate) -> String {
    let mut words = vec!["zferry replicate".to_owned()];
    let flags = [
        (typed.recursive, "--recursive"),
        (typed.skip_parent, "--skip-parent"),
        (typed.snapshot, "--snapshot"),
        (typed.allow_plaintext, "--allow-plaintext"),
        (typed.power_off, "--power-off"),
    ];
    words.extend(flags.into_iter().filter(|(said, _)| *said).map(|(_, flag)| flag.to_owned()));
    words.extend(typed.pool_guid.map(|guid| format!("--pool-guid={guid}")));
    let globs = [
        ("--exclude", &typed.exclude),
        ("--include-snapshots", &typed.include_snapshots),
        ("--exclude-snapshots", &typed.exclude_snapshots),
    ];
    for (flag, globs) in globs {
        words.extend(globs.iter().map(|glob| format!("{flag}='{}'", glob.0.replace('\'', "'\\''"))));
    }
    if HistoryMode::from(typed.history) == HistoryMode::Newest {
        words.push("--history=newest".to_owned());
    }
    if Prune::from(typed.prune) == Prune::Mirror {
        words.push("--prune=mirror".to_owned());
    }
    if SendMode::from(typed.send) == SendMode::Plain {
        words.push("--send=plain".to_owned());
    }
    words.extend([&typed.source, &typed.target].map(|name| quoted(name.as_str())));
    words.join(" ")
}

#[cfg(test)]
mod tests;
