//! The rescue file system of a drive: the partition that `init` made beside the pool, on the very disk that the pool is
//! on, and where it is mounted. A partition of another disk is never it, whatever it is called.

use std::io;
use std::path::{Path, PathBuf};

use super::mounts::own_mounts;
use super::{Disk, Root};
use crate::plan::rescue::{KIND, PARTITION};

/// The partition, as the kernel and udev know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescuePartition {
    /// `/dev/sda2`.
    pub node: PathBuf,
    /// The kernel's number of it: `8:2`.
    pub number: String,
}

/// The rescue file systems on these disks: none, unless `init` made one.
pub fn rescue_partitions(root: &Root, disks: &[Disk]) -> Vec<RescuePartition> {
    let parts = disks.iter().flat_map(|disk| root.disk_and_partitions(disk.name()).into_iter().skip(1));
    let found = parts.filter_map(|(name, directory)| {
        let told = root.text(directory.join("uevent"))?;
        let is_named = told.lines().any(|line| line.strip_prefix("PARTNAME=") == Some(PARTITION));
        let kind = is_named.then(|| root.devices.known(&name).ok())??.kind;
        let number = root.text(directory.join("dev"))?;
        (kind.as_deref() == Some(KIND))
            .then(|| RescuePartition { node: Path::new("/dev").join(&name), number })
    });
    found.collect()
}

impl RescuePartition {
    /// Where it is mounted in our own namespace, the newest mount first.
    ///
    /// # Errors
    /// When the mounts cannot be read.
    pub fn mounted_on(&self, root: &Root) -> io::Result<Vec<PathBuf>> {
        let mounts = own_mounts(root)?.into_iter().rev();
        Ok(mounts.filter(|mount| mount.device == self.number).map(|mount| mount.point.into()).collect())
    }
}

/// Whether anything is mounted at a directory, in our own namespace.
///
/// # Errors
/// When the mounts cannot be read.
pub fn is_mount_point(root: &Root, at: &Path) -> io::Result<bool> {
    Ok(own_mounts(root)?.iter().any(|mount| Path::new(&mount.point) == at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::imitation::Imitation;
    use crate::drive::{Devices, Known, Label, LabelError, Member};

    /// udev knows every partition as this.
    #[derive(Debug)]
    struct Knows(&'static str);

    impl Devices for Knows {
        fn members(&self) -> io::Result<Vec<Member>> {
            Ok(Vec::new())
        }

        fn label(&self, device: &Path, _: std::time::Duration) -> Result<Label, LabelError> {
            Err(LabelError::None { device: device.to_owned() })
        }

        fn known(&self, _: &str) -> io::Result<Known> {
            Ok(Known { kind: Some(self.0.to_owned()), ..Known::default() })
        }
    }

    #[test]
    fn it_is_known_by_disk_name_and_kind_and_only_by_all_of_them() {
        let host = Imitation::new();
        let (disk, other) = (host.disk("sdb", 3, "usb1/1-4"), host.disk("sdc", 4, "usb1/1-5"));
        let named = |disk: &Disk, number: u8, name: &str| {
            let part = disk.sysfs.join(format!("{}{number}", disk.name()));
            let part = part.to_str().unwrap();
            host.write(&format!("{part}/partition"), "2\n");
            host.write(&format!("{part}/dev"), &format!("8:3{number}\n"));
            host.write(&format!("{part}/uevent"), &format!("DEVTYPE=partition\nPARTNAME={name}\n"));
        };
        let root = |kind| Root::with_devices(host.path(), std::sync::Arc::new(Knows(kind)));
        assert_eq!(rescue_partitions(&root("ext4"), std::slice::from_ref(&disk)), []);
        named(&disk, 1, "t7");
        named(&other, 2, "zferry-rescue");
        assert_eq!(
            rescue_partitions(&root("ext4"), std::slice::from_ref(&disk)),
            [],
            "it is on another disk"
        );
        named(&disk, 2, "zferry-rescue");
        assert_eq!(rescue_partitions(&root("vfat"), std::slice::from_ref(&disk)), []);
        let expected = RescuePartition { node: "/dev/sdb2".into(), number: "8:32".to_owned() };
        let found = rescue_partitions(&root("ext4"), std::slice::from_ref(&disk));
        assert_eq!(found, std::slice::from_ref(&expected));
        host.write(
            "/proc/self/mountinfo",
            "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n31 30 8:32 / /media/a rw - ext4 /dev/sdb2 rw\n32 30 8:32 / /mnt rw - ext4 /dev/sdb2 rw\n",
        );
        let on = expected.mounted_on(&root("ext4")).unwrap();
        assert_eq!(on, [PathBuf::from("/mnt"), PathBuf::from("/media/a")]);
    }
}
