//! The devices of one pool, and which name of each is the best one.

use std::io;
use std::path::{Path, PathBuf};

use super::{Member, Root};
use crate::model::Guid;

/// Why the devices of a pool cannot be named.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// udev does not answer.
    #[error("the list of block devices cannot be read")]
    Unlisted(#[from] io::Error),
    /// Two devices claim to be the same one: a disk was copied bit by bit. Whichever is imported, the other one is
    /// no longer the same, and neither says so (S6).
    #[error("{} and {} are copies of each other; unplug the one that is not to be used", both[0], both[1])]
    CopiedDisk {
        /// Both, with model, serial and node.
        both: [String; 2],
    },
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
pub(super) fn slaves(syspath: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(syspath.join("slaves")) else { return Vec::new() };
    entries.filter_map(|entry| Some(Path::new("/dev").join(entry.ok()?.file_name()))).collect()
}

/// Of a device's links the one in `/dev/disk/by-id` that tells most: names with model and serial before world-wide
/// numbers, then the shortest, so that the choice is the same on every run.
pub(super) fn best_link(links: &str) -> Option<&str> {
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
            disk: crate::drive::Disk {
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
