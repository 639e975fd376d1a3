//! What is wrong with a stream, and where.

use std::fmt;
use std::io;

use super::record::Kind;
use crate::model::Guid;

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// Not one byte.
    #[error("there is nothing in it")]
    Empty,
    /// Something else, or the first bytes are damaged.
    #[error("it does not begin as what `zfs send` writes does")]
    NoStream,
    /// It ends within a record.
    #[error("it was cut off here, in the middle of a record: at least {missing} bytes are missing")]
    CutOff {
        /// How many more this record has.
        missing: u64,
    },
    /// It ends between two records.
    #[error("it was cut off here, between two records: the rest of the stream of {name} is missing")]
    Unfinished {
        /// The snapshot.
        name: String,
    },
    /// Of several streams the rest is missing, or only the last record.
    #[error("it was cut off here, between two of its streams: the record that ends all of them is missing")]
    Unconcluded,
    /// The checksum of a record is not that of what comes before it.
    #[error(
        "the checksum here is not that of what was read: something between byte {from} and byte {to} is damaged"
    )]
    Checksum {
        /// Everything before was checked.
        from: u64,
        /// What follows was not looked at.
        to: u64,
    },
    /// The checksum of a whole stream is wrong, and those of its records are right.
    #[error("the checksum of the whole stream is not that of what was read")]
    Total,
    /// No number of a kind.
    #[error("no record has the number {0}")]
    UnknownKind(u32),
    /// Neither one stream nor several.
    #[error("its first record says neither that it is one stream nor that it is several ({0})")]
    UnknownForm(u64),
    /// A newer ZFS, or one that is not OpenZFS.
    #[error("it uses features that this version does not know (bits {0:#x}): a newer zferry may")]
    UnknownFeatures(u64),
    /// A kind of record that does not belong here.
    #[error("such a record does not belong here: parts of the stream are missing, or not in their order")]
    Misplaced,
    /// A record that only opens or ends others has something in it.
    #[error("something stands in it where ZFS writes nothing")]
    NotBlank,
    /// More than there can be.
    #[error("it tells of {of} of {length} bytes, and there are none of more than {most}")]
    TooLong {
        /// What is too long.
        of: &'static str,
        /// In bytes.
        length: u64,
        /// In bytes.
        most: u64,
    },
    /// A length that ZFS does not write.
    #[error("it tells of {0} bytes, which is no multiple of four")]
    Odd(u64),
    /// A record of another stream.
    #[error("it belongs to the snapshot with the guid {found}, and this stream is one of {expected}")]
    OtherSnapshot {
        /// Which one.
        found: Guid,
        /// Which one the stream is of.
        expected: Guid,
    },
    /// Of several streams of one dataset, one does not go on where the one before ended.
    #[error("the stream of {name} continues from the guid {from}, and the one before it ends with {before}")]
    Gap {
        /// The snapshot.
        name: String,
        /// What it needs.
        from: Guid,
        /// What is there.
        before: Guid,
    },
    /// It goes on behind its last record.
    #[error("the stream ends here, and something follows it")]
    Trailing,
    /// It could not be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
}

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
pub struct StreamError {
    /// Where the record begins, in bytes from the beginning.
    pub offset: u64,
    /// Which record it is, counted from 1.
    pub record: u64,
    /// What it says to be.
    pub kind: Option<Kind>,
    /// What is wrong with it.
    #[source]
    pub damage: Damage,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}", self.record)?;
        if let Some(kind) = self.kind {
            write!(f, " ({})", kind.name())?;
        }
        write!(f, ", at byte {}", self.offset)
    }
}
