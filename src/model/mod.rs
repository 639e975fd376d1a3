//! The vocabulary: names, identities, histories, what was observed and what is wanted.
//!
//! No I/O, no clock and no decisions here. Names are parsed once at the border into types that cannot become
//! each other, so that a value proves that its check was made.

mod alerts;
mod bytes;
mod change;
mod disk;
mod fullness;
mod ident;
mod inventory;
mod luks;
mod name;
mod nvlist;
mod policy;
mod saving;
mod snapshot;

pub use alerts::{Address, AddressError, Alerts, FILE as PING_FILE, Ping, Service};
pub use bytes::{Bytes, BytesError};
pub use change::{Change, FileKind, How};
pub use disk::{Content, DeviceKind, DiskIdentity, DiskUse, Extent, FoundDisk, Holding};
pub use fullness::Fullness;
pub use ident::{Guid, GuidError, IvsetGuid, Txg};
pub use inventory::{
    Dataset, DatasetKind, Encryption, Inventory, KeyStatus, Missing, Mount, PoolFacts, ResumeState, Side,
    SnapshotDetail, WantedKey,
};
pub use luks::{Appeared, AppearedError, Luks, LuksUuid, LuksUuidError};
pub use name::{BookmarkName, DatasetName, NameError, PoolName, SnapName, SnapshotName};
#[cfg(test)]
pub(crate) use nvlist::packing;
pub use nvlist::{NvValue, Nvlist, NvlistError};
pub use policy::{
    Consents, DatasetFilter, HistoryMode, Keep, Policy, Prune, SendMode, SnapshotFilter, glob_set,
};
pub use saving::{BaseRule, Full, SavePolicy, Taking};
pub use snapshot::{Base, Bookmark, History, HistoryError, Snapshot};
