//! Vdev labels: what a device itself says about its pool, without a command that could hang or import anything.
//!
//! A device has four labels of 256 KiB, two at its start and two at its end, its size rounded down to 256 KiB. Each
//! holds a packed list at 16 KiB, 112 KiB long, and a ring of uberblocks at 128 KiB (`vdev_impl.h`). The checksums of
//! the lists are not verified: a label is asked for what it says, the import decides what is true.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{Advice, OFlags, fadvise};

use crate::model::{Guid, Nvlist, Txg};

const LABEL: usize = 256 << 10;
const LIST: std::ops::Range<usize> = 16 << 10..128 << 10;
const UBERBLOCKS: std::ops::Range<usize> = 128 << 10..256 << 10;

/// Distance of uberblocks in bytes, or a divisor of it: they grow with the sector size, from here to 8 KiB.
const UBERBLOCK_STEP: usize = 1 << 10;
const UBERBLOCK_MAGIC: u64 = 0x00ba_b10c;

/// What direct reads have to be aligned to, in bytes; no disk has larger logical sectors.
const ALIGNMENT: usize = 4096;

/// What a label says about the pool's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolState {
    /// Imported somewhere, or left without an export.
    Active,
    /// Exported: ready for any host.
    Exported,
    /// Destroyed: only `zpool import -D` would take it.
    Destroyed,
    /// A hot spare, of any number of pools.
    Spare,
    /// A read cache.
    L2Cache,
    /// A value that zferry does not know.
    Other(u64),
}

impl From<u64> for PoolState {
    fn from(number: u64) -> Self {
        match number {
            0 => Self::Active,
            1 => Self::Exported,
            2 => Self::Destroyed,
            3 => Self::Spare,
            4 => Self::L2Cache,
            other => Self::Other(other),
        }
    }
}

/// What the newest valid label of a device says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The pool's name; untrusted, may be no valid name.
    pub pool_name: String,
    /// The pool's guid.
    pub pool_guid: Guid,
    /// This device's guid within the pool.
    pub vdev_guid: Guid,
    /// Whether the pool was exported.
    pub state: PoolState,
    /// When this label was written.
    pub txg: Txg,
    /// The highest transaction group of the device's uberblocks: at most that of the last write by any host. One of
    /// a former pool may be higher; `zpool create` wipes them.
    pub newest_uberblock: Option<Txg>,
    /// The host that imported the pool last. Hosts without `/etc/hostid` leave none.
    pub hostid: Option<u64>,
    /// The name of that host; untrusted.
    pub hostname: Option<String>,
    /// How many top-level vdevs the pool has.
    pub top_level_vdevs: u64,
    /// The leaves of this device's top-level vdev (a mirror's disks), this one included.
    pub leaves: Vec<Guid>,
    /// How many of the device's four labels are valid.
    pub copies: u8,
}

/// Why a device has no label to rely on.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Opening or reading failed; a device that was unplugged says so here.
    #[error("the labels of {} cannot be read", device.display())]
    Read {
        /// The device.
        device: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// None of its labels is valid.
    #[error("{} is not part of a ZFS pool", device.display())]
    None {
        /// The device.
        device: PathBuf,
    },
    /// It has a label, but holds no data of one pool: a spare or a cache.
    #[error("{} holds no data of a pool ({state:?})", device.display())]
    NoPool {
        /// The device.
        device: PathBuf,
        /// What it is.
        state: PoolState,
    },
    /// It gave no answer; the read goes on in the background for as long as the kernel tries.
    #[error("{} gave no answer within {} s", device.display(), within.as_secs())]
    Late {
        /// The device.
        device: PathBuf,
        /// The time that it had.
        within: Duration,
    },
}

/// Reads the labels of a device or of an image file, past the page cache: what the kernel remembers may be older
/// than what another host, or ZFS itself, has written.
///
/// # Errors
/// When there is no valid label, or no answer within this time.
pub fn read_label(device: &Path, within: Duration) -> Result<Label, LabelError> {
    let (answer, question) = mpsc::channel();
    let path = device.to_owned();
    // A read from a failing bridge cannot be interrupted: the thread is abandoned with it (S13).
    let reader = std::thread::Builder::new().name("label".to_owned()).spawn(move || {
        // Nobody listens any more when it was late.
        let _ = answer.send(read_blocks(&path));
    });
    let blocks = reader.map_err(Some).and_then(|_| match question.recv_timeout(within) {
        Ok(blocks) => blocks.map_err(Some),
        Err(_) => Err(None),
    });
    match blocks {
        Ok(blocks) => choose(device, &blocks),
        Err(Some(source)) => Err(LabelError::Read { device: device.to_owned(), source }),
        Err(None) => Err(LabelError::Late { device: device.to_owned(), within }),
    }
}

/// The four label areas of a device; fewer when it is too small to have them apart.
fn read_blocks(device: &Path) -> io::Result<Vec<Vec<u8>>> {
    let open = |flags: OFlags| {
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        OpenOptions::new().read(true).custom_flags(flags).open(device)
    };
    let mut file = match open(OFlags::DIRECT) {
        Ok(file) => file,
        // Some file systems know no direct reads.
        Err(_) => open(OFlags::empty())?,
    };
    let label = LABEL as u64;
    let size = file.seek(SeekFrom::End(0))? / label * label;
    if size < 4 * label {
        return Ok(Vec::new());
    }
    [0, label, size - 2 * label, size - label].into_iter().map(|at| read_block(&file, at)).collect()
}

/// One label area. Where reads are not direct, what is cached is dropped first.
fn read_block(file: &File, at: u64) -> io::Result<Vec<u8>> {
    // Only advice: it has no effect on direct reads and is refused for no file that matters.
    let _ = fadvise(file, at, std::num::NonZeroU64::new(LABEL as u64), Advice::DontNeed);
    let mut buffer = vec![0; LABEL + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT);
    let aligned = buffer.get_mut(start..start.saturating_add(LABEL)).ok_or(io::ErrorKind::OutOfMemory)?;
    file.read_exact_at(aligned, at)?;
    Ok(aligned.to_vec())
}

/// The newest of the valid labels. A tie goes to the first: an interrupted update of the same group differs in
/// nothing that is looked at here.
fn choose(device: &Path, blocks: &[Vec<u8>]) -> Result<Label, LabelError> {
    let lists = blocks.iter().filter_map(|block| Nvlist::parse(block.get(LIST)?).ok());
    let (mut newest, mut copies, mut poolless): (Option<Label>, u8, _) = (None, 0, None);
    for list in lists {
        let Some(label) = parse_list(&list) else {
            poolless = poolless.or_else(|| list.unsigned("state").map(PoolState::from));
            continue;
        };
        copies += 1;
        if newest.as_ref().is_none_or(|newest| label.txg > newest.txg) {
            newest = Some(label);
        }
    }
    let newest_uberblock = blocks.iter().filter_map(|block| newest_uberblock(block.get(UBERBLOCKS)?)).max();
    let device = || device.to_owned();
    match (newest, poolless) {
        (Some(label), _) => Ok(Label { newest_uberblock, copies, ..label }),
        (None, Some(state)) => Err(LabelError::NoPool { device: device(), state }),
        (None, None) => Err(LabelError::None { device: device() }),
    }
}

/// A label's list as a label; nothing when it lacks what every data device's label has.
fn parse_list(list: &Nvlist) -> Option<Label> {
    let mut leaves = Vec::new();
    if let Some(tree) = list.list("vdev_tree") {
        collect_leaves(tree, &mut leaves);
    }
    Some(Label {
        pool_name: list.text("name")?.to_owned(),
        pool_guid: Guid(list.unsigned("pool_guid")?),
        vdev_guid: Guid(list.unsigned("guid")?),
        state: list.unsigned("state")?.into(),
        txg: Txg(list.unsigned("txg")?),
        newest_uberblock: None,
        hostid: list.unsigned("hostid"),
        hostname: list.text("hostname").map(str::to_owned),
        top_level_vdevs: list.unsigned("vdev_children").unwrap_or(1),
        leaves,
        copies: 0,
    })
}

/// The depth is bounded by the reader of the list.
fn collect_leaves(vdev: &Nvlist, leaves: &mut Vec<Guid>) {
    match vdev.lists("children") {
        [] => leaves.extend(vdev.unsigned("guid").map(Guid)),
        children => children.iter().for_each(|child| collect_leaves(child, leaves)),
    }
}

/// The highest transaction group in a ring of uberblocks, which are in the byte order of the host that wrote them.
fn newest_uberblock(ring: &[u8]) -> Option<Txg> {
    let word = |block: &[u8], at: usize| -> Option<[u8; 8]> { block.get(at..at + 8)?.try_into().ok() };
    let txg = |block: &[u8]| {
        let (magic, txg) = (word(block, 0)?, word(block, 16)?);
        match UBERBLOCK_MAGIC {
            m if m == u64::from_le_bytes(magic) => Some(Txg(u64::from_le_bytes(txg))),
            m if m == u64::from_be_bytes(magic) => Some(Txg(u64::from_be_bytes(txg))),
            _ => None,
        }
    };
    ring.chunks(UBERBLOCK_STEP).filter_map(txg).max()
}

#[cfg(test)]
mod tests;
