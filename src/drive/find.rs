//! Devices of pools, as udev knows them.
//!
//! udev's database says what blkid found when the device appeared, without touching the device again. For a pool on
//! a whole disk only its first partition has the ZFS fields (facts: ecosystem.md 3.3).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use udev::{Device, Enumerator};

use super::{Disk, LuksDevice, Member, Root};
use crate::model::{Guid, LuksUuid};

/// Why the devices of a pool cannot be named.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// udev does not answer.
    #[error("the list of block devices cannot be read from udev")]
    Udev(#[from] io::Error),
    /// Two devices claim to be the same one: a disk was copied bit by bit. Whichever is imported, the other one is
    /// no longer the same, and neither says so (S6).
    #[error("{} and {} are copies of each other; unplug the one that is not to be used", both[0], both[1])]
    CopiedDisk {
        /// Both, with model, serial and node.
        both: [String; 2],
    },
}

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

/// The devices of one pool; empty when none is there.
///
/// # Errors
/// When udev does not answer, or when two of them are copies.
pub fn find_pool(root: &Root, pool: Guid) -> Result<Vec<Member>, FindError> {
    let members = root.members()?;
    reject_copies(members.into_iter().filter(|member| member.pool_guid == pool).collect())
}

/// Refuses two devices that claim to be the same vdev of the same pool. On one and the same disk they are a
/// partition and its disk, whose last labels coincide: the partition is meant.
fn reject_copies(members: Vec<Member>) -> Result<Vec<Member>, FindError> {
    let mut distinct: Vec<Member> = Vec::new();
    for member in members {
        let same = |other: &&mut Member| other.vdev_guid.is_some() && other.vdev_guid == member.vdev_guid;
        match distinct.iter_mut().find(same) {
            None => distinct.push(member),
            Some(other) if other.disk.sysfs == member.disk.sysfs => {
                if other.node == other.disk.node {
                    *other = member;
                }
            }
            Some(other) => {
                return Err(FindError::CopiedDisk {
                    both: [other.disk.to_string(), member.disk.to_string()],
                });
            }
        }
    }
    Ok(distinct)
}

/// The devices directly below one that is made of others, by node.
fn slaves(syspath: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(syspath.join("slaves")) else { return Vec::new() };
    entries.filter_map(|entry| Some(Path::new("/dev").join(entry.ok()?.file_name()))).collect()
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

pub(super) fn disk(device: &Device) -> Option<Disk> {
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
pub(super) fn text(device: &Device, property: &str) -> Option<String> {
    device.property_value(property)?.to_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Of a device's links the one in `/dev/disk/by-id` that tells most: names with model and serial before world-wide
/// numbers, then the shortest, so that the choice is the same on every run.
fn best_link(links: &str) -> Option<&str> {
    let rank = |link: &&str| {
        let name = link.rsplit('/').next().unwrap_or_default();
        let is_number =
            ["wwn-", "nvme-eui.", "nvme-uuid.", "scsi-3"].iter().any(|kind| name.starts_with(kind));
        (is_number, link.len(), (*link).to_owned())
    };
    links.split(' ').filter(|link| link.starts_with("/dev/disk/by-id/")).min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(node: &str, disk: &str, vdev: Option<u64>) -> Member {
        Member {
            node: node.into(),
            stable: node.into(),
            pool_guid: Guid(1),
            pool_name: "backup".into(),
            vdev_guid: vdev.map(Guid),
            disk: Disk {
                node: disk.into(),
                sysfs: disk.replace("/dev/", "/sys/devices/").into(),
                diskseq: None,
                model: Some("Elements".into()),
                serial: Some(disk.replace("/dev/", "S-")),
                bus: None,
                usb_device: None,
            },
        }
    }

    #[test]
    fn the_stable_name_is_the_one_that_tells_model_and_serial() {
        for (links, best) in [
            ("", None),
            ("/dev/disk/by-uuid/17 /dev/disk/by-path/pci-1", None),
            (
                "/dev/disk/by-id/wwn-0x5-part1 /dev/disk/by-id/usb-WD_Elements_57-0:0-part1 /dev/disk/by-label/b",
                Some("/dev/disk/by-id/usb-WD_Elements_57-0:0-part1"),
            ),
            ("/dev/disk/by-id/wwn-0x5 /dev/disk/by-uuid/1", Some("/dev/disk/by-id/wwn-0x5")),
            (
                "/dev/disk/by-id/nvme-eui.0025 /dev/disk/by-id/nvme-Samsung_990_S7 /dev/disk/by-id/nvme-Samsung_990_S7_1",
                Some("/dev/disk/by-id/nvme-Samsung_990_S7"),
            ),
        ] {
            assert_eq!(best_link(links), best, "{links}");
        }
    }

    #[test]
    fn two_devices_that_claim_to_be_the_same_are_refused_by_name() {
        let [a, b] = ["/dev/sda", "/dev/sdb"].map(|disk| device(&format!("{disk}1"), disk, Some(7)));
        let error = reject_copies(vec![a, b]).unwrap_err().to_string();
        assert!(error.starts_with("Elements (serial S-sda, /dev/sda) and Elements (serial S-sdb, /dev/sdb)"));
    }

    #[test]
    fn a_mirrors_disks_are_no_copies_and_neither_are_a_disk_and_its_own_partition() {
        let mirror = vec![device("/dev/sda1", "/dev/sda", Some(7)), device("/dev/sdb1", "/dev/sdb", Some(8))];
        assert_eq!(reject_copies(mirror.clone()).unwrap(), mirror);
        let unknown = vec![device("/dev/sda1", "/dev/sda", None), device("/dev/sdb1", "/dev/sdb", None)];
        assert_eq!(reject_copies(unknown.clone()).unwrap(), unknown);
        let (disk, partition) =
            (device("/dev/sda", "/dev/sda", Some(7)), device("/dev/sda1", "/dev/sda", Some(7)));
        for order in [vec![disk.clone(), partition.clone()], vec![partition.clone(), disk]] {
            assert_eq!(reject_copies(order).unwrap(), std::slice::from_ref(&partition));
        }
    }
}
