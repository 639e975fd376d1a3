//! What else is used behind the same USB device: a power-off takes all of it along.
//!
//! udisks looks at mounts and unlocked devices of one USB *interface*; it knows nothing of pools, and nothing of the
//! second bay of a dock that counts as the same device (facts: ecosystem.md 4.1, 4.3).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::mounts::{Mount, list_namespaces, own_mounts, unescape};
use super::{Disk, Root};

/// A device that must keep its power, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InUse {
    /// It is mounted, in our mount namespace or another.
    #[error("{} is mounted on {point}", node.display())]
    Mounted {
        /// The device.
        node: PathBuf,
        /// Where.
        point: String,
    },
    /// The host swaps to it.
    #[error("{} is in use as swap", node.display())]
    Swap {
        /// The device.
        node: PathBuf,
    },
    /// The kernel has put another device on top: LVM, LUKS, RAID, a loop device.
    #[error("{} is in use by the device {by}", node.display())]
    Held {
        /// The device.
        node: PathBuf,
        /// The kernel's name of the one above.
        by: String,
    },
    /// It belongs to a pool that is still imported.
    #[error("{} is part of an imported pool", node.display())]
    Pool {
        /// The device.
        node: PathBuf,
    },
}

/// The disks behind a USB device, by the kernel's names; `sda` and `sdb` for a dock.
pub(super) fn disks_behind(root: &Root, usb_device: &Path) -> Vec<String> {
    let Ok(above) = root.at(usb_device).canonicalize() else { return Vec::new() };
    let is_behind = |name: &String| {
        let directory = root.at(Path::new("/sys/block").join(name)).canonicalize();
        directory.is_ok_and(|directory| directory.starts_with(&above))
    };
    root.names("/sys/block").into_iter().filter(is_behind).collect()
}

/// The first reason not to power off the USB device of a disk. `imported` are the device nodes of all imported
/// pools, as `zpool list -vHPL` gives them.
///
/// # Errors
/// When the host's mounts or swap areas cannot be read: then nothing is known to be unused.
pub(super) fn find_use(
    root: &Root,
    disk: &Disk,
    usb_device: &Path,
    imported: &[PathBuf],
) -> io::Result<Option<InUse>> {
    let uses = Uses::read(root, imported)?;
    let mut disks = disks_behind(root, usb_device);
    if disks.is_empty() {
        disks.push(disk.name().to_owned());
    }
    let parts = disks.iter().flat_map(|disk| root.disk_and_partitions(disk));
    Ok(parts.into_iter().find_map(|(name, directory)| uses.of(root, &name, &directory)))
}

/// What else on the device of a disk is in use, after its pool was exported: then it must stay plugged in. When that
/// cannot be read, nothing is known to be.
pub fn find_other_use(root: &Root, disk: &Disk, imported: &[PathBuf]) -> Option<InUse> {
    let device = disk.usb_device.as_deref().unwrap_or(&disk.sysfs);
    find_use(root, disk, device, imported).ok().flatten()
}

/// Why a disk is not free: every use of it and of its partitions.
///
/// # Errors
/// As [`find_use`].
pub(super) fn uses_of_disk(root: &Root, disk: &str, imported: &[PathBuf]) -> io::Result<Vec<InUse>> {
    let uses = Uses::read(root, imported)?;
    let parts = root.disk_and_partitions(disk);
    Ok(parts.into_iter().filter_map(|(name, directory)| uses.of(root, &name, &directory)).collect())
}

/// Everything on the host that uses block devices.
struct Uses<'a> {
    mounts: Vec<Mount>,
    swaps: Vec<PathBuf>,
    /// Device node to the loop device that it backs.
    loops: BTreeMap<PathBuf, String>,
    imported: &'a [PathBuf],
}

impl<'a> Uses<'a> {
    fn read(root: &Root, imported: &'a [PathBuf]) -> io::Result<Self> {
        // Ours must be readable; others may vanish or be hidden, and udisks opens exclusively as a last line.
        let mut mounts = own_mounts(root)?;
        mounts.extend(list_namespaces(root).into_values().flat_map(|namespace| namespace.mounts));
        let swaps = match std::fs::read_to_string(root.at("/proc/swaps")) {
            Ok(text) => text,
            // A kernel without swap.
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // The first line is a heading; the path is the first field.
        let swaps = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        let backing = |name: String| {
            let file = root.text(Path::new("/sys/block").join(&name).join("loop/backing_file"))?;
            Some((PathBuf::from(file), name))
        };
        Ok(Self {
            mounts,
            swaps: swaps.map(|path| PathBuf::from(unescape(path))).collect(),
            loops: root.names("/sys/block").into_iter().filter_map(backing).collect(),
            imported,
        })
    }

    /// What uses the device of this name, with this directory in sysfs.
    fn of(&self, root: &Root, name: &str, directory: &Path) -> Option<InUse> {
        let node = Path::new("/dev").join(name);
        let number = root.text(directory.join("dev"));
        // Some file systems have device numbers of their own; their source still names one of the devices.
        let is_mounted =
            |mount: &&Mount| Some(&mount.device) == number.as_ref() || Path::new(&mount.source) == node;
        if let Some(mount) = self.mounts.iter().find(is_mounted) {
            return Some(InUse::Mounted { node, point: mount.point.clone() });
        }
        if self.swaps.contains(&node) {
            return Some(InUse::Swap { node });
        }
        let above = root.names(directory.join("holders")).into_iter().next();
        if let Some(by) = above.or_else(|| self.loops.get(&node).cloned()) {
            return Some(InUse::Held { node, by });
        }
        self.imported.contains(&node).then_some(InUse::Pool { node })
    }
}
