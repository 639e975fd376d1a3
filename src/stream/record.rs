//! One record: 312 bytes in the sender's own byte order, then its payload.

use crate::model::Guid;

use super::error::Damage;
use super::fletcher::Fletcher4;

/// The length of a record without its payload, in bytes.
pub const HEADER: usize = 312;
/// Where the checksum of all that comes before stands, in every record but BEGIN.
pub const CHECKED: usize = 280;

const MAGIC: u64 = 0x0002_F5BA_CBAC;
/// What BEGIN may carry: a list of names and values (`libzfs_sendrecv.c` refuses more).
const MOST_OF_BEGIN: u64 = 1 << 28;
/// The largest block there is (`SPA_MAXBLOCKSIZE`).
const LARGEST_BLOCK: u64 = 16 << 20;
/// The largest one that streams without `LARGE_BLOCKS` have (`SPA_OLD_MAXBLOCKSIZE`).
const LARGE_BLOCK: u64 = 128 << 10;
/// A dnode of the largest size, of which the bonus is the most.
const LARGEST_BONUS: u64 = 16 << 10;
/// What fits into a block pointer (`BPE_PAYLOAD_SIZE`).
const LARGEST_EMBEDDED: u64 = 112;

/// The byte order of the computer that sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The least significant byte first: x86, ARM.
    Little,
    /// The most significant byte first.
    Big,
}

/// What a record is, by the name that `zstream dump` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The first record of a stream, and of each stream within one.
    Begin,
    /// A file, a directory, or part of a volume: its dnode.
    Object,
    /// Objects that are no more.
    FreeObjects,
    /// A block.
    Write,
    /// Blocks that are no more.
    Free,
    /// The last one.
    End,
    /// A block that an earlier one holds already (deduplicated streams; no current ZFS writes them).
    WriteByRef,
    /// Attributes that the dnode has no room for.
    Spill,
    /// A block that is short enough for its pointer.
    WriteEmbedded,
    /// Dnodes that were encrypted together (raw streams).
    ObjectRange,
    /// Blocks that were left out.
    Redact,
}

/// All of them, by their numbers.
pub const KINDS: [Kind; 11] = [
    Kind::Begin,
    Kind::Object,
    Kind::FreeObjects,
    Kind::Write,
    Kind::Free,
    Kind::End,
    Kind::WriteByRef,
    Kind::Spill,
    Kind::WriteEmbedded,
    Kind::ObjectRange,
    Kind::Redact,
];

impl Kind {
    /// As `zstream dump` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Object => "OBJECT",
            Self::FreeObjects => "FREEOBJECTS",
            Self::Write => "WRITE",
            Self::Free => "FREE",
            Self::End => "END",
            Self::WriteByRef => "WRITE_BYREF",
            Self::Spill => "SPILL",
            Self::WriteEmbedded => "WRITE_EMBEDDED",
            Self::ObjectRange => "OBJECT_RANGE",
            Self::Redact => "REDACT",
        }
    }

    /// Where the guid of the snapshot stands that the record belongs to.
    fn guid_at(self) -> usize {
        match self {
            Self::Begin | Self::Object | Self::Write | Self::End => 40,
            Self::FreeObjects | Self::Spill | Self::ObjectRange => 24,
            Self::Free | Self::WriteByRef | Self::WriteEmbedded | Self::Redact => 32,
        }
    }
}

/// Whether these may be the first bytes of a stream, of which there are too few for a record.
pub fn may_begin(bytes: &[u8]) -> bool {
    let begins = |magic: [u8; 8]| {
        let expected =
            (0..4).map(|at| (at, 0)).chain(magic.into_iter().enumerate().map(|(at, byte)| (at + 8, byte)));
        expected.into_iter().all(|(at, byte)| bytes.get(at).is_none_or(|found| *found == byte))
    };
    begins(MAGIC.to_le_bytes()) || begins(MAGIC.to_be_bytes())
}

/// A record without its payload.
#[derive(Debug, Clone)]
pub struct Header {
    /// Its bytes.
    pub bytes: [u8; HEADER],
    order: Order,
}

impl Header {
    /// The first one of a stream: it tells the byte order of all.
    pub fn first(bytes: [u8; HEADER]) -> Result<Self, Damage> {
        [Order::Little, Order::Big]
            .map(|order| Self { bytes, order })
            .into_iter()
            .find(|header| header.is_begin())
            .ok_or(Damage::NoStream)
    }

    /// One of the others.
    pub fn new(bytes: [u8; HEADER], order: Order) -> Self {
        Self { bytes, order }
    }

    /// The sender's byte order.
    pub fn order(&self) -> Order {
        self.order
    }

    /// What it is.
    pub fn kind(&self) -> Result<Kind, Damage> {
        let number = self.u32(0);
        KINDS.get(number as usize).copied().ok_or(Damage::UnknownKind(number))
    }

    /// Whether it is a BEGIN, by its number and by the mark that each of them has.
    pub fn is_begin(&self) -> bool {
        self.u32(0) == 0 && self.u64(8) == MAGIC
    }

    /// The snapshot that it belongs to.
    pub fn guid(&self, kind: Kind) -> Guid {
        Guid(self.u64(kind.guid_at()))
    }

    /// The checksum of everything before it.
    pub fn checksum(&self) -> Fletcher4 {
        self.sums(CHECKED)
    }

    /// Of an END: that of its whole stream.
    pub fn total(&self) -> Fletcher4 {
        self.sums(8)
    }

    /// Of a BEGIN: how long the list is that follows it.
    pub fn list_length(&self) -> Result<u64, Damage> {
        of_words(bounded(u64::from(self.u32(4)), MOST_OF_BEGIN, "a list")?)
    }

    /// How many bytes follow, of every record but BEGIN.
    pub fn payload(&self, kind: Kind, features: Features) -> Result<u64, Damage> {
        let block = if features.has(Features::LARGE_BLOCKS) { LARGEST_BLOCK } else { LARGE_BLOCK };
        let length = match kind {
            Kind::Object => {
                let raw = u64::from(self.u32(36));
                let bonus = if raw == 0 { padded(u64::from(self.u32(28))) } else { raw };
                bounded(bonus, LARGEST_BONUS, "attributes")?
            }
            Kind::Write => {
                let logical = bounded(self.u64(32), block, "a block")?;
                if self.bytes[50] == 0 { logical } else { bounded(self.u64(96), block, "a block")? }
            }
            Kind::Spill => {
                let logical = bounded(self.u64(16), LARGEST_BLOCK, "attributes")?;
                let stored = bounded(self.u64(40), LARGEST_BLOCK, "attributes")?;
                if stored == 0 { logical } else { stored }
            }
            Kind::WriteEmbedded => {
                padded(bounded(u64::from(self.u32(52)), LARGEST_EMBEDDED, "an embedded block")?)
            }
            Kind::Begin => self.list_length()?,
            Kind::FreeObjects
            | Kind::Free
            | Kind::End
            | Kind::WriteByRef
            | Kind::ObjectRange
            | Kind::Redact => 0,
        };
        of_words(length)
    }

    fn sums(&self, at: usize) -> Fletcher4 {
        Fletcher4::from_sums([0, 8, 16, 24].map(|more| self.u64(at + more)))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.least_first(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.least_first(at))
    }

    /// The bytes of a number, the least significant one first.
    fn least_first<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[at..at + N]);
        if self.order == Order::Big {
            bytes.reverse();
        }
        bytes
    }
}

fn padded(length: u64) -> u64 {
    length.next_multiple_of(8)
}

/// The checksums are over words of four bytes, so that nothing else can have been sent.
fn of_words(length: u64) -> Result<u64, Damage> {
    if length.is_multiple_of(4) { Ok(length) } else { Err(Damage::Odd(length)) }
}

fn bounded(length: u64, most: u64, of: &'static str) -> Result<u64, Damage> {
    if length <= most { Ok(length) } else { Err(Damage::TooLong { of, length, most }) }
}

/// What a receiver has to know to take a stream: bits of BEGIN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// Blocks of more than 128 KiB.
    pub const LARGE_BLOCKS: u64 = 1 << 19;
    /// It goes on from where a receive was interrupted.
    pub const RESUMING: u64 = 1 << 20;
    /// As it lies on the disk: encrypted data stay encrypted.
    pub const RAW: u64 = 1 << 24;
    /// Those that have a meaning (`DMU_BACKUP_FEATURE_*`).
    const KNOWN: u64 = 0b111 | 0b11_1111 << 19 | 0b11 << 16 | 0b1_1111 << 25;

    /// Whether it has this one.
    pub fn has(self, feature: u64) -> bool {
        self.0 & feature != 0
    }
}

/// What BEGIN says of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The snapshot, as its sender called it; whatever cannot be shown is made visible.
    pub name: String,
    /// The snapshot.
    pub to: Guid,
    /// The one that the receiver must have already; none: it needs nothing.
    pub from: Option<Guid>,
    /// When the snapshot was taken, in seconds since 1970.
    pub created: u64,
    /// It is a volume, and no file system.
    pub is_volume: bool,
    /// It holds several streams, one after the other (`-R`, `-I`, `-p`).
    pub is_package: bool,
    pub(super) features: Features,
}

impl Begin {
    /// What the record says.
    pub fn read(header: &Header) -> Result<Self, Damage> {
        const PACKAGE: u64 = 2;
        const SINGLE: u64 = 1;
        let version = header.u64(16);
        let is_package = match version & 0b11 {
            SINGLE => false,
            PACKAGE => true,
            other => return Err(Damage::UnknownForm(other)),
        };
        let features = Features(version >> 2 & ((1 << 56) - 1));
        let unknown = features.0 & !Features::KNOWN;
        if unknown != 0 {
            return Err(Damage::UnknownFeatures(unknown));
        }
        let name = header.bytes[56..].split(|byte| *byte == 0).next().unwrap_or_default();
        let from = header.u64(48);
        Ok(Self {
            name: crate::process::printable(&String::from_utf8_lossy(name)),
            to: header.guid(Kind::Begin),
            from: (from != 0).then_some(Guid(from)),
            created: header.u64(24),
            is_volume: header.u32(32) == 3,
            is_package,
            features,
        })
    }

    /// The dataset, as its sender called it.
    pub fn dataset(&self) -> &str {
        self.name.split('@').next().unwrap_or_default()
    }

    /// Whether encrypted data stay encrypted on their way.
    pub fn is_raw(&self) -> bool {
        self.features.has(Features::RAW)
    }

    /// Whether it is the rest of a stream that was interrupted.
    pub fn is_rest(&self) -> bool {
        self.features.has(Features::RESUMING)
    }
}
