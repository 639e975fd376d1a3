//! `run`, `plan`, `replicate`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::config::{BackupName, DriveName, Glob, parse_duration};
use crate::model::{Appeared, DatasetName, Guid, HistoryMode, Prune, SendMode};

/// Drives and backups that are meant.
#[derive(Debug, Args)]
pub struct Which {
    /// Names of drives in the configuration [default: every one that is connected]
    #[arg(value_name = "DRIVE")]
    pub drives: Vec<DriveName>,
    /// Only this one of its backups; repeatable
    #[arg(long = "backup", value_name = "NAME")]
    pub backups: Vec<BackupName>,
    /// Wait for an absent drive: without end, or 10m
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub wait: Option<Option<Duration>>,
    /// Take a snapshot first, as with snapshot = "before-run"
    #[arg(long)]
    pub snapshot: bool,
}

/// What is accepted for this one run.
#[derive(Debug, Args)]
pub struct Consent {
    /// This once, import although HOST used the pool last
    #[arg(long, value_name = "HOST", value_parser = host_name)]
    pub last_used_by: Option<String>,
    /// This once, prune DATASET beyond prune-limit, or after an alarm
    #[arg(long, value_name = "DATASET")]
    pub accept_source_loss: Vec<DatasetName>,
    /// This once, destroy what only the drive has in DATASET
    #[arg(long, value_name = "DATASET")]
    pub rollback_target: Vec<DatasetName>,
}

/// `zferry run`
#[derive(Debug, Args)]
pub struct Run {
    /// Drives and backups.
    #[command(flatten)]
    pub which: Which,
    /// Change nothing: the same as `plan`
    #[arg(short = 'n', long, conflicts_with = "last_used_by")]
    pub dry_run: bool,
    /// Export also a pool that was imported before
    #[arg(long)]
    pub eject: bool,
    /// Leave the drive powered on
    #[arg(long)]
    pub no_power_off: bool,
    /// As the udev rule starts it: once for each plugging in
    #[arg(long, requires = "pool_guid")]
    pub triggered: bool,
    /// The drive with this pool (or LUKS container, by UUID), if any
    #[arg(long, value_name = "GUID", requires = "triggered", conflicts_with_all = ["drives", "backups", "wait", "snapshot", "dry_run", "eject", "no_power_off", "last_used_by", "accept_source_loss", "rollback_target"])]
    pub pool_guid: Option<Appeared>,
    /// Consents.
    #[command(flatten)]
    pub consent: Consent,
}

/// `zferry plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// Drives and backups.
    #[command(flatten)]
    pub which: Which,
    /// Plan as if `run` were given this consent
    #[arg(long, value_name = "DATASET")]
    pub accept_source_loss: Vec<DatasetName>,
    /// Plan as if `run` were given this consent
    #[arg(long, value_name = "DATASET")]
    pub rollback_target: Vec<DatasetName>,
}

/// `zferry replicate`
#[derive(Debug, Args)]
pub struct Replicate {
    /// The dataset to back up
    #[arg(value_name = "SOURCE")]
    pub source: DatasetName,
    /// Its copy, below another pool, which is imported if need be
    #[arg(value_name = "TARGET")]
    pub target: DatasetName,
    /// Guid of TARGET's pool, if two have its name
    #[arg(long, value_name = "GUID")]
    pub pool_guid: Option<Guid>,
    /// Back up the datasets below SOURCE too
    #[arg(short, long)]
    pub recursive: bool,
    /// Only the datasets below SOURCE, not SOURCE itself
    #[arg(long, requires = "recursive")]
    pub skip_parent: bool,
    /// Leave out datasets below SOURCE; repeatable
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<Glob>,
    /// Send only snapshots of such names; repeatable
    #[arg(long, value_name = "GLOB")]
    pub include_snapshots: Vec<Glob>,
    /// Send no snapshots of such names; repeatable
    #[arg(long, value_name = "GLOB")]
    pub exclude_snapshots: Vec<Glob>,
    /// Which selected snapshots: all or newest
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = HistoryArg::All)]
    pub history: HistoryArg,
    /// mirror what was destroyed at the source, or never
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = PruneArg::Never)]
    pub prune: PruneArg,
    /// raw: as encrypted as it is; or plain
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = SendArg::Raw)]
    pub send: SendArg,
    /// Take a snapshot of SOURCE first
    #[arg(long)]
    pub snapshot: bool,
    /// Also send datasets that are not encrypted
    #[arg(long)]
    pub allow_plaintext: bool,
    /// Power the drive off once the export is confirmed
    #[arg(long)]
    pub power_off: bool,
    /// Show what would be done and why, and change nothing
    #[arg(short = 'n', long, conflicts_with = "last_used_by")]
    pub dry_run: bool,
    /// Consents.
    #[command(flatten)]
    pub consent: Consent,
}

/// `--history`
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "a comment here would become help text and push the help off the screen")]
pub enum HistoryArg {
    All,
    Newest,
}

/// `--prune`
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "a comment here would become help text and push the help off the screen")]
pub enum PruneArg {
    Mirror,
    Never,
}

/// `--send`
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "a comment here would become help text and push the help off the screen")]
pub enum SendArg {
    Raw,
    Plain,
}

impl From<HistoryArg> for HistoryMode {
    fn from(typed: HistoryArg) -> Self {
        match typed {
            HistoryArg::All => Self::All,
            HistoryArg::Newest => Self::Newest,
        }
    }
}

impl From<PruneArg> for Prune {
    fn from(typed: PruneArg) -> Self {
        match typed {
            PruneArg::Mirror => Self::Mirror,
            PruneArg::Never => Self::Never,
        }
    }
}

impl From<SendArg> for SendMode {
    fn from(typed: SendArg) -> Self {
        match typed {
            SendArg::Raw => Self::Raw,
            SendArg::Plain => Self::Plain,
        }
    }
}

/// The name of a computer: it is compared with the one in the pool's label, and printed.
pub(super) fn host_name(text: &str) -> Result<String, &'static str> {
    let bad =
        text.is_empty() || text.len() > 255 || text.chars().any(|c| c.is_control() || c.is_whitespace());
    if bad { Err("not the name of a computer") } else { Ok(text.to_owned()) }
}
