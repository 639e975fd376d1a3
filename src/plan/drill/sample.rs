//! Which files are read. The same seed chooses the same files of a snapshot, on any computer.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::model::Bytes;

use super::{Entry, Listing};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Every file.
    All,
    /// Some, that this number chooses.
    Some {
        /// The number.
        seed: u64,
    },
}

/// A sample has at least so many files …
pub const LEAST_FILES: usize = 50;
/// … and at least so much in them, where there is so much.
pub const LEAST: Bytes = Bytes(64 << 20);

/// The files that are read, in the order of their paths: that is how a disk is read quickest.
pub fn sample(listing: &Listing, sampling: Sampling) -> Vec<(&Path, Bytes)> {
    let files = listing.entries.iter().filter_map(|(path, entry)| match entry {
        Entry::File(length) => Some((path, *length)),
        _ => None,
    });
    let Sampling::Some { seed } = sampling else {
        return files.map(|(path, length)| (path.as_path(), length)).collect();
    };
    let mut ranked: Vec<(u64, &PathBuf, Bytes)> =
        files.map(|(path, length)| (rank(path, seed), path, length)).collect();
    ranked.sort_unstable();
    let mut chosen: Vec<(&Path, Bytes)> = Vec::new();
    let mut read = 0_u64;
    for (_, path, length) in ranked {
        if chosen.len() >= LEAST_FILES && read >= LEAST.0 {
            break;
        }
        read = read.saturating_add(length.0);
        chosen.push((path, length));
    }
    chosen.sort_unstable();
    chosen
}

/// A number that looks like chance and is the same each time: FNV-1a of the path, stirred with the seed (splitmix64).
/// Nothing hangs on nobody being able to foresee it.
fn rank(path: &Path, seed: u64) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold);
    let mut number = hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
