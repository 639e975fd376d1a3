//! Streams as `zfs send` writes them, looked at without ZFS and without a key.
//!
//! A stream in a file is all or nothing: one bit that flips, and `zfs receive` takes nothing of what follows. So a file is
//! worth what is known of it, and [`check`] tells that by reading it once: the order of the records, their fields, the
//! checksum behind each of them and that of the whole. What these checksums cannot tell is whether the file is the one that
//! was meant, and whether the data in it are the sender's (only the key's holder can).
//!
//! The format is that of OpenZFS (`include/sys/zfs_ioctl.h`: `dmu_replay_record_t`; `lib/libzfs/libzfs_sendrecv.c`).

mod chain;
mod check;
mod error;
mod fletcher;
mod input;
mod manifest;
mod record;
mod side_by_side;

pub use chain::{NoChain, Piece, chain};
pub use check::{Content, Whole, check, check_along, first};
pub use error::{Damage, StreamError};
pub use fletcher::Fletcher4;
pub use input::{Along, Chunk};
pub use manifest::{LARGEST as LARGEST_MANIFEST, Manifest, NoManifest};
pub use record::{Begin, KINDS, Kind, Order};

#[cfg(test)]
pub(crate) mod imitation;
#[cfg(test)]
mod tests;
