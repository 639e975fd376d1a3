//! What a job is asked to do: arguments and configuration put together, checked, plain data. It stands here and not
//! beside the command line, since jobs know nothing of that.

use std::time::Duration;

use super::settings::{Backup, Drive, PowerOff};
use crate::model::{Consents, DatasetName, Guid, LuksUuid, PoolName};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: progress and texts on standard error, results on standard output.
    Human,
    /// JSON on standard output, one object or one event a line; texts for people on standard error.
    Json,
}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only: `-q`.
    Quiet,
    /// What a person wants to know.
    Normal,
    /// Each command that is run: `-v`.
    Verbose,
    /// Everything: `-vv`.
    Debug,
}

/// What every request carries.
#[derive(Debug, Clone)]
pub struct Common {
    /// How results are printed.
    pub format: Format,
    /// How much is said.
    pub verbosity: Verbosity,
    /// How the user calls this program, with the configuration that was named.
    pub command: String,
    /// This machine's name.
    pub host: String,
    /// What is allowed but probably not meant in the configuration; for the first lines of the report.
    pub warnings: Vec<String>,
}

/// Whether the user named the drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// These, and one that is absent is worth waiting for or failing.
    Named,
    /// Nobody named any: all that are configured; the absent ones are left out.
    Connected,
}

/// How long to wait for a drive that is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nobody said: a little on a terminal, not at all elsewhere.
    Unsaid,
    /// Until it comes.
    Forever,
    /// At most this long; zero: not at all.
    For(Duration),
}

/// Which pools are exported at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Those that this run imported (S7).
    Ours,
    /// Also one that somebody else had imported before: `--eject`.
    Always,
}

/// `run`: the whole job.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// What every request carries.
    pub common: Common,
    /// Reduced to the backups that were asked for; `power_off` as the arguments say.
    pub drives: Vec<Drive>,
    /// Whether the user named them.
    pub selection: Selection,
    /// How long to wait for one that is absent.
    pub wait: Wait,
    /// Which pools are exported at the end.
    pub export: Export,
    /// Import a pool although this host used it last. At most one drive is in `drives` then.
    pub last_used_by: Option<String>,
    /// What may be destroyed. At most one drive is in `drives` when there is any.
    pub consents: Consents,
}

/// `plan`, and `run -n`: changes nothing.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// What every request carries.
    pub common: Common,
    /// Reduced to the backups that were asked for.
    pub drives: Vec<Drive>,
    /// Whether the user named them.
    pub selection: Selection,
    /// How long to wait for one that is absent.
    pub wait: Wait,
    /// Consents that the plan takes as given.
    pub consents: Consents,
}

/// `replicate`: one source to one target without a configuration.
#[derive(Debug, Clone)]
pub struct ReplicateRequest {
    /// What every request carries.
    pub common: Common,
    /// The pool of the target.
    pub pool: PoolName,
    /// Its guid, if the user gave it. Without it a name that two pools have is refused.
    pub guid: Option<Guid>,
    /// What is to be done, once the guid is known: [`Backup::policy`].
    pub backup: Backup,
    /// Whether the drive is powered off after its export.
    pub power_off: PowerOff,
    /// Change something, or only show the plan.
    pub mode: Mode,
    /// Import the pool although this host used it last.
    pub last_used_by: Option<String>,
    /// What may be destroyed.
    pub consents: Consents,
    /// What was typed, without consents: they are offered behind it.
    pub retry: String,
}

/// Act or show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Act,
    /// `-n`: show the plan, change nothing.
    Plan,
}

/// `status`: reads only.
#[derive(Debug, Clone)]
pub struct StatusRequest {
    /// What every request carries.
    pub common: Common,
    /// The drives that were named, or all.
    pub drives: Vec<Drive>,
}

/// `doctor`: reads only.
#[derive(Debug, Clone)]
pub struct DoctorRequest {
    /// What every request carries.
    pub common: Common,
    /// The drives that were named, or all.
    pub drives: Vec<Drive>,
    /// The pools of all drives in the configuration.
    pub known: Vec<Guid>,
    /// The LUKS containers of all of them.
    pub containers: Vec<LuksUuid>,
}

/// `restore --into`: a copy on the drive becomes a dataset again.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive.
    pub drive: Drive,
    /// Which of its backups.
    pub backup: Backup,
    /// The dataset that is made of it.
    pub into: DatasetName,
    /// `--from`: the snapshot, or the time, of which one of each dataset comes back. None: all of them.
    pub from: Option<String>,
    /// Whether it stays encrypted as it is.
    pub form: Form,
    /// How long to wait for the drive.
    pub wait: Wait,
    /// What was typed.
    pub retry: String,
}

/// In which form a copy comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it lies on the drive.
    Raw,
    /// `--decrypted`: encrypted as what is above its new place.
    Decrypted {
        /// `--allow-plaintext`: also where that is not encrypted.
        allow_plaintext: bool,
    },
}

/// `verify`: the whole drive is read, or files of it are compared with those of the source.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive; `power_off` as the arguments say.
    pub drive: Drive,
    /// How long to wait for the drive.
    pub wait: Wait,
    /// What was typed.
    pub retry: String,
    /// `--drill`: how much is read of the files, instead of the scrub. Without a seed one is chosen.
    pub drill: Option<DrillRequest>,
}

/// Which files of a drive are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillRequest {
    /// `--all`
    All,
    /// Some; with `--seed` the same as another time.
    Some(Option<u64>),
}

/// `list`: what is here and what is there.
#[derive(Debug, Clone)]
pub struct ListRequest {
    /// What every request carries.
    pub common: Common,
    /// Reduced to the backups that were asked for.
    pub drives: Vec<Drive>,
    /// Whether the user named them.
    pub selection: Selection,
}

/// `eject`: export and power off, nothing else.
#[derive(Debug, Clone)]
pub struct EjectRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive; `power_off` as the arguments say.
    pub drive: Drive,
}
