//! Which disk may become a drive, and what is written to it. `init` is the only command that erases anything that
//! zferry did not make, so everything that decides about it is here, without a disk in sight.

use std::path::PathBuf;

use super::rescue;
use crate::model::{Bytes, DeviceKind, DiskIdentity, DiskUse, Extent, FoundDisk, Guid, Holding, PoolName};

const MIB: u64 = 1 << 20;
/// Zeroed at both ends of the disk, of each partition that it had and of the one that it gets. The labels of ZFS are in
/// the first and last 512 KiB, other file systems keep what they are known by in the first 8 MiB.
const EDGE: u64 = 8 * MIB;
/// The end of the disk: a pool on a whole disk ends 8 MiB before it, also when the table that said so is gone already.
const TAIL: u64 = 32 * MIB;
/// A partition begins and ends at multiples of this: no disk has larger blocks inside that matter.
const ALIGNMENT: u64 = MIB;
/// ZFS takes 64 MiB; with less than this nothing can be backed up.
const SMALLEST: u64 = 128 * MIB;
/// What a person may type instead of a long serial: this many of its last characters, or more.
const LAST_CHARACTERS: usize = 4;
/// Below these the system itself lives.
const OF_THE_SYSTEM: [&str; 6] = ["/", "/boot", "/boot/efi", "/efi", "/usr", "/nix/store"];

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// What the drive shall be called.
    pub drive: &'a str,
    /// What its pool shall be called.
    pub pool: &'a PoolName,
    /// What is on it may be erased.
    pub wipe: bool,
    /// It may be one that is built in.
    pub internal: bool,
    /// It gets a rescue file system, if it is large enough.
    pub rescue: bool,
}

/// What names are taken already.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// Drives in the configuration, with the guids of their pools where those are readable.
    pub drives: Vec<(String, Option<Guid>)>,
    /// Pools that are imported.
    pub pools: Vec<PoolName>,
}

/// What is written to a disk, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What is overwritten with zeros: sorted, and no two touch each other.
    pub zeros: Vec<Extent>,
    /// The partition of the pool.
    pub partition: Extent,
    /// That of the rescue file system, behind it.
    pub rescue: Option<Extent>,
}

/// Why a disk does not become a drive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPrepared {
    /// A partition was named.
    #[error("{} is a partition of {}, and a drive is a whole disk", node.display(), disk.display())]
    Partition {
        /// What was named.
        node: PathBuf,
        /// The disk.
        disk: PathBuf,
    },
    /// No disk was named.
    #[error("{} is no disk, but made by the kernel of something else (LUKS, LVM, RAID, a volume or a file)", .0.display())]
    NoDisk(PathBuf),
    /// This computer runs from it.
    #[error("{title} is the disk that this system runs from ({point} is on it)")]
    SystemDisk {
        /// The disk.
        title: String,
        /// What of the system is mounted from it.
        point: String,
    },
    /// Somebody uses it.
    #[error("{title} is in use: {}", list(uses))]
    InUse {
        /// The disk.
        title: String,
        /// By what.
        uses: Vec<DiskUse>,
    },
    /// The drive's name is configured.
    #[error("there is a drive {0} in the configuration already")]
    DriveConfigured(String),
    /// A pool that the configuration relies on is on it.
    #[error("{title} is the drive {drive} of the configuration")]
    IsConfigured {
        /// The disk.
        title: String,
        /// The drive that is on it.
        drive: String,
    },
    /// The pool's name is in use.
    #[error("a pool called {0} is imported already")]
    PoolImported(PoolName),
    /// Nothing can be written to it.
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// There is no room for anything.
    #[error("{title} is too small: a drive needs {} or more", Bytes(SMALLEST))]
    TooSmall {
        /// The disk.
        title: String,
    },
    /// It is built in.
    #[error("{0} is not removable")]
    Internal(String),
    /// There is something on it.
    #[error("{title} is not blank:\n{}", contents.join("\n"))]
    NotBlank {
        /// The disk.
        title: String,
        /// What.
        contents: Vec<String>,
        /// Pools among it, by name.
        pools: Vec<String>,
        /// What the drive shall be called.
        drive: String,
    },
    /// It is not the disk any more that the question was about.
    #[error("{} is not the disk any more that you were asked about: {what}", node.display())]
    Swapped {
        /// Its node.
        node: PathBuf,
        /// What is different.
        what: String,
    },
    /// Something else was typed than its serial.
    #[error("“{typed}” is not the serial of {title}")]
    OtherSerial {
        /// What was typed.
        typed: String,
        /// The disk.
        title: String,
    },
    /// Nobody is there to type it.
    #[error("nobody can be asked for the serial of {title}, since this is no terminal")]
    NobodyToAsk {
        /// The disk.
        title: String,
        /// Its serial.
        serial: String,
    },
}

fn list(uses: &[DiskUse]) -> String {
    uses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl NotPrepared {
    /// What can be done: commands and sentences.
    pub fn remedies(&self) -> Vec<String> {
        let other = "find the right disk: lsblk -o NAME,TRAN,SIZE,MODEL,SERIAL,MOUNTPOINTS";
        match self {
            Self::Partition { disk, .. } => {
                vec![format!("if all of that disk may be erased, name it: {}", disk.display())]
            }
            Self::InUse { uses, .. } => uses.iter().filter_map(end_of_use).collect(),
            Self::NoDisk(_) | Self::SystemDisk { .. } | Self::ReadOnly(_) | Self::TooSmall { .. } => {
                vec![other.to_owned()]
            }
            Self::DriveConfigured(_) => vec!["choose another name for the new drive".to_owned()],
            Self::IsConfigured { drive, .. } => {
                vec![format!(
                    "if all of its backups may be erased, remove [drives.{drive}] from the configuration first"
                )]
            }
            Self::PoolImported(_) => vec!["another name for the new pool, with --pool POOL".to_owned()],
            Self::Internal(_) => {
                vec![
                    other.to_owned(),
                    "if it is this one that you mean, the same command with --internal".to_owned(),
                ]
            }
            Self::NotBlank { pools, drive, .. } => {
                let adopt = |pool: &String| {
                    format!("to use the pool with what is in it: zferry adopt {drive} {pool}")
                };
                let erase = "to erase all of it, the same command with --wipe".to_owned();
                pools
                    .iter()
                    .filter(|pool| pool.parse::<PoolName>().is_ok())
                    .map(adopt)
                    .chain([erase])
                    .collect()
            }
            Self::Swapped { .. } => {
                vec!["nothing was written; look at what is connected, and begin anew".to_owned()]
            }
            Self::OtherSerial { .. } => {
                vec!["nothing was written; it stands on the disk, and above".to_owned()]
            }
            Self::NobodyToAsk { serial, .. } => {
                // It comes from the device, and is about to be typed.
                let is_plain = serial.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
                let shown = if is_plain { serial } else { "and the serial that is shown, in quotes" };
                vec![format!(
                    "if it is this disk that shall be erased: the same command with --serial {shown}"
                )]
            }
        }
    }
}

/// What ends a use of a disk; a holder may be anything.
fn end_of_use(of: &DiskUse) -> Option<String> {
    match of {
        DiskUse::Mounted { node, .. } => Some(format!("umount {}", node.display())),
        DiskUse::Swap { node } => Some(format!("swapoff {}", node.display())),
        DiskUse::Pool { pool, .. } => Some(format!("zpool export {pool}")),
        DiskUse::Held { node, .. } => Some(format!(
            "see what it is: lsblk {}   (an open LUKS container: `cryptsetup close NAME`, when nothing uses it any more)",
            node.display()
        )),
    }
}

/// Whether a disk may become a drive, and what is written to it then. The gravest reason against it comes first.
///
/// # Errors
/// When it may not, with the reason.
pub fn judge(disk: &FoundDisk, wishes: &Wishes<'_>, taken: &Taken) -> Result<Layout, NotPrepared> {
    refuse_use(disk)?;
    if taken.drives.iter().any(|(name, _)| name == wishes.drive) {
        return Err(NotPrepared::DriveConfigured(wishes.drive.to_owned()));
    }
    if taken.pools.contains(wishes.pool) {
        return Err(NotPrepared::PoolImported(wishes.pool.clone()));
    }
    if disk.read_only {
        return Err(NotPrepared::ReadOnly(disk.title()));
    }
    if disk.identity.size.0 < SMALLEST {
        return Err(NotPrepared::TooSmall { title: disk.title() });
    }
    if !disk.removable && !wishes.internal {
        return Err(NotPrepared::Internal(disk.title()));
    }
    refuse_content(disk, wishes, taken)?;
    Ok(layout(disk, wishes.rescue))
}

/// Only a whole disk that nobody uses.
fn refuse_use(disk: &FoundDisk) -> Result<(), NotPrepared> {
    match &disk.kind {
        DeviceKind::Disk => {}
        DeviceKind::Partition { of } => {
            return Err(NotPrepared::Partition { node: disk.identity.node.clone(), disk: of.clone() });
        }
        DeviceKind::Made => return Err(NotPrepared::NoDisk(disk.identity.node.clone())),
    }
    let of_the_system = disk.uses.iter().find_map(|of| match of {
        DiskUse::Mounted { point, .. } if OF_THE_SYSTEM.contains(&point.as_str()) => Some(point.clone()),
        _ => None,
    });
    match of_the_system {
        Some(point) => Err(NotPrepared::SystemDisk { title: disk.title(), point }),
        None if disk.uses.is_empty() => Ok(()),
        None => Err(NotPrepared::InUse { title: disk.title(), uses: disk.uses.clone() }),
    }
}

fn refuse_content(disk: &FoundDisk, wishes: &Wishes<'_>, taken: &Taken) -> Result<(), NotPrepared> {
    let pools: Vec<_> = disk
        .contents
        .iter()
        .filter_map(|content| match &content.holding {
            Holding::Pool { name, guid, .. } => Some((name, *guid)),
            _ => None,
        })
        .collect();
    let configured =
        taken.drives.iter().find(|(_, known)| known.is_some() && pools.iter().any(|(_, guid)| guid == known));
    if let Some((drive, _)) = configured {
        return Err(NotPrepared::IsConfigured { title: disk.title(), drive: drive.clone() });
    }
    if wishes.wipe || (disk.contents.is_empty() && disk.partitions.is_empty()) {
        return Ok(());
    }
    let mut names: Vec<String> = pools.into_iter().map(|(name, _)| name.clone()).collect();
    names.dedup();
    let mut contents: Vec<String> = disk.contents.iter().map(|content| format!("  {content}")).collect();
    if contents.is_empty() {
        contents.push(format!("  {} partitions", disk.partitions.len()));
    }
    Err(NotPrepared::NotBlank { title: disk.title(), contents, pools: names, drive: wishes.drive.to_owned() })
}

/// One partition over all of it, but for a small one at its end, and zeros wherever something that was there before could be known again: also a pool
/// whose partition began or ended where the new one does.
fn layout(disk: &FoundDisk, rescue: bool) -> Layout {
    let size = disk.identity.size.0;
    // The second table takes 33 sectors at the end.
    let end = (size - ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    let small = if rescue { rescue::size(disk.identity.size) } else { None };
    let rescue = small.map(|Bytes(small)| Extent { start: end - small, end });
    let partition = Extent { start: ALIGNMENT, end: rescue.map_or(end, |rescue| rescue.start) };
    let all = Extent { start: 0, end: size };
    let mut zeros = vec![Extent { start: size.saturating_sub(TAIL), end: size }];
    for extent in disk.partitions.iter().copied().chain([all, partition]).chain(rescue) {
        zeros.push(Extent { start: extent.start, end: extent.end.min(extent.start.saturating_add(EDGE)) });
        zeros.push(Extent { start: extent.start.max(extent.end.saturating_sub(EDGE)), end: extent.end });
    }
    Layout { zeros: merged(zeros, size), partition, rescue }
}

/// The same bytes, sorted and each only once, and none that the disk has not.
fn merged(mut extents: Vec<Extent>, size: u64) -> Vec<Extent> {
    extents.sort_unstable();
    let mut merged: Vec<Extent> = Vec::new();
    for extent in extents {
        let extent = Extent { end: extent.end.min(size), ..extent };
        match merged.last_mut() {
            _ if extent.is_empty() => {}
            Some(last) if extent.start <= last.end => last.end = last.end.max(extent.end),
            _ => merged.push(extent),
        }
    }
    merged
}

/// What has to be typed, so that it is this disk and no other that is erased.
pub fn challenge(disk: &FoundDisk) -> &str {
    disk.identity.serial.as_deref().unwrap_or_else(|| disk.name())
}

/// Whether what was typed means this disk: its serial, or at least the last four characters of it. One without a serial
/// is meant by the kernel's name of it.
///
/// # Errors
/// When it does not.
pub fn check_answer(disk: &FoundDisk, typed: &str) -> Result<(), NotPrepared> {
    let (typed, wanted) = (typed.trim(), challenge(disk));
    let (given, whole) = (typed.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    let is_end = disk.identity.serial.is_some() && given.chars().count() >= LAST_CHARACTERS;
    if !given.is_empty() && (given == whole || (is_end && whole.ends_with(&given))) {
        return Ok(());
    }
    let shown = typed.chars().filter(|c| !c.is_control()).take(64).collect();
    Err(NotPrepared::OtherSerial { typed: shown, title: disk.title() })
}

/// Whether it is still the disk that the question was about.
///
/// # Errors
/// When anything about it is different.
pub fn check_same(asked: &DiskIdentity, now: &DiskIdentity) -> Result<(), NotPrepared> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let number = |number: Option<u64>| number.map_or("none".to_owned(), |number| number.to_string());
    let all = [
        ("serial", text(&asked.serial), text(&now.serial)),
        ("size", asked.size.0.to_string(), now.size.0.to_string()),
        ("device number", asked.number.clone(), now.number.clone()),
        ("number of its medium", number(asked.diskseq), number(now.diskseq)),
        ("name", asked.node.display().to_string(), now.node.display().to_string()),
    ];
    match all.into_iter().find(|(_, before, now)| before != now) {
        None => Ok(()),
        Some((what, before, now_is)) => Err(NotPrepared::Swapped {
            node: asked.node.clone(),
            what: format!("its {what} is {now_is} now, and was {before}"),
        }),
    }
}

#[cfg(test)]
mod tests;
