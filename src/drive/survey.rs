//! What a block device is, what is on it and who uses it, before anything is written to it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::in_use::{InUse, uses_of_disk};
use super::{Disk, Label, LabelError, PoolState, Root};
use crate::model::{Bytes, Content, DeviceKind, DiskIdentity, DiskUse, Extent, FoundDisk, Holding};

/// Of sysfs, whatever the disk's sectors are.
const SECTOR: u64 = 512;
/// For a device that answers.
const LABEL: Duration = Duration::from_secs(20);

/// What udev knows of a block device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The disk that it is, or is on.
    pub disk: Option<Disk>,
    /// What blkid found by its first bytes.
    pub kind: Option<String>,
    /// The name of that.
    pub label: Option<String>,
}

/// Why nothing can be said of a device.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// There is no such file.
    #[error("there is no device {}", .0.display())]
    Missing(PathBuf),
    /// A file, a directory.
    #[error("{} is no block device", .0.display())]
    NoDevice(PathBuf),
    /// The kernel's files, udev or the device do not answer.
    #[error("{} cannot be examined", device.display())]
    Unreadable {
        /// The device.
        device: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its labels cannot be read, so that nobody knows whether it belongs to a pool.
    #[error("whether there is a pool on it is not known")]
    Label(#[source] LabelError),
}

/// The kernel's name of a block device, from whatever link leads to it.
///
/// # Errors
/// When there is nothing, or no block device.
pub fn resolve(root: &Root, device: &Path) -> Result<PathBuf, SurveyError> {
    let found = std::fs::canonicalize(device).map_err(|_| SurveyError::Missing(device.to_owned()))?;
    let name = found.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_block = found.starts_with("/dev") && root.at(Path::new("/sys/class/block").join(name)).exists();
    if is_block { Ok(found) } else { Err(SurveyError::NoDevice(device.to_owned())) }
}

/// Looks at a block device by its node. `pools` are the imported pools with the nodes of their devices.
///
/// # Errors
/// When anything that decides whether it may be erased cannot be read.
pub fn survey(
    root: &Root,
    node: &Path,
    pools: &[(String, Vec<PathBuf>)],
) -> Result<(Disk, FoundDisk), SurveyError> {
    let unreadable = |source| SurveyError::Unreadable { device: node.to_owned(), source };
    let nothing = || unreadable(io::Error::other("it is gone, or udev does not know it yet"));
    let name = node.file_name().and_then(|name| name.to_str()).ok_or_else(nothing)?;
    let sysfs = Path::new("/sys/class/block").join(name);
    let number = |file: &str| root.text(sysfs.join(file)).and_then(|text| text.parse::<u64>().ok());
    let size = number("size").ok_or_else(nothing)?.saturating_mul(SECTOR);
    let known = root.devices.known(name).map_err(unreadable)?;
    let disk = known.disk.clone().ok_or_else(nothing)?;
    let kind = kind(root, &sysfs, &disk, node);
    let is_disk = kind == DeviceKind::Disk;
    let parts = if is_disk { partitions(root, name) } else { Vec::new() };
    let imported: Vec<PathBuf> = pools.iter().flat_map(|(_, nodes)| nodes.clone()).collect();
    let uses = if is_disk { uses_of_disk(root, name, &imported).map_err(unreadable)? } else { Vec::new() };
    let uses: Vec<DiskUse> = uses.into_iter().map(|of| disk_use(of, pools)).collect();
    let contents =
        if is_disk && uses.is_empty() { contents(root, node, &known, &parts)? } else { Vec::new() };
    let identity = DiskIdentity {
        node: node.to_owned(),
        number: root.text(sysfs.join("dev")).ok_or_else(nothing)?,
        diskseq: number("diskseq").or(disk.diskseq),
        serial: disk.serial.clone(),
        size: Bytes(size),
    };
    let found = FoundDisk {
        identity,
        model: disk.model.clone(),
        bus: disk.bus.clone(),
        kind,
        removable: is_removable(root, &disk),
        read_only: number("ro") == Some(1),
        sector: number("queue/logical_block_size").unwrap_or(SECTOR),
        uses,
        contents,
        partitions: parts.into_iter().map(|(_, extent)| extent).collect(),
    };
    Ok((disk, found))
}

/// Whether a disk is made to be taken away: behind USB, or with a medium that can be taken out.
pub fn is_removable(root: &Root, disk: &Disk) -> bool {
    let says_so = root.text(Path::new("/sys/block").join(disk.name()).join("removable"));
    disk.usb_device.is_some() || says_so.as_deref() == Some("1")
}

/// A partition, a disk, or something that is only like one: those have no hardware behind them.
fn kind(root: &Root, sysfs: &Path, disk: &Disk, node: &Path) -> DeviceKind {
    if root.at(sysfs.join("partition")).exists() {
        return DeviceKind::Partition { of: disk.node.clone() };
    }
    let is_hardware = root.at(sysfs.join("device")).exists() && disk.node == node;
    if is_hardware { DeviceKind::Disk } else { DeviceKind::Made }
}

/// The partitions of a disk: node, and where they are on it.
fn partitions(root: &Root, disk: &str) -> Vec<(PathBuf, Extent)> {
    let below = root.disk_and_partitions(disk).into_iter().skip(1);
    let extent = |directory: &Path| {
        let number = |file: &str| root.text(directory.join(file))?.parse::<u64>().ok();
        let start = number("start")?.saturating_mul(SECTOR);
        Some(Extent { start, end: start.saturating_add(number("size")?.saturating_mul(SECTOR)) })
    };
    below.filter_map(|(name, directory)| Some((Path::new("/dev").join(name), extent(&directory)?))).collect()
}

fn disk_use(of: InUse, pools: &[(String, Vec<PathBuf>)]) -> DiskUse {
    match of {
        InUse::Mounted { node, point } => DiskUse::Mounted { node, point },
        InUse::Swap { node } => DiskUse::Swap { node },
        InUse::Held { node, by } => DiskUse::Held { node, by },
        InUse::Pool { node } => {
            let pool = pools.iter().find(|(_, nodes)| nodes.contains(&node));
            DiskUse::Pool { node, pool: pool.map_or_else(String::new, |(name, _)| name.clone()) }
        }
    }
}

/// What is on the disk and on its partitions. Pools by their labels, which are read from the device itself: udev may
/// not have seen the last change. The rest as udev knows it.
fn contents(
    root: &Root,
    node: &Path,
    known: &Known,
    parts: &[(PathBuf, Extent)],
) -> Result<Vec<Content>, SurveyError> {
    let mut contents = Vec::new();
    for (part, _) in parts {
        let name = part.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // udev may have no record of a partition that has just come; then its content is unknown, which is told.
        let known = root.devices.known(name).unwrap_or_default();
        let holding = holding(root, part, &known)?.unwrap_or(Holding::Unknown);
        contents.push(Content { node: part.clone(), holding });
    }
    // The last labels of the last partition are those of the disk as well: told once.
    let of_the_disk = holding(root, node, known)?;
    let is_pool = matches!(of_the_disk, Some(Holding::Pool { .. }));
    let is_told = contents.iter().any(|content| Some(&content.holding) == of_the_disk.as_ref());
    if let Some(holding) = of_the_disk.filter(|_| !is_pool || !is_told) {
        contents.push(Content { node: node.to_owned(), holding });
    }
    Ok(contents)
}

fn holding(root: &Root, node: &Path, known: &Known) -> Result<Option<Holding>, SurveyError> {
    match root.label(node, LABEL) {
        Ok(label) => Ok(Some(pool(label))),
        Err(LabelError::None { .. }) => {
            let kind = known.kind.clone();
            Ok(kind.map(|kind| Holding::Other { kind, label: known.label.clone() }))
        }
        Err(LabelError::NoPool { state, .. }) => {
            let kind = format!("part of a ZFS pool ({state:?})");
            Ok(Some(Holding::Other { kind, label: None }))
        }
        Err(error) => Err(SurveyError::Label(error)),
    }
}

fn pool(label: Label) -> Holding {
    let host = label.hostname.filter(|_| label.state == PoolState::Active);
    Holding::Pool { name: label.pool_name, guid: Some(label.pool_guid), last_used_by: host }
}

#[cfg(test)]
mod tests;
