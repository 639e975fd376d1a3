//! The command line as typed.

mod backup;
mod drives;
mod files;
mod looking;
mod restore;
mod stream;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub use backup::{Consent, HistoryArg, Plan, PruneArg, Replicate, Run, SendArg, Which};
pub use drives::{Adopt, Check, Doctor, Eject, Init, Status};
pub use files::{Close, Open, Pause};
pub use looking::{Diff, List, Log, Rehearse, RescuePage, Verify};
pub use restore::Restore;
pub use stream::StreamCommand;

/// Backs up encrypted ZFS pools to removable drives
#[derive(Debug, Parser)]
#[command(
    name = "zferry",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    before_help = "Example: sudo zferry run t7",
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 usage, 69 ZFS, 70 bug, 75 not now, 77 not root, 78 config"
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
    /// Say which drives were not backed up to for too long; as root, raise an alert
    #[command(
        before_help = "Example: zferry check",
        after_help = "Exit codes: 0 no drive is overdue, 1 one is; others as for every command"
    )]
    Check(Check),
    /// Show what becomes of the drives on this desktop, until the session ends
    #[command(
        before_help = "Example: zferry notify",
        after_help = "Exit codes: 75 there is no session, or another one runs; others as for every command"
    )]
    Notify,
    /// Look for what could make the next run fail, with what mends it
    #[command(
        before_help = "Example: sudo zferry doctor",
        after_help = "Exit codes: 0 nothing found, 1 something was; others as for every command"
    )]
    Doctor(Doctor),
    /// Export a drive's pool and power the drive off, nothing else
    #[command(visible_alias = "export", before_help = "Example: sudo zferry eject t7")]
    Eject(Eject),
    /// Read all of a drive, and tell what is damaged
    #[command(visible_alias = "scrub", before_help = "Example: sudo zferry verify t7")]
    Verify(Verify),
    /// Show which snapshots are here, and which are on a drive
    #[command(before_help = "Example: sudo zferry list t7 home")]
    List(List),
    /// Show which files changed on the source since what a drive has newest
    #[command(
        before_help = "Example: sudo zferry diff t7 home\n         sudo zferry diff t7 home yesterday today --path anna/Documents"
    )]
    Diff(Diff),
    /// Show past runs: when, how much, how they ended
    #[command(before_help = "Example: zferry log t7")]
    Log(Log),
    /// Make a drive of a blank disk: partition, pool, configuration
    #[command(
        before_help = "Example: sudo zferry init t7 /dev/disk/by-id/usb-Samsung_PSSD_T7_S6XNNS0W123456-0:0"
    )]
    Init(Init),
    /// Make a drive of a pool that was made by hand or by another tool
    #[command(before_help = "Example: sudo zferry adopt t7 backup")]
    Adopt(Adopt),
    /// Mount a drive's backups read-only, to look for files
    #[command(visible_alias = "mount", before_help = "Example: sudo zferry open t7")]
    Open(Open),
    /// Undo `open`: unmount, export, power off
    #[command(visible_alias = "umount", before_help = "Example: sudo zferry close t7")]
    Close(Close),
    /// Stop the runs that drives have, and let none start until `resume`
    #[command(before_help = "Example: sudo zferry pause t7")]
    Pause(Pause),
    /// Let runs of drives start again
    #[command(before_help = "Example: sudo zferry resume t7")]
    Resume(Pause),
    /// Try whether the passphrase still opens what is on a drive
    #[command(before_help = "Example: sudo zferry rehearse t7")]
    Rehearse(Rehearse),
    /// Print how to restore from a drive without this computer, to keep elsewhere
    #[command(before_help = "Example: sudo zferry rescue-page t7 > page.txt")]
    RescuePage(RescuePage),
    /// Get files back, or a dataset with its whole history
    #[command(
        before_help = "Example: sudo zferry restore t7 home Documents/tax.pdf --from yesterday --to ~\n         sudo zferry restore t7 home --into rpool/nixos/home"
    )]
    Restore(Restore),
    /// Save datasets to files as `zfs send` writes them, check those, and restore from them
    #[command(before_help = "Example: sudo zferry stream save diary")]
    Stream {
        /// What to do with them.
        #[command(subcommand)]
        command: StreamCommand,
    },
    /// Check, show or start a configuration
    #[command(before_help = "Example: zferry config check")]
    Config {
        /// Which of them.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the shell's completions, with the names of drives and backups
    #[command(
        before_help = "Example: zferry completions bash > ~/.local/share/bash-completion/completions/zferry"
    )]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        #[arg(value_name = "SHELL")]
        shell: String,
    },
    /// Write the manual pages
    #[command(before_help = "Example: zferry man ~/.local/share/man/man1")]
    Man {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: PathBuf,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
