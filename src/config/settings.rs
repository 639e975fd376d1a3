//! What the configuration says, complete and checked: every value here is one that the engine can act on.

use std::path::PathBuf;
use std::time::Duration;

use globset::GlobSet;

use super::age::AgeLimit;
use super::file::File;
use super::name::DriveName;
use super::rescued::rescued;
use super::retention::OWN as OWN_KEEP;
use super::streams::Stream;
use crate::model::{
    Alerts, Appeared, Consents, DatasetFilter, DatasetName, Guid, HistoryMode, Keep, Luks, Policy, PoolName,
    Prune, SendMode, SnapshotFilter,
};

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file that it comes from.
    pub file: PathBuf,
    /// In the order of the file. None of them: there are streams.
    pub drives: Vec<Drive>,
    /// What is saved to files, in the order of the file.
    pub streams: Vec<Stream>,
    /// What is allowed but probably not meant; full sentences.
    pub warnings: Vec<String>,
}

/// Whether a drive is powered off after its export was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerOff {
    /// It is.
    Yes,
    /// It stays on.
    No,
}

impl From<bool> for PowerOff {
    fn from(wanted: bool) -> Self {
        if wanted { Self::Yes } else { Self::No }
    }
}

/// How long a run waits for a drive that was pulled out, where nothing else is said.
pub const REPLUG_WAIT: Duration = Duration::from_secs(10 * 60);
/// How soon after a complete run another one may start by itself, unless the configuration says otherwise.
pub const MIN_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// A removable drive, known by the guid of its pool.
#[derive(Debug, Clone)]
pub struct Drive {
    /// What people call it.
    pub name: DriveName,
    /// The pool's name.
    pub pool: PoolName,
    /// The pool's identity.
    pub guid: Guid,
    /// The LUKS container that the pool lies in.
    pub luks: Option<Luks>,
    /// Whether it is powered off at the end.
    pub power_off: PowerOff,
    /// How long a run waits for it when it was pulled out; none: not at all.
    pub replug_wait: Duration,
    /// How old its last scrub may be before a run scrubs it; nothing: however old.
    pub scrub: Option<Duration>,
    /// With a rescue file system: the configuration as that one gets it.
    pub rescue: Option<String>,
    /// How long ago a person may have proved last that the passphrase opens it; nothing: however long.
    pub rehearse: Option<Duration>,
    /// How soon after a complete run another one may start by itself.
    pub min_interval: Duration,
    /// How old its last complete run may be before `check` raises an alert; nothing: however old.
    pub warn_after: Option<Duration>,
    /// Who is told how its runs went.
    pub alerts: Alerts,
    /// What it carries, in the order of the file; at least one.
    pub backups: Vec<Backup>,
}

impl Settings {
    /// Gives each drive that has a rescue file system what that one is to hold of the configuration.
    pub(super) fn write_out(&mut self, file: &File, text: &str, host: &str) {
        for drive in &mut self.drives {
            let written = file.drives.iter().find(|written| *written.name.get_ref() == drive.name);
            drive.rescue = written
                .filter(|written| written.rescue == Some(true))
                .map(|written| rescued(file, written, text, host));
        }
    }
}

impl Drive {
    /// Whether this is what was plugged in.
    pub fn is(&self, appeared: &Appeared) -> bool {
        match appeared {
            Appeared::Pool(guid) => self.guid == *guid,
            Appeared::Container(uuid) => self.luks.as_ref().is_some_and(|luks| luks.uuid == *uuid),
        }
    }

    /// What the engine is to do, with the consents of this run.
    pub fn policies(&self, consents: &Consents) -> Vec<Policy> {
        self.backups.iter().map(|backup| backup.policy(self.guid, consents)).collect()
    }
}

/// A source and its copy on one drive.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its name in the configuration, or the source's name.
    pub name: String,
    /// Top dataset of the source.
    pub source: DatasetName,
    /// Top dataset of the copy, pool included.
    pub target: DatasetName,
    /// Whether the datasets below the source are backed up too.
    pub recursive: bool,
    /// Only the datasets below the source, not the source itself.
    pub skip_parent: bool,
    /// Datasets that are left out.
    pub datasets: DatasetFilter,
    /// Snapshots that are sent.
    pub snapshots: SnapshotFilter,
    /// Raw or plain.
    pub send: SendMode,
    /// Whether datasets that are not encrypted may land on the drive.
    pub allow_plaintext: bool,
    /// All selected snapshots or the newest.
    pub history: HistoryMode,
    /// What happens to old snapshots on the drive.
    pub prune: Prune,
    /// Names that are never pruned.
    pub protect: GlobSet,
    /// The largest share of a dataset's snapshots that one run destroys, in percent.
    pub prune_limit: u8,
    /// For how long what vanished from the source is kept.
    pub grace: Duration,
    /// Whether a snapshot is taken before each run, and how many of those the source keeps.
    pub own: Option<Keep>,
    /// The same for a run that is told to take one.
    pub own_keep: Keep,
    /// For the top dataset of the copy, at its first receive.
    pub properties: Vec<(String, String)>,
    /// From which age of the source's newest snapshot on the user is warned.
    pub max_age: AgeLimit,
}

impl Backup {
    /// One backup with nothing but what has to be said; the rest is at its default.
    pub fn new(name: String, source: DatasetName, target: DatasetName, prune: Prune) -> Self {
        Self {
            name,
            source,
            target,
            recursive: true,
            skip_parent: false,
            datasets: DatasetFilter::default(),
            snapshots: SnapshotFilter::default(),
            send: SendMode::Raw,
            allow_plaintext: false,
            history: HistoryMode::All,
            prune,
            protect: GlobSet::empty(),
            prune_limit: 60,
            grace: Duration::ZERO,
            own: None,
            own_keep: OWN_KEEP,
            properties: Vec::new(),
            max_age: AgeLimit::Never,
        }
    }

    /// What the engine is to do on the drive whose pool has this guid.
    pub fn policy(&self, drive: Guid, consents: &Consents) -> Policy {
        Policy {
            name: self.name.clone(),
            drive,
            source: self.source.clone(),
            target: self.target.clone(),
            recursive: self.recursive,
            skip_parent: self.skip_parent,
            datasets: self.datasets.clone(),
            snapshots: self.snapshots.clone(),
            send: self.send,
            allow_plaintext: self.allow_plaintext,
            history: self.history,
            prune: self.prune,
            protect: self.protect.clone(),
            prune_limit: self.prune_limit,
            grace: self.grace,
            own: self.own,
            properties: self.properties.clone(),
            max_age: self.max_age.limit(),
            consents: consents.clone(),
        }
    }
}

/// Why a name below the drive's pool cannot be a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing was written.
    #[error("the target is empty; a copy needs a dataset of its own below the pool")]
    Empty,
    /// `/eds` or `eds/`.
    #[error("the target {0:?} begins or ends with “/”; write the name below the pool, such as \"eds\"")]
    Slash(String),
    /// `backup/eds` on the pool `backup`.
    #[error(
        "the target begins with the name of the drive's pool, which is put in front anyway; write {rest:?}"
    )]
    PoolInFront {
        /// What is left without it.
        rest: String,
    },
    /// Not a dataset name.
    #[error(transparent)]
    Name(#[from] crate::model::NameError),
}

/// Puts the drive's pool in front of a target, and this machine's name where `{host}` stands.
///
/// # Errors
/// When that does not give the name of a dataset below the pool.
pub fn target_on(pool: &PoolName, written: &str, host: &str) -> Result<DatasetName, TargetError> {
    let relative = written.replace("{host}", host);
    if relative.is_empty() {
        return Err(TargetError::Empty);
    }
    if relative.starts_with('/') || relative.ends_with('/') {
        return Err(TargetError::Slash(relative.chars().take(80).collect()));
    }
    if let Some(rest) = relative.strip_prefix(pool.as_str()) {
        let rest = rest.strip_prefix('/');
        if let Some(rest) = rest.or_else(|| (relative == pool.as_str()).then_some("eds")) {
            return Err(TargetError::PoolInFront { rest: rest.to_owned() });
        }
    }
    Ok(DatasetName::root_of(pool).join(&relative)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_dataset_below_the_pool() {
        let pool: PoolName = "backup".parse().unwrap();
        for (written, whole) in [
            ("eds", "backup/eds"),
            ("{host}/eds", "backup/laptop/eds"),
            ("backups", "backup/backups"),
            ("eds/backup", "backup/eds/backup"),
        ] {
            assert_eq!(target_on(&pool, written, "laptop").unwrap().as_str(), whole);
        }
        let long = "a".repeat(250);
        for bad in [
            "",
            "/",
            "/eds",
            "eds/",
            "..",
            "a/../b",
            "a//b",
            "backup",
            "backup/eds",
            "a@b",
            "{user}",
            "-a",
            "a\n",
            &long,
        ] {
            assert!(target_on(&pool, bad, "laptop").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_pools_name_in_front_is_not_guessed_away() {
        let error = target_on(&"backup".parse().unwrap(), "backup/eds", "x").unwrap_err();
        assert_eq!(error, TargetError::PoolInFront { rest: "eds".to_owned() });
    }
}
