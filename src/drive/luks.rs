//! LUKS containers: the device that is one, and the devices that the kernel's mapper has made of it.
//!
//! An open container whose drive was pulled out stays behind: its device answers with errors only, for good, also when the
//! drive comes back, which the kernel then takes for another one. So whether it is alive is asked of the drive that is
//! there: it says what lies on top of it.

use std::path::{Path, PathBuf};

use super::find::FindError;
use super::{Disk, Member, Root};
use crate::model::{Guid, LuksUuid};

/// A partition, or a disk, that is a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LuksDevice {
    /// `/dev/sda1`.
    pub node: PathBuf,
    /// The disk that it is on.
    pub disk: Disk,
}

/// An open container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LuksMapping {
    /// Below `/dev/mapper`.
    pub name: String,
    /// `/dev/dm-0`.
    pub node: PathBuf,
    /// Whether the drive that is connected is the one below it.
    pub is_alive: bool,
}

/// The container of this identity; nothing when it is not connected.
///
/// # Errors
/// When udev does not answer, or when there are two: a disk was copied.
pub fn find_luks(root: &Root, uuid: &LuksUuid) -> Result<Option<LuksDevice>, FindError> {
    let mut found = root.devices.luks(uuid)?;
    match (found.pop(), found.pop()) {
        (Some(one), Some(other)) => {
            Err(FindError::CopiedDisk { both: [other.disk.to_string(), one.disk.to_string()] })
        }
        (found, _) => Ok(found),
    }
}

/// The container that a device of the mapper was made of.
pub fn luks_below(root: &Root, node: &Path) -> Option<LuksUuid> {
    // "CRYPT-LUKS2-2f3b5a3e00004c1d9abc0123456789ab-NAME".
    let told = root.text(Path::new("/sys/block").join(node.file_name()?).join("dm/uuid"))?;
    let (digits, _) = told.strip_prefix("CRYPT-LUKS")?.split_once('-')?.1.split_once('-')?;
    LuksUuid::from_digits(digits)
}

/// What the kernel's mapper has of this container; `device` is the one that is connected.
pub fn luks_mappings(root: &Root, uuid: &LuksUuid, device: Option<&LuksDevice>) -> Vec<LuksMapping> {
    let name = device.and_then(|device| device.node.file_name());
    let above = name.map(|name| root.names(Path::new("/sys/class/block").join(name).join("holders")));
    let above = above.unwrap_or_default();
    let mapping = |kernel: String| {
        let node = Path::new("/dev").join(&kernel);
        luks_below(root, &node).filter(|below| below == uuid)?;
        let name = root.text(Path::new("/sys/block").join(&kernel).join("dm/name"))?;
        Some(LuksMapping { name, node, is_alive: above.contains(&kernel) })
    };
    root.names("/sys/block").into_iter().filter(|name| name.starts_with("dm-")).filter_map(mapping).collect()
}

/// The containers that are open as zferry opens them, with the nodes of what the mapper made of them.
pub fn own_mappings(root: &Root) -> Vec<(LuksUuid, PathBuf)> {
    let ours = |kernel: String| {
        let node = Path::new("/dev").join(&kernel);
        let uuid = luks_below(root, &node)?;
        let name = root.text(Path::new("/sys/block").join(&kernel).join("dm/name"))?;
        (name == uuid.mapping()).then_some((uuid, node))
    };
    root.names("/sys/block").into_iter().filter_map(ours).collect()
}

/// Whether a device of the mapper lies on this disk or on a partition of it.
pub fn lies_on(root: &Root, mapped: &Path, disk: &Path) -> bool {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (Some(mapped), Some(disk)) = (name(mapped), name(disk)) else { return false };
    let below = root.names(Path::new("/sys/block").join(mapped).join("slaves"));
    root.disk_and_partitions(&disk).iter().any(|(part, _)| below.contains(part))
}

/// The containers on this disk, or this partition, that nobody has opened; by their nodes.
pub fn closed_luks(root: &Root, node: &Path) -> Vec<PathBuf> {
    let name = node.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_closed = |(part, _): &(String, PathBuf)| {
        let kind = root.devices.known(part).ok().and_then(|known| known.kind);
        let held = root.names(Path::new("/sys/class/block").join(part).join("holders"));
        kind.as_deref() == Some("crypto_LUKS") && held.is_empty()
    };
    let parts = root.disk_and_partitions(name).into_iter().filter(is_closed);
    parts.map(|(part, _)| Path::new("/dev").join(part)).collect()
}

/// The devices of a pool behind a container that is open and whose drive is there.
///
/// # Errors
/// When udev does not answer, or a disk was copied.
pub fn members_in_luks(root: &Root, uuid: &LuksUuid, pool: Guid) -> Result<Vec<Member>, FindError> {
    let Some(device) = find_luks(root, uuid)? else { return Ok(Vec::new()) };
    let mappings = luks_mappings(root, uuid, Some(&device));
    let alive = |node: &Path| mappings.iter().any(|mapping| mapping.is_alive && mapping.node == *node);
    let members = root.members()?.into_iter();
    let behind = members.filter(|member| member.pool_guid == pool && alive(&member.node));
    // Whatever udev says of the mapped device: it is this disk that is unplugged and powered off.
    Ok(behind.map(|member| Member { disk: device.disk.clone(), ..member }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::imitation::Imitation;

    #[test]
    fn a_mapping_is_known_by_the_container_and_is_dead_without_its_device() {
        let host = Imitation::new();
        let uuid: LuksUuid = "2f3b5a3e-0000-4c1d-9abc-0123456789ab".parse().unwrap();
        let root = host.root();
        assert_eq!(luks_mappings(&root, &uuid, None), []);
        host.write("/sys/block/dm-0/dm/uuid", "CRYPT-LUKS2-2f3b5a3e00004c1d9abc0123456789ab-luks-home\n");
        host.write("/sys/block/dm-0/dm/name", "luks-home\n");
        host.write("/sys/block/dm-1/dm/uuid", "LVM-2f3b5a3e00004c1d9abc0123456789ab-x\n");
        host.write("/sys/block/dm-2/dm/uuid", "CRYPT-LUKS2-ffffffff00004c1d9abc0123456789ab-other\n");
        let device = LuksDevice { node: "/dev/sdb1".into(), disk: host.disk("sdb", 3, "usb1/1-4") };
        let mapping = |is_alive| LuksMapping { name: "luks-home".into(), node: "/dev/dm-0".into(), is_alive };
        assert_eq!(luks_mappings(&root, &uuid, None), [mapping(false)]);
        assert_eq!(luks_mappings(&root, &uuid, Some(&device)), [mapping(false)]);
        host.write("/sys/class/block/sdb1/holders/dm-0", "");
        assert_eq!(luks_mappings(&root, &uuid, Some(&device)), [mapping(true)]);
    }

    #[test]
    fn what_zferry_opened_is_known_by_its_name_and_by_the_disk_below_it() {
        let host = Imitation::new();
        let uuid: LuksUuid = "2f3b5a3e-0000-4c1d-9abc-0123456789ab".parse().unwrap();
        let (root, disk) = (host.root(), host.disk("sdb", 3, "usb1/1-4"));
        for (number, name) in [(0, uuid.mapping()), (1, "luks-home".to_owned())] {
            let told = format!("CRYPT-LUKS2-2f3b5a3e00004c1d9abc0123456789ab-{name}\n");
            host.write(&format!("/sys/block/dm-{number}/dm/uuid"), &told);
            host.write(&format!("/sys/block/dm-{number}/dm/name"), &format!("{name}\n"));
            host.write(&format!("/sys/block/dm-{number}/slaves/sdb1"), "");
        }
        let node = PathBuf::from("/dev/dm-0");
        assert_eq!(own_mappings(&root), [(uuid, node.clone())]);
        assert!(lies_on(&root, &node, &disk.node) && !lies_on(&root, &node, Path::new("/dev/sdc")));
    }
}
