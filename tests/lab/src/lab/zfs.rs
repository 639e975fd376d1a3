//! Pools in the guest: the source, the drives, and what is on them.

use anyhow::{Context, Result};

use super::Lab;
use crate::drive::Drive;

/// The passphrase's file in the guest.
pub const KEY: &str = "/etc/zfs/lab.key";

/// What makes a snapshot the same one on two pools, and an encrypted one usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The part after the `@` (or `#`).
    pub name: String,
    /// The same in every copy.
    pub guid: String,
    /// The same in every raw copy; `-` where nothing is encrypted.
    pub ivsetguid: String,
}

/// Of all encrypted datasets of the lab.
pub const PASSPHRASE: &str = "correct horse battery staple";

/// A line of shell that makes the source.
///
/// On a partition of its own making: the one that `zpool create` makes on a whole disk has half a minute to appear,
/// which a busy host does not always give it. The least number of iterations: deriving the key is slow when emulated,
/// and nobody attacks this pool.
pub fn source_of(pool: &str) -> String {
    let home = format!("{pool}/nixos/home");
    format!(
        "set -e; sgdisk --new=1:0:0 --typecode=1:bf01 /dev/disk/by-id/virtio-source; \
         udevadm wait --settle --timeout=60 /dev/disk/by-id/virtio-source-part1; \
         zpool create -o ashift=12 -O mountpoint=none -O acltype=posixacl -O xattr=sa \
         -O compression=zstd -O encryption=aes-256-gcm -O keyformat=passphrase \
         -O keylocation=file://{KEY} -O pbkdf2iters=100000 \
         {pool} /dev/disk/by-id/virtio-source-part1; \
         zfs set keylocation=prompt {pool}; \
         zfs create {pool}/nixos; \
         zfs create -o mountpoint=/home {home}; \
         zfs create {home}/anna; \
         echo hello > /home/anna/letter; head -c 2M /dev/urandom > /home/anna/photo; \
         zfs snapshot -r {home}@autosnap_2026-01-01_00:00:00_daily; \
         echo more >> /home/anna/letter; \
         zfs snapshot -r {home}@autosnap_2026-01-02_00:00:00_daily"
    )
}

impl Lab {
    /// An encrypted pool on the guest's second disk, with `nixos/home` on it (mounted
    /// at `/home`), a few files and two snapshots. Its passphrase is asked for, and lies in [`KEY`] for the lab.
    pub fn encrypted_source(&mut self, pool: &str) -> Result<()> {
        if pool == "rpool" && self.is_untouched() {
            return self.start_furnished();
        }
        self.write(KEY, PASSPHRASE)?;
        self.run(&source_of(pool))?.exits(0)?;
        Ok(())
    }

    /// After a power cut: imports the source if the boot did not, loads its key and
    /// mounts what it has.
    pub fn unlock_source(&mut self, pool: &str) -> Result<()> {
        self.run(&format!(
            "zpool list -H {pool} 2>/dev/null || zpool import -f -N {pool}; \
             zfs load-key -L file://{KEY} {pool}; zfs mount -a; zfs get -H -o value keystatus {pool}"
        ))?
        .exits(0)?
        .last_line("available")?;
        Ok(())
    }

    /// A snapshot of a dataset and of everything below it.
    pub fn snapshot(&mut self, dataset: &str, name: &str) -> Result<()> {
        self.run(&format!("zfs snapshot -r {dataset}@{name}"))?.exits(0)?;
        Ok(())
    }

    /// Plugs the drive in, prepares it the way the users' guide does (one partition
    /// with the pool's name, nothing mounted over anything), and leaves the pool
    /// exported. Returns the pool's guid.
    pub fn prepare_drive(&mut self, drive: &Drive, pool: &str) -> Result<u64> {
        self.plug(drive)?;
        let (device, partition) = (drive.device(), drive.partition());
        self.run(&format!(
            "set -e; sgdisk --new=1:0:0 --typecode=1:bf01 --change-name=1:{pool} {device}; \
             udevadm wait --settle --timeout=60 {partition}; \
             zpool create -o ashift=12 -o autotrim=on \
             -O acltype=posixacl -O compression=zstd -O dnodesize=auto -O normalization=formD \
             -O relatime=on -O xattr=sa -O readonly=on -O canmount=on \
             -O mountpoint=/mnt/{pool}_pool -R /run/lab/altroot {pool} {partition}; \
             zpool get -Hp -o value guid {pool} > /run/lab/guid; \
             zpool export {pool}; udevadm settle; cat /run/lab/guid"
        ))?
        .exits(0)?
        .stdout()
        .lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .context("the new pool has no guid")
    }

    /// The snapshots of a dataset, oldest first.
    pub fn guids(&mut self, dataset: &str) -> Result<Vec<Identity>> {
        self.identities(dataset, "snapshot", '@')
    }

    /// The bookmarks of a dataset, oldest first.
    pub fn bookmarks(&mut self, dataset: &str) -> Result<Vec<Identity>> {
        self.identities(dataset, "bookmark", '#')
    }

    fn identities(&mut self, dataset: &str, kind: &str, separator: char) -> Result<Vec<Identity>> {
        let listing =
            self.run(&format!("zfs list -Hp -d 1 -t {kind} -o name,guid,ivsetguid -s createtxg {dataset}"))?;
        let identity = |row: Vec<String>| {
            let [name, guid, ivsetguid] = <[String; 3]>::try_from(row).ok()?;
            let name = name.split_once(separator)?.1.to_owned();
            Some(Identity { name, guid, ivsetguid })
        };
        let rows = listing.exits(0)?.rows();
        rows.into_iter().map(|row| identity(row).context("zfs list printed something else")).collect()
    }
}
