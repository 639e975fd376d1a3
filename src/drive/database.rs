//! Devices as udev knows them.
//!
//! udev's database says what blkid found when the device appeared, without touching the device again. For a pool on
//! a whole disk only its first partition has the ZFS fields (facts: ecosystem.md 3.3).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use udev::{Device, Enumerator, MonitorBuilder, MonitorSocket};

use super::find::{best_link, slaves};
use super::survey::Known;
use super::{Disk, LuksDevice, Member};
use crate::model::LuksUuid;

/// All devices that belong to a pool, sorted by node.
///
/// # Errors
/// When udev does not answer.
pub fn list_members() -> io::Result<Vec<Member>> {
    let mut devices = Enumerator::new()?;
    devices.match_is_initialized()?;
    devices.match_subsystem("block")?;
    devices.match_property("ID_FS_TYPE", "zfs_member")?;
    let mut members = Vec::new();
    let mut below = BTreeSet::new();
    for device in devices.scan_devices()? {
        below.extend(slaves(device.syspath()));
        members.extend(member(&device));
    }
    // Under multipath or LUKS the same labels may be seen twice; the upper device is the one to use.
    members.retain(|member| !below.contains(&member.node));
    members.sort_unstable_by(|a, b| a.node.cmp(&b.node));
    Ok(members)
}

/// All devices that say they are this LUKS container, sorted by node.
///
/// # Errors
/// When udev does not answer.
pub fn list_luks(uuid: &LuksUuid) -> io::Result<Vec<LuksDevice>> {
    let mut devices = Enumerator::new()?;
    devices.match_is_initialized()?;
    devices.match_subsystem("block")?;
    devices.match_property("ID_FS_UUID", uuid.as_str())?;
    let is_luks = |device: &Device| text(device, "ID_FS_TYPE").as_deref() == Some("crypto_LUKS");
    let found = devices.scan_devices()?.filter(is_luks);
    let found = found
        .filter_map(|device| Some(LuksDevice { node: device.devnode()?.to_owned(), disk: disk(&device)? }));
    let mut found: Vec<_> = found.collect();
    found.sort_unstable_by(|a, b| a.node.cmp(&b.node));
    Ok(found)
}

/// What udev knows of the device with this name in the kernel.
///
/// # Errors
/// When udev does not answer.
pub fn known(name: &str) -> io::Result<Known> {
    let device = Device::from_subsystem_sysname("block".to_owned(), name.to_owned())?;
    let text = |property: &str| text(&device, property);
    Ok(Known { disk: disk(&device), kind: text("ID_FS_TYPE"), label: text("ID_FS_LABEL") })
}

/// What udev says of devices that come.
pub struct Announcements(MonitorSocket);

impl Announcements {
    /// Of all that come from now on.
    ///
    /// # Errors
    /// When udev does not answer.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(MonitorBuilder::new()?.match_subsystem("block")?.listen()?))
    }

    /// Whether there was one since this was last asked.
    pub fn are_there(&self) -> bool {
        self.0.iter().count() > 0
    }

    /// Sleeps until there is one, at most this long.
    ///
    /// # Errors
    /// When the kernel does not let us wait.
    pub fn wait(&self, most: Duration) -> io::Result<()> {
        let most = Timespec::try_from(most).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&most)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A device of a pool; nothing when it lacks a node or a readable guid.
fn member(device: &Device) -> Option<Member> {
    let node = device.devnode()?.to_owned();
    let links = text(device, "DEVLINKS").unwrap_or_default();
    Some(Member {
        stable: best_link(&links).map_or_else(|| node.clone(), PathBuf::from),
        node,
        pool_guid: text(device, "ID_FS_UUID")?.parse().ok()?,
        pool_name: text(device, "ID_FS_LABEL").unwrap_or_default(),
        vdev_guid: text(device, "ID_FS_UUID_SUB").and_then(|guid| guid.parse().ok()),
        disk: disk_below(device)?,
    })
}

/// The disk below a device, also when another one lies in between: that of a LUKS container. One that is made of several
/// stands for itself.
fn disk_below(device: &Device) -> Option<Disk> {
    let below = slaves(device.syspath());
    let name = match below.as_slice() {
        [one] => one.file_name().and_then(OsStr::to_str),
        _ => None,
    };
    let below = name.and_then(|name| Device::from_subsystem_sysname("block".into(), name.to_owned()).ok());
    below.as_ref().map_or_else(|| disk(device), disk_below)
}

fn disk(device: &Device) -> Option<Disk> {
    let parent = device.parent_with_subsystem_devtype("block", "disk").ok().flatten();
    let disk = parent.filter(|_| device.devtype() == Some(OsStr::new("partition")));
    let disk = disk.as_ref().unwrap_or(device);
    let usb = disk.parent_with_subsystem_devtype("usb", "usb_device").ok().flatten();
    let diskseq = || disk.attribute_value("diskseq")?.to_str().map(str::to_owned);
    Some(Disk {
        node: disk.devnode()?.to_owned(),
        sysfs: disk.syspath().to_owned(),
        diskseq: text(disk, "DISKSEQ").or_else(diskseq).and_then(|number| number.trim().parse().ok()),
        model: text(disk, "ID_MODEL").map(|model| model.replace('_', " ").trim().to_owned()),
        serial: text(disk, "ID_SERIAL_SHORT").or_else(|| text(disk, "ID_SERIAL")),
        bus: text(disk, "ID_BUS"),
        usb_device: usb.map(|usb| usb.syspath().to_owned()),
    })
}

/// A property of udev's database. Its values that come from a device are escaped by udev.
fn text(device: &Device, property: &str) -> Option<String> {
    device.property_value(property)?.to_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
