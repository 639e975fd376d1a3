//! Erases a disk and gives it its partitions, while nobody else can use it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::{GptConfig, partition_types};
use rustix::fs::{FlockOperation, OFlags, flock, major, minor};
use rustix::io::Errno;

use super::Root;
use crate::model::{DiskIdentity, Extent};

/// Written at once.
const CHUNK: usize = 1 << 20;
/// How long udev may look at a disk while we want to have it alone.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// A disk that nobody else can mount, partition or import as long as this exists.
#[derive(Debug)]
pub struct Claimed(File);

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A pool.
    Pool,
    /// A LUKS container.
    Luks,
    /// A file system of Linux.
    Files,
}

/// A partition that is to be.
#[derive(Debug, Clone, Copy)]
pub struct Partition<'a> {
    /// Where on the disk.
    pub extent: Extent,
    /// Its name in the table.
    pub name: &'a str,
    /// What it is for.
    pub holds: Holds,
}

impl Claimed {
    /// Opens a disk for ourselves. Two things are asked of the kernel: that nobody uses it (`O_EXCL`), and that udev
    /// does not look at it while it is half-written (the lock: systemd.io/BLOCK_DEVICE_LOCKING).
    ///
    /// # Errors
    /// When somebody uses it, or another disk has its name now.
    pub fn open(disk: &DiskIdentity) -> io::Result<Self> {
        let flags = i32::try_from((OFlags::EXCL | OFlags::CLOEXEC).bits()).map_err(io::Error::other)?;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&disk.node)?;
        let device = file.metadata()?.rdev();
        if format!("{}:{}", major(device), minor(device)) != disk.number {
            return Err(io::Error::other("another disk has its name now"));
        }
        let started = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::WOULDBLOCK) if started.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Overwrites these pieces with zeros, and waits until that is on the disk.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn erase(&self, pieces: &[Extent]) -> io::Result<()> {
        let zeros = vec![0; CHUNK];
        for piece in pieces {
            let mut at = piece.start;
            while at < piece.end {
                let left = usize::try_from(piece.end - at).unwrap_or(CHUNK).min(CHUNK);
                self.0.write_all_at(zeros.get(..left).unwrap_or_default(), at)?;
                at += left as u64;
            }
        }
        self.0.sync_all()
    }

    /// Gives it a table with these partitions. Returns what each of them can be told from all others by.
    ///
    /// # Errors
    /// When the disk does not take it, or has sectors of a size that no table is made for.
    pub fn partition(&mut self, partitions: &[Partition<'_>], sector: u64) -> io::Result<Vec<String>> {
        let size = match sector {
            512 => LogicalBlockSize::Lb512,
            4096 => LogicalBlockSize::Lb4096,
            other => return Err(io::Error::other(format!("it has sectors of {other} bytes"))),
        };
        let sectors = self.0.metadata().and_then(|_| end_of(&self.0))? / sector;
        let protective = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
        ProtectiveMBR::with_lb_size(protective).overwrite_lba0(&mut self.0).map_err(io::Error::other)?;
        let mut table = GptConfig::new()
            .writable(true)
            .logical_block_size(size)
            .create_from_device(&mut self.0, None)
            .map_err(io::Error::other)?;
        let mut identities = Vec::new();
        for (number, partition) in (1..).zip(partitions) {
            let kind = match partition.holds {
                // The type that OpenZFS uses itself: desktops know that there is nothing to mount.
                Holds::Pool => partition_types::MACOS_ZFS,
                Holds::Luks => partition_types::LINUX_LUKS,
                Holds::Files => partition_types::LINUX_FS,
            };
            // A name has 36 characters in the table.
            let name: String = partition.name.chars().take(36).collect();
            let (first, count) = (partition.extent.start / sector, partition.extent.len() / sector);
            let number =
                table.add_partition_at(&name, number, first, count, kind, 0).map_err(io::Error::other)?;
            let made =
                table.partitions().get(&number).ok_or_else(|| io::Error::other("the table lost it"))?;
            identities.push(made.part_guid.to_string());
        }
        table.write().map_err(io::Error::other)?;
        self.0.flush()?;
        self.0.sync_all()?;
        Ok(identities)
    }
}

fn end_of(mut file: &File) -> io::Result<u64> {
    use std::io::Seek as _;
    let end = file.seek(io::SeekFrom::End(0))?;
    file.rewind()?;
    Ok(end)
}

/// The partition with this identity, when udev and the kernel know it, and the disk has not changed its name since: the
/// link to use, and its node.
pub fn find_partition(root: &Root, disk: &DiskIdentity, identity: &str) -> Option<(PathBuf, PathBuf)> {
    let link = Path::new("/dev/disk/by-partuuid").join(identity.to_ascii_lowercase());
    let node = std::fs::canonicalize(root.at(&link)).ok()?;
    let (name, of) = (node.file_name()?.to_str()?, disk.node.file_name()?.to_str()?);
    let is_there = root.disk_and_partitions(of).iter().any(|(part, _)| part == name);
    is_there.then(|| (link, Path::new("/dev").join(name)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn what_is_written_is_a_table_with_its_partitions_and_zeros_where_they_should_be() {
        for (sector, size) in [(512, LogicalBlockSize::Lb512), (4096, LogicalBlockSize::Lb4096)] {
            let path = tempfile::NamedTempFile::new().unwrap();
            let file = OpenOptions::new().read(true).write(true).open(path.path()).unwrap();
            let whole = 64_u64 << 20;
            file.set_len(whole).unwrap();
            for at in [0, 9 << 20, whole - 4096] {
                file.write_all_at(&[0xee; 4096], at).unwrap();
            }
            let mut disk = Claimed(file);
            disk.erase(&[Extent { start: 0, end: 5 << 20 }, Extent { start: whole - 100, end: whole }])
                .unwrap();
            let mut byte = [0_u8; 1];
            for (at, expected) in
                [(0, 0), (9 << 20, 0xee), (whole - 101, 0xee), (whole - 100, 0), (whole - 1, 0)]
            {
                disk.0.read_exact_at(&mut byte, at).unwrap();
                assert_eq!(byte[0], expected, "{at}");
            }
            let partition = Extent { start: 1 << 20, end: 51 << 20 };
            let small = Extent { start: 51 << 20, end: 63 << 20 };
            let both = [
                Partition { extent: partition, name: "t7", holds: Holds::Pool },
                Partition { extent: small, name: "zferry-rescue", holds: Holds::Files },
            ];
            let identities = disk.partition(&both, sector).unwrap();
            let table = GptConfig::new().logical_block_size(size).open(path.path()).unwrap();
            assert!(table.primary_header().is_ok() && table.backup_header().is_ok());
            let made = &table.partitions()[&1];
            assert_eq!(
                (made.first_lba * sector, (made.last_lba + 1) * sector),
                (partition.start, partition.end)
            );
            assert_eq!((made.name.as_str(), &made.part_guid.to_string()), ("t7", &identities[0]));
            let second = &table.partitions()[&2];
            assert_eq!((second.first_lba * sector, (second.last_lba + 1) * sector), (small.start, small.end));
            assert_eq!(
                (&second.part_type_guid, &second.part_guid.to_string()),
                (&partition_types::LINUX_FS, &identities[1])
            );
            assert_eq!(table.partitions().values().filter(|part| part.is_used()).count(), 2);
        }
        assert!(Claimed(tempfile::tempfile().unwrap()).partition(&[], 520).is_err());
    }
}
