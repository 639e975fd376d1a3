//! A disk before it becomes a drive: what it is, what is on it, who uses it.

use std::fmt;
use std::path::PathBuf;

use super::{Bytes, Guid};

/// What tells one disk from another that has its name later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskIdentity {
    /// `/dev/sda`.
    pub node: PathBuf,
    /// The kernel's number of it: `8:0`.
    pub number: String,
    /// The kernel's count of attached media, unique until reboot. Unknown before Linux 5.15.
    pub diskseq: Option<u64>,
    /// What tells it from others of its model.
    pub serial: Option<String>,
    /// All that it holds.
    pub size: Bytes,
}

/// A block device, as it was found at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDisk {
    /// Which one it is.
    pub identity: DiskIdentity,
    /// What the manufacturer calls it; untrusted.
    pub model: Option<String>,
    /// `usb`, `ata`, `nvme` …, as udev says.
    pub bus: Option<String>,
    /// A disk, or only a part of one.
    pub kind: DeviceKind,
    /// Made to be taken away: behind USB, or a medium that can be taken out.
    pub removable: bool,
    /// It does not let anybody write.
    pub read_only: bool,
    /// Size of its logical sectors, in bytes.
    pub sector: u64,
    /// Why it is not free.
    pub uses: Vec<DiskUse>,
    /// What is known to be on it.
    pub contents: Vec<Content>,
    /// Its partitions.
    pub partitions: Vec<Extent>,
}

/// What kind of block device it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceKind {
    /// A whole disk.
    Disk,
    /// A part of this one.
    Partition {
        /// The disk.
        of: PathBuf,
    },
    /// Made by the kernel of something else: LVM, LUKS, RAID, a loop device, a volume.
    Made,
}

/// Somebody uses a disk, or one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskUse {
    /// It is mounted.
    Mounted {
        /// The disk or partition.
        node: PathBuf,
        /// Where.
        point: String,
    },
    /// The host swaps to it.
    Swap {
        /// The disk or partition.
        node: PathBuf,
    },
    /// The kernel has put another device on top.
    Held {
        /// The disk or partition.
        node: PathBuf,
        /// The kernel's name of the one above.
        by: String,
    },
    /// It belongs to a pool that is imported.
    Pool {
        /// The disk or partition.
        node: PathBuf,
        /// The pool.
        pool: String,
    },
}

/// Something that is on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The disk or partition.
    pub node: PathBuf,
    /// What it is.
    pub holding: Holding,
}

/// What a disk or partition holds. The texts come from there: untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// It is a member of a pool that is not imported.
    Pool {
        /// The pool's name.
        name: String,
        /// The pool's guid, where its label can be read.
        guid: Option<Guid>,
        /// The host that has it imported, or did not export it.
        last_used_by: Option<String>,
    },
    /// A file system, or whatever else udev knows by its first bytes.
    Other {
        /// `ext4`, `crypto_LUKS` …
        kind: String,
        /// Its name.
        label: Option<String>,
    },
    /// A partition about whose content nothing is known.
    Unknown,
}

/// A piece of a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Its first byte.
    pub start: u64,
    /// The first byte behind it.
    pub end: u64,
}

impl Extent {
    /// How many bytes it has.
    pub fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl FoundDisk {
    /// For people: "Samsung PSSD T7, serial S6XNNS0W123456, 931 GiB, usb, /dev/sdb".
    pub fn title(&self) -> String {
        let serial = self.identity.serial.as_deref();
        let parts = [
            Some(self.model.as_deref().map_or("a disk without a model name".to_owned(), plain)),
            Some(serial.map_or("no serial".to_owned(), |serial| format!("serial {}", plain(serial)))),
            Some(self.identity.size.to_string()),
            self.bus.as_deref().map(plain),
            Some(self.identity.node.display().to_string()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The kernel's name of it: `sda`.
    pub fn name(&self) -> &str {
        self.identity.node.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.display();
        match &self.holding {
            Holding::Pool { name, guid, last_used_by } => {
                write!(f, "{node}: a ZFS pool “{}”", plain(name))?;
                if let Some(guid) = guid {
                    write!(f, " (guid {guid})")?;
                }
                match last_used_by {
                    Some(host) => write!(f, ", last used by {} and not exported", plain(host)),
                    None => Ok(()),
                }
            }
            Holding::Other { kind, label: Some(label) } => {
                write!(f, "{node}: {} “{}”", plain(kind), plain(label))
            }
            Holding::Other { kind, label: None } => write!(f, "{node}: {}", plain(kind)),
            Holding::Unknown => write!(f, "{node}: a partition of unknown content"),
        }
    }
}

impl fmt::Display for DiskUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { node, point } => write!(f, "{} is mounted on {}", node.display(), plain(point)),
            Self::Swap { node } => write!(f, "{} is in use as swap", node.display()),
            Self::Held { node, by } => write!(f, "{} is in use by the device {}", node.display(), plain(by)),
            Self::Pool { node, pool } => {
                write!(f, "{} is part of the pool “{}”, which is imported", node.display(), plain(pool))
            }
        }
    }
}

/// What a device says of itself, without what would do something to a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
