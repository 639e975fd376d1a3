//! The device: find it, wait for it, watch it, ask who keeps it busy, power it off.
//!
//! What is read here comes from the kernel (`/sys`, `/proc`), from udev and from the device itself. Names and texts
//! from a device are untrusted: a pool's guid decides, its name is for people.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::model::Guid;

mod boot;
mod busy;
#[cfg(feature = "udev")]
mod database;
mod devices;
mod find;
#[cfg(test)]
pub(crate) mod imitation;
mod in_use;
mod label;
mod luks;
mod mounts;
mod plug_in;
mod poweroff;
mod prepare;
mod receivers;
mod rescue;
mod returned;
mod survey;
mod together;
#[cfg(any(test, not(feature = "udev")))]
mod unaided;
mod wait;
mod watch;

pub use boot::Boot;
pub use busy::{Holder, list_holders, list_holders_of_device};
use devices::Attached;
pub use devices::Devices;
pub use find::{FindError, find_pool};
pub use in_use::{InUse, find_other_use};
pub use label::{Label, LabelError, PoolState};
pub use luks::{
    LuksDevice, LuksMapping, closed_luks, find_luks, lies_on, luks_below, luks_mappings, members_in_luks,
    own_mappings,
};
pub use mounts::{Mounted, mounts_of};
pub use poweroff::{Outcome, PowerOffError, ask_for_udisks, power_off};
pub use prepare::{Claimed, Holds, Partition, find_partition};
pub use receivers::{is_dying, list_receivers};
pub use rescue::{RescuePartition, is_mount_point, rescue_partitions};
pub use returned::{Handwriting, hostid, newest_committed};
pub use survey::{Known, SurveyError, is_removable, resolve, survey};
pub use together::{Together, together, together_with, wait_for_all};
pub use wait::{WaitError, wait_for_luks, wait_for_pool, wait_until_gone};
pub use watch::Watcher;

/// Where `/sys`, `/proc`, `/dev` and `/etc` are (`/`, or a directory with an imitation of them in tests), and who tells
/// of devices.
#[derive(Debug, Clone)]
pub struct Root {
    directory: PathBuf,
    devices: Arc<dyn Devices>,
}

impl Root {
    /// An imitation of the host below this directory, with the devices that are attached to this one.
    pub fn imitation(directory: PathBuf) -> Self {
        Self { directory, ..Self::default() }
    }

    /// An imitation of the host and of its devices.
    pub fn with_devices(directory: PathBuf, devices: Arc<dyn Devices>) -> Self {
        Self { directory, devices }
    }

    /// All devices that belong to a pool, sorted by node.
    ///
    /// # Errors
    /// When udev does not answer.
    pub fn members(&self) -> io::Result<Vec<Member>> {
        self.devices.members()
    }

    /// What a device's labels say at this moment.
    ///
    /// # Errors
    /// When it cannot be read, or has none.
    pub fn label(&self, device: &Path, within: Duration) -> Result<Label, LabelError> {
        self.devices.label(device, within)
    }

    /// The version of ZFS in the kernel, as it says itself; nothing where it is not loaded.
    pub fn zfs_module(&self) -> Option<String> {
        self.text("/sys/module/zfs/version")
    }

    /// Where an absolute path of the host is found.
    fn at(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        self.directory.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A small file of the kernel without the line break at its end; nothing when it is not there or not text.
    fn text(&self, absolute: impl AsRef<Path>) -> Option<String> {
        Some(std::fs::read_to_string(self.at(absolute)).ok()?.trim_end().to_owned())
    }

    /// The names in a directory, sorted; none when it is not there.
    fn names(&self, absolute: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.at(absolute)) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }

    /// Where a symbolic link points, whether or not it leads anywhere.
    fn link(&self, absolute: impl AsRef<Path>) -> Option<PathBuf> {
        std::fs::read_link(self.at(absolute)).ok()
    }

    /// A disk and its partitions, by the kernel's names: `sda`, `sda1`, `sda9`; each with its directory in sysfs.
    fn disk_and_partitions(&self, disk: &str) -> Vec<(String, PathBuf)> {
        let directory = Path::new("/sys/block").join(disk);
        let below = self.names(&directory).into_iter().map(|name| (name.clone(), directory.join(name)));
        let partitions = below.filter(|(_, path)| self.at(path.join("partition")).exists());
        std::iter::once((disk.to_owned(), directory.clone())).chain(partitions).collect()
    }
}

/// The host itself.
impl Default for Root {
    fn default() -> Self {
        Self { directory: PathBuf::from("/"), devices: Arc::new(Attached) }
    }
}

/// A whole disk, as it was when it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// `/dev/sda`. Another disk may have this name later: see `diskseq`.
    pub node: PathBuf,
    /// Its directory below `/sys/devices`.
    pub sysfs: PathBuf,
    /// The kernel's count of attached media, unique until reboot. Unknown before Linux 5.15.
    pub diskseq: Option<u64>,
    /// What the manufacturer calls it; for people, untrusted.
    pub model: Option<String>,
    /// What tells it from others of its model; for people, untrusted.
    pub serial: Option<String>,
    /// `usb`, `ata`, `nvme` …, as udev says.
    pub bus: Option<String>,
    /// Directory in sysfs of the USB device that it is part of, when there is one.
    pub usb_device: Option<PathBuf>,
}

impl Disk {
    /// The kernel's name of it: `sda`.
    pub fn name(&self) -> &str {
        self.sysfs.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether this very disk is still attached, not another one under its name.
    pub fn is_attached(&self, root: &Root) -> bool {
        let directory = Path::new("/sys/block").join(self.name());
        let diskseq = root.text(directory.join("diskseq")).and_then(|text| text.parse().ok());
        let is_same = self.diskseq.is_none() || diskseq.is_none() || diskseq == self.diskseq;
        is_same && root.at(&directory).exists()
    }
}

/// For people: "WD Elements (serial 575838, /dev/sda)".
impl Disk {
    /// Model and serial as udev has them, for where the node is told anyway.
    pub fn title(&self) -> String {
        let parts = [self.model.as_deref(), self.serial.as_deref()];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "disk".to_owned() } else { parts.join(" ") }
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model.as_deref().unwrap_or("disk"))?;
        match &self.serial {
            Some(serial) => write!(f, " (serial {serial}, {})", self.node.display()),
            None => write!(f, " ({})", self.node.display()),
        }
    }
}

/// A device that belongs to a pool: a partition, or a disk without partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `/dev/sda1`.
    pub node: PathBuf,
    /// The best link in `/dev/disk/by-id`, else the node.
    pub stable: PathBuf,
    /// The guid of its pool.
    pub pool_guid: Guid,
    /// The name of its pool as udev tells it; for people, untrusted.
    pub pool_name: String,
    /// Its own guid within the pool.
    pub vdev_guid: Option<Guid>,
    /// The disk that it is on.
    pub disk: Disk,
}
