//! `zferry stream …`: streams in files.

use std::path::PathBuf;

use clap::Subcommand;

use crate::config::StreamName;
use crate::model::{DatasetName, SnapName, SnapshotName};

/// `zferry stream …`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum StreamCommand {
    /// Write the newest state of each dataset to a file, a full stream or an increment
    #[command(
        before_help = "Example: sudo zferry stream save diary",
        after_help = "What is saved, and where to, is [streams.NAME] of the configuration. A file has its name only when it is whole and on the disk.\n\nExit codes: 0 all is saved, 1 something is not; others as for every command"
    )]
    Save {
        /// Names from the configuration [default: all]
        #[arg(value_name = "NAME")]
        streams: Vec<StreamName>,
    },
    /// Show which files there are, of what, and whether all is there that they need
    #[command(before_help = "Example: zferry stream list diary\n         zferry stream list /mnt/files")]
    List {
        /// Names from the configuration, and directories [default: all that are configured]
        #[arg(value_name = "NAME|DIRECTORY", id = "places")]
        of: Vec<String>,
    },
    /// Read files to their end, and tell whether each is whole: no key and no ZFS is needed
    #[command(
        before_help = "Example: zferry stream verify diary\n         zferry stream verify /mnt/files/*.zfs\n         zfs send -w rpool/diary@a | tee diary.zfs | zferry stream verify -",
        after_help = "Exit codes: 0 all are whole, 1 one is not; others as for every command"
    )]
    Verify {
        /// Names, directories and files; - is standard input [default: all that are configured]
        #[arg(value_name = "NAME|DIRECTORY|FILE", id = "places")]
        of: Vec<String>,
        /// Only the beginnings, the lengths, and whether all is there that they need
        #[arg(long)]
        quick: bool,
    },
    /// Make a new dataset of files: all of them are read and found whole before anything is received
    #[command(
        before_help = "Example: zferry stream restore rpool/diary-restored /mnt/files\n         zferry stream restore --at yesterday rpool/diary-restored full.zfs incremental.zfs",
        after_help = "The same command goes on from where one was interrupted. Nothing is mounted.\n\nExit codes: 0 restored, 1 not; others as for every command"
    )]
    Restore {
        /// The new dataset; nothing of that name may be there
        #[arg(value_name = "NEWDATASET")]
        into: DatasetName,
        /// Files in any order, and directories with files
        #[arg(value_name = "FILE|DIRECTORY", required = true)]
        from: Vec<PathBuf>,
        /// A snapshot, a day ("yesterday") or a time ("2026-11-01 14:00") [default: the newest]
        #[arg(long, value_name = "WHEN")]
        at: Option<String>,
        /// Where there are streams of several datasets: this one, as the files call it
        #[arg(long, value_name = "NAME")]
        dataset: Option<String>,
    },
    /// Write one snapshot to a file, of any pool that is imported: also of a drive that is open
    #[command(
        before_help = "Example: sudo zferry stream export backup/eds@autosnap_2026-11-01_00:00:00_daily documents.zfs",
        after_help = "`zferry stream restore` makes a dataset of it again.\n\nExit codes: 0 written, 1 not; others as for every command"
    )]
    Export {
        /// The snapshot
        #[arg(value_name = "DATASET@SNAPSHOT")]
        snapshot: SnapshotName,
        /// The file; nothing of that name may be there
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only what changed since this snapshot (@…) or bookmark (#…) of the same dataset
        #[arg(long, value_name = "@SNAPSHOT", value_parser = base)]
        from: Option<String>,
        /// Decrypted, or never encrypted: whoever has the file can read it
        #[arg(long)]
        plain: bool,
    },
    /// Remove files that `keep` does not keep, and that nothing needs which it keeps
    #[command(before_help = "Example: sudo zferry stream prune -n diary")]
    Prune {
        /// Names from the configuration [default: all]
        #[arg(value_name = "NAME")]
        streams: Vec<StreamName>,
        /// Only say which would go
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Give files that somebody else wrote a manifest each, whatever they are called
    #[command(
        before_help = "Example: zferry stream adopt /mnt/full /mnt/incremental",
        after_help = "Each file is read to its end first. It is neither changed nor renamed.\n\nExit codes: 0 all of them have one, 1 one does not; others as for every command"
    )]
    Adopt {
        /// Files, and directories with files
        #[arg(value_name = "FILE|DIRECTORY", required = true)]
        paths: Vec<PathBuf>,
    },
}

/// `@NAME` or `#NAME`.
fn base(text: &str) -> Result<String, String> {
    let name =
        text.strip_prefix(['@', '#']).ok_or("it begins with “@” or “#”, and has no dataset before it")?;
    name.parse::<SnapName>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}
