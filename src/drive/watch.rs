//! Whether the drive is still there, asked many times a second while data moves.

use std::path::Path;

use super::{Disk, Root};
use crate::model::{Guid, PoolName};

/// Watches some disks and their pool. Only reads small files that the kernel answers from memory, so that it never
/// waits for the drive (measured on a suspended pool: facts, zfs.md 5.4).
#[derive(Debug)]
pub struct Watcher {
    root: Root,
    disks: Vec<Disk>,
    pool: Option<PoolName>,
}

impl Watcher {
    /// For the disks of a pool and, once it is imported, the pool under the name that it was imported by.
    pub fn new(root: Root, disks: Vec<Disk>, pool: Option<PoolName>) -> Self {
        Self { root, disks, pool }
    }

    /// What was lost, as a sentence; nothing while all is well. Does not block.
    ///
    /// The disks are looked at first: a pool is only suspended when it next writes, which can be seconds later.
    pub fn lost(&self) -> Option<String> {
        self.disks.iter().find_map(|disk| self.lost_disk(disk)).or_else(|| self.lost_pool())
    }

    /// Whether the pool waits for its disk, as the kernel says without waiting.
    pub fn is_suspended(root: &Root, pool: &PoolName) -> bool {
        root.text(format!("/proc/spl/kstat/zfs/{pool}/state")).is_some_and(|state| state == "SUSPENDED")
    }

    /// Whether the kernel still has the pool of this guid under this name, as it says without waiting. ZFS before 2.2 does
    /// not say.
    pub fn is_kept(root: &Root, pool: &PoolName, guid: Guid) -> bool {
        root.text(format!("/proc/spl/kstat/zfs/{pool}/guid")).is_some_and(|kept| kept == guid.to_string())
    }

    fn lost_disk(&self, disk: &Disk) -> Option<String> {
        if !disk.is_attached(&self.root) {
            return Some(format!("{disk} was removed"));
        }
        // The SCSI layer's view: it gives up on a device long before it forgets it. Other buses have no such file,
        // or one with other words.
        let state = self.root.text(Path::new("/sys/block").join(disk.name()).join("device/state"))?;
        let gone = ["offline", "transport-offline", "cancel", "deleted"].contains(&state.as_str());
        gone.then(|| format!("{disk} no longer answers"))
    }

    /// No such file means another kernel or an exported pool, neither of which is a loss.
    fn lost_pool(&self) -> Option<String> {
        let pool = self.pool.as_ref()?;
        let suspended = Self::is_suspended(&self.root, pool);
        suspended.then(|| format!("ZFS suspended pool {pool} after errors of its drive"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::imitation::Imitation;

    #[test]
    fn a_disk_that_left_was_replaced_or_was_given_up_is_lost_and_so_is_a_suspended_pool() {
        let host = Imitation::new();
        let disk = host.disk("sda", 7, "usb1/1-4");
        let watcher = Watcher::new(host.root(), vec![disk], Some("backup".parse().unwrap()));
        assert_eq!(watcher.lost(), None);

        host.write("/proc/spl/kstat/zfs/backup/state", "ONLINE\n");
        host.write("/sys/block/sda/device/state", "running\n");
        assert_eq!(watcher.lost(), None);

        host.write("/proc/spl/kstat/zfs/backup/state", "SUSPENDED\n");
        assert!(watcher.lost().unwrap().contains("suspended"));

        let pool = "backup".parse().unwrap();
        assert!(!Watcher::is_kept(&host.root(), &pool, Guid(7)), "it is not said");
        host.write("/proc/spl/kstat/zfs/backup/guid", "7\n");
        assert!(Watcher::is_kept(&host.root(), &pool, Guid(7)));
        assert!(!Watcher::is_kept(&host.root(), &pool, Guid(8)));

        host.write("/sys/block/sda/device/state", "offline\n");
        assert_eq!(watcher.lost().unwrap(), "Elements (serial S-sda, /dev/sda) no longer answers");

        host.write("/sys/block/sda/diskseq", "8\n");
        assert_eq!(watcher.lost().unwrap(), "Elements (serial S-sda, /dev/sda) was removed");

        host.write("/sys/block/sda/diskseq", "7\n");
        host.unplug("sda");
        assert_eq!(watcher.lost().unwrap(), "Elements (serial S-sda, /dev/sda) was removed");
    }
}
