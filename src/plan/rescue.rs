//! The rescue file system: a small partition beside the pool, which tells whoever has nothing but the drive and the
//! passphrase how to get the files back. Whether a drive gets one, how large it is and every text on it are decided
//! here; nothing here touches a disk.

mod page;
pub use page::config;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use jiff::Timestamp;

use crate::model::{
    Bytes, Dataset, DatasetKind, DatasetName, Guid, LuksUuid, Policy, PoolName, Side, SnapshotDetail,
    WantedKey,
};

/// What its partition is called in the table: by this name it is known, on the disk that the pool is on.
pub const PARTITION: &str = "zferry-rescue";
/// The configuration there.
pub const CONFIG: &str = "config.toml";
/// The only kind of file system that it is.
pub const KIND: &str = "ext4";

const MIB: u64 = 1 << 20;
/// Of a large disk.
const LARGEST: u64 = 512 * MIB;
/// Of a disk for which that would be much: one part of so many.
const SHARE: u64 = 8;
/// Below this the program does not fit beside the version that it replaces, and the disk is a small one.
const SMALLEST: u64 = 128 * MIB;
/// What a label of ext4 can have.
const LABEL: usize = 16;
/// What the file system needs for itself, and the texts.
const RESERVED: u64 = 4 * MIB;

/// How much of a disk of this size becomes the rescue file system; nothing of a disk that is too small for one.
pub fn size(disk: Bytes) -> Option<Bytes> {
    let share = (disk.0 / SHARE / MIB * MIB).min(LARGEST);
    (share >= SMALLEST).then_some(Bytes(share))
}

/// What desktops show: `RESCUE-t7`. Only for people.
pub fn label(drive: &str) -> String {
    format!("RESCUE-{drive}").chars().take(LABEL).collect()
}

/// Whether the program is put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// It is, in the build that needs no library.
    Static,
    /// It is, and needs the libraries of this computer.
    Shared,
    /// It is not; why, as the end of a sentence.
    LeftOut(String),
}

/// Whether a program of this size, which lies at this path, is put on a file system that has so much room in all. Two of
/// them must fit: one is written beside the other.
pub fn program(path: &Path, is_static: bool, size: Bytes, room: Bytes) -> Program {
    if path.starts_with("/nix/store") && !is_static {
        let why = "it was built for NixOS and needs files of that computer's /nix/store";
        return Program::LeftOut(why.to_owned());
    }
    if size.0.saturating_mul(2).saturating_add(RESERVED) > room.0 {
        return Program::LeftOut(format!("it takes {size}, and this file system has {room} in all"));
    }
    if is_static { Program::Static } else { Program::Shared }
}

/// What the texts are made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The drive's name.
    pub drive: &'a str,
    /// Its pool's name.
    pub pool: &'a PoolName,
    /// Its pool's guid.
    pub guid: Guid,
    /// The LUKS container that the pool lies in.
    pub luks: Option<&'a LuksUuid>,
    /// The computer that is backed up.
    pub host: &'a str,
    /// Of the zferry that writes this.
    pub version: &'a str,
    /// When that is.
    pub now: Timestamp,
    /// What is on the drive.
    pub side: &'a Side,
    /// When snapshots were made, by full name.
    pub details: &'a HashMap<String, SnapshotDetail>,
    /// What is backed up to where.
    pub policies: &'a [Policy],
    /// The configuration, as a file.
    pub config: &'a str,
    /// Whether the program is there.
    pub program: &'a Program,
    /// The page is on no rescue file system, but printed for somebody to keep.
    pub printed: bool,
}

/// The page alone, for a drive that has no place for it.
pub fn page(facts: &Facts<'_>) -> String {
    page::readme(facts, &copies(facts))
}

/// The texts, by the names of their files.
pub fn texts(facts: &Facts<'_>) -> BTreeMap<&'static str, String> {
    let copies = copies(facts);
    [
        ("README.txt", page::readme(facts, &copies)),
        ("datasets.txt", page::datasets(facts, &copies)),
        (CONFIG, config(facts.drive, facts.host, facts.config)),
    ]
    .into()
}

/// The newest snapshot of every dataset that has one: what is to be asked when it was made.
pub fn questions(side: &Side) -> Vec<String> {
    let newest = |dataset: &Dataset| Some(format!("{}@{}", dataset.name, dataset.history.newest()?.name));
    side.datasets.values().filter_map(newest).collect()
}

/// What opens a dataset.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    /// It is not encrypted.
    None,
    /// The same as this one.
    Of(DatasetName),
    /// A passphrase.
    Passphrase,
    /// A file, which was there.
    File(String),
    /// A key of bytes.
    Bytes,
}

/// A dataset of the drive, as a stranger needs to know it.
#[derive(Debug)]
struct Copy<'a> {
    dataset: &'a Dataset,
    /// What it is the copy of.
    source: Option<DatasetName>,
    key: Key,
    /// Below the pool's name; nothing: the pool's own dataset.
    below: &'a str,
    /// When its newest snapshot was made.
    newest: Option<Timestamp>,
}

impl Copy<'_> {
    fn has_snapshots(&self) -> bool {
        self.dataset.history.newest().is_some()
    }

    /// Whether it has files that can be looked at.
    fn has_files(&self) -> bool {
        self.has_snapshots() && self.dataset.kind == DatasetKind::Filesystem
    }
}

/// All of them, parents first.
fn copies<'a>(facts: &'a Facts<'_>) -> Vec<Copy<'a>> {
    let mut all: Vec<_> = facts.side.datasets.values().collect();
    all.sort_by_key(|dataset| (dataset.name.depth(), dataset.name.as_str()));
    let copy = |dataset: &'a Dataset| {
        let newest = dataset.history.newest().map(|newest| format!("{}@{}", dataset.name, newest.name));
        Copy {
            dataset,
            source: source(&dataset.name, facts.policies),
            key: key(dataset),
            below: dataset.name.as_str().split_once('/').map_or("", |(_, below)| below),
            newest: newest.and_then(|name| facts.details.get(&name)?.creation),
        }
    };
    all.into_iter().map(copy).collect()
}

/// What the configuration says that it is a copy of.
fn source(target: &DatasetName, policies: &[Policy]) -> Option<DatasetName> {
    policies.iter().find_map(|policy| match target.below(&policy.target)? {
        "" => Some(policy.source.clone()),
        below => policy.source.join(below).ok(),
    })
}

fn key(dataset: &Dataset) -> Key {
    match &dataset.encryption {
        None => Key::None,
        Some(encryption) if encryption.root != dataset.name => Key::Of(encryption.root.clone()),
        Some(encryption) => match &encryption.wanted {
            WantedKey::Passphrase => Key::Passphrase,
            WantedKey::File(file) => Key::File(file.clone()),
            WantedKey::Bytes => Key::Bytes,
        },
    }
}
