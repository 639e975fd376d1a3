//! The command line as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::{BackupName, DriveName, Glob, parse_duration};
use crate::model::{DatasetName, Guid, HistoryMode, Prune, SendMode};

/// Backs up encrypted ZFS pools to removable drives
#[derive(Debug, Parser)]
#[command(
    name = "zferry",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    before_help = "Example: sudo zferry run t7",
    after_help = "Exit codes: 0 done, 1 a dataset failed or was refused, 2 usage, 69 ZFS missing, 70 internal error,\n\
                  75 not now, 77 not root, 78 configuration, 130 and 143 interrupted"
)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// The configuration; also $ZFERRY_CONFIG [default: /etc/zferry/config.toml]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ZFERRY_CONFIG",
        hide_env = true,
        help_heading = "Options of every command"
    )]
    pub config: Option<PathBuf>,
    /// Print results as JSON on standard output
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub json: bool,
    /// Say more: each command that is run; twice: everything
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Options of every command")]
    pub verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Options of every command")]
    pub quiet: bool,
}

/// What zferry can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import, send, prune, check, export, power off: all of it
    #[command(visible_alias = "backup", before_help = "Example: sudo zferry run t7")]
    Run(Run),
    /// Show what `run` would do and why, and change nothing
    #[command(before_help = "Example: sudo zferry plan t7")]
    Plan(Plan),
    /// Back up one dataset without a configuration
    #[command(
        before_help = "Example: sudo zferry replicate --recursive --prune mirror --power-off rpool/nixos/home backup/eds"
    )]
    Replicate(Replicate),
    /// Show how old each drive's backups are, also while the drive is away
    #[command(before_help = "Example: zferry status")]
    Status(Status),
    /// Export a drive's pool and power the drive off, nothing else
    #[command(visible_alias = "export", before_help = "Example: sudo zferry eject t7")]
    Eject(Eject),
    /// Check, show or start a configuration
    #[command(before_help = "Example: zferry config check")]
    Config {
        /// Which of them.
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// `zferry config …`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with the configuration
    #[command(before_help = "Example: zferry --config new.toml config check")]
    Check,
    /// Print what holds, and which line of the file or which default it comes from
    #[command(before_help = "Example: zferry config show")]
    Show,
    /// Print a commented configuration to start from
    #[command(before_help = "Example: zferry config example | sudo tee /etc/zferry/config.toml")]
    Example,
}

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

/// `zferry status`
#[derive(Debug, Args)]
pub struct Status {
    /// Names of drives in the configuration [default: all]
    #[arg(value_name = "DRIVE")]
    pub drives: Vec<DriveName>,
}

/// `zferry eject`
#[derive(Debug, Args)]
pub struct Eject {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// Leave the drive powered on
    #[arg(long)]
    pub no_power_off: bool,
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
fn host_name(text: &str) -> Result<String, &'static str> {
    let bad =
        text.is_empty() || text.len() > 255 || text.chars().any(|c| c.is_control() || c.is_whitespace());
    if bad { Err("not the name of a computer") } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_name_that_a_command_could_misread_is_not_an_argument() {
        for bad in [
            &["run", "a@b"][..],
            &["run", "--", "-t7"],
            &["run", "--backup", "a/b"],
            &["replicate", "a@b", "c/d"],
            &["replicate", "a", "c/d#e"],
            &["replicate", "a", "c/%d"],
            &["replicate", "a\nb", "c/d"],
            &["replicate", "--", "-a", "c/d"],
            &["replicate", "--exclude", "[", "a", "c/d"],
            &["replicate", "--pool-guid", "0x1", "a", "c/d"],
            &["replicate", "--skip-parent", "a", "c/d"],
            &["run", "--last-used-by", ""],
            &["run", "--wait=soon"],
            &["run", "-n", "--last-used-by", "x"],
            &["plan", "--last-used-by", "x"],
            &["eject"],
        ] {
            let typed = ["zferry"].iter().chain(bad);
            assert_eq!(Arguments::try_parse_from(typed).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn waiting_takes_a_time_only_behind_an_equals_sign() {
        for (typed, expected) in [
            (&["zferry", "run", "t7"][..], None),
            (&["zferry", "run", "--wait", "t7"], Some(None)),
            (&["zferry", "run", "--wait=10m", "t7"], Some(Some(Duration::from_secs(600)))),
        ] {
            let Command::Run(run) = Arguments::try_parse_from(typed).unwrap().command else {
                panic!("{typed:?}")
            };
            assert_eq!((run.which.wait, run.which.drives.len()), (expected, 1), "{typed:?}");
        }
    }
}
