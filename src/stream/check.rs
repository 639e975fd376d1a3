//! Whether a stream is whole.
//!
//! Each record but BEGIN ends with the checksum of everything before it, so that its fields are looked at only when they
//! are known to be what was sent. A BEGIN is vouched for by the record behind it.

use std::io::Read;

use crate::model::Guid;

use super::error::{Damage, StreamError};
use super::fletcher::Fletcher4;
use super::input::{Along, Input};
use super::record::{Begin, CHECKED, Features, HEADER, Header, Kind, Order, may_begin};

/// What a whole stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// One stream.
    Single,
    /// So many, one after the other.
    Package(u64),
}

/// A stream that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// One stream or several.
    pub content: Content,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many records of each kind, in the order of [`Kind`].
    pub records: [u64; 11],
    /// The sender's byte order.
    pub order: Order,
}

/// Reads a stream to its end, and tells of each stream in it when that one is known to be whole.
///
/// Memory is that of a buffer, whatever is read.
///
/// # Errors
/// With the first thing that is wrong; what follows it was not looked at.
pub fn check(from: &mut dyn Read, seen: &mut dyn FnMut(&Begin)) -> Result<Whole, StreamError> {
    check_along(from, &mut |_| Ok(()), seen)
}

/// The same, and gives everything that is read to somebody else too, before it is looked at.
///
/// # Errors
/// With the first thing that is wrong, of which what the other one failed with is one.
pub fn check_along<'a>(
    from: &'a mut dyn Read,
    along: &'a mut Along<'a>,
    seen: &mut dyn FnMut(&Begin),
) -> Result<Whole, StreamError> {
    let mut reader = Reader::new(from, along);
    reader.whole(seen).map_err(|damage| reader.located(damage))
}

/// Reads as much of a stream as says what it is of: its first record and the one behind it, whose checksum vouches for both.
/// Of a package, those of the first stream in it.
///
/// # Errors
/// With the first thing that is wrong.
pub fn first(from: &mut dyn Read) -> Result<Begin, StreamError> {
    let mut nobody = |_| Ok(());
    let mut reader = Reader::new(from, &mut nobody);
    reader.first().map_err(|damage| reader.located(damage))
}

struct Reader<'a> {
    input: Input<'a>,
    /// Of the stream that is read.
    sums: Fletcher4,
    /// Everything before was checked.
    good: u64,
    order: Order,
    records: [u64; 11],
    /// The record that is looked at.
    number: u64,
    offset: u64,
    kind: Option<Kind>,
    /// The stream before this one: its dataset and its snapshot.
    before: Option<(String, Guid)>,
}

/// A record whose checksum was right.
struct Record {
    header: Header,
    kind: Kind,
}

impl<'a> Reader<'a> {
    fn new(from: &'a mut dyn Read, along: &'a mut Along<'a>) -> Self {
        Self {
            input: Input::new(from, along),
            sums: Fletcher4::default(),
            good: 0,
            order: Order::Little,
            records: [0; 11],
            number: 0,
            offset: 0,
            kind: None,
            before: None,
        }
    }

    fn located(&self, damage: Damage) -> StreamError {
        StreamError { offset: self.offset, record: self.number, kind: self.kind, damage }
    }

    fn whole(&mut self, seen: &mut dyn FnMut(&Begin)) -> Result<Whole, Damage> {
        let (begin, first) = self.opening()?;
        let content = if begin.is_package {
            self.package(&first, seen)?
        } else {
            self.stream(begin, first, seen)?;
            Content::Single
        };
        self.next_begins_here();
        if !self.input.has_ended()? {
            return Err(Damage::Trailing);
        }
        Ok(Whole { content, bytes: self.input.offset, records: self.records, order: self.order })
    }

    /// The first BEGIN of all, and the record behind it.
    fn opening(&mut self) -> Result<(Begin, Record), Damage> {
        let bytes = match self.next() {
            // A short text is no stream that was cut off.
            Err(Damage::CutOff { .. }) if !may_begin(self.input.rest()) => return Err(Damage::NoStream),
            other => other?.ok_or(Damage::Empty)?,
        };
        let header = Header::first(bytes)?;
        self.order = header.order();
        self.begin(&header)
    }

    fn first(&mut self) -> Result<Begin, Damage> {
        let (begin, _) = self.opening()?;
        if !begin.is_package {
            return Ok(begin);
        }
        let header = Header::new(self.next()?.ok_or(Damage::Unconcluded)?, self.order);
        if !header.is_begin() {
            return Err(Damage::Misplaced);
        }
        let (inner, _) = self.begin(&header)?;
        Ok(Begin { is_package: true, ..inner })
    }

    /// Several streams, between a pair of records of its own and a last one.
    fn package(&mut self, first: &Record, seen: &mut dyn FnMut(&Begin)) -> Result<Content, Damage> {
        if first.kind != Kind::End {
            return Err(Damage::Misplaced);
        }
        // Nothing vouches for the rest of this record, so that it has to be as it is always written.
        let rest = &first.header.bytes;
        if [&rest[4..8], &rest[40..]].concat().iter().any(|byte| *byte != 0) {
            return Err(Damage::NotBlank);
        }
        let mut streams = 0;
        loop {
            let header = Header::new(self.next()?.ok_or(Damage::Unconcluded)?, self.order);
            if header.is_begin() {
                let (begin, first) = self.begin(&header)?;
                if begin.is_package {
                    return Err(Damage::Misplaced);
                }
                self.stream(begin, first, seen)?;
                streams += 1;
                continue;
            }
            self.count(header.kind()?);
            let is_blank = header.bytes[4..].iter().all(|byte| *byte == 0);
            return match self.kind {
                Some(Kind::End) if is_blank => Ok(Content::Package(streams)),
                Some(Kind::End) => Err(Damage::NotBlank),
                _ => Err(Damage::Misplaced),
            };
        }
    }

    /// Takes a BEGIN with its list, and the record behind it, whose checksum is that of both.
    fn begin(&mut self, header: &Header) -> Result<(Begin, Record), Damage> {
        self.count(Kind::Begin);
        self.good = self.offset;
        self.sums = Fletcher4::default();
        self.sums.add(&header.bytes, self.order);
        self.payload(header.list_length()?)?;
        // What is wrong with it is told only once it is known to be what was sent.
        let begin = Begin::read(header);
        let first = self.record(begin.as_ref().map(|begin| begin.name.as_str()).unwrap_or_default())?;
        Ok((begin?, first))
    }

    /// What follows a BEGIN and the record behind it, to its END.
    fn stream(&mut self, begin: Begin, first: Record, seen: &mut dyn FnMut(&Begin)) -> Result<(), Damage> {
        self.goes_on(&begin)?;
        let mut record = first;
        loop {
            let Record { header, kind } = &record;
            if *kind == Kind::Begin {
                return Err(Damage::Misplaced);
            }
            let found = header.guid(*kind);
            if found != begin.to {
                return Err(Damage::OtherSnapshot { found, expected: begin.to });
            }
            if *kind == Kind::End {
                break;
            }
            may_be_in(*kind, begin.features)?;
            self.payload(header.payload(*kind, begin.features)?)?;
            record = self.record(&begin.name)?;
        }
        self.before = Some((begin.dataset().to_owned(), begin.to));
        seen(&begin);
        Ok(())
    }

    /// Streams of one dataset follow each other without a gap.
    fn goes_on(&self, begin: &Begin) -> Result<(), Damage> {
        match (&self.before, begin.from) {
            (Some((before, at)), Some(from)) if before == begin.dataset() && *at != from => {
                Err(Damage::Gap { name: begin.name.clone(), from, before: *at })
            }
            _ => Ok(()),
        }
    }

    /// The next record, once its checksum was found right.
    fn record(&mut self, stream: &str) -> Result<Record, Damage> {
        let bytes = self.next()?.ok_or_else(|| Damage::Unfinished { name: stream.to_owned() })?;
        let header = Header::new(bytes, self.order);
        self.kind = header.kind().ok();
        let (total, before) = (header.total(), self.sums);
        self.sums.add(&bytes[..CHECKED], self.order);
        let told = header.checksum();
        let is_end = self.kind == Some(Kind::End);
        // What opens a package has none, nor has anything that a ZFS of before 2015 wrote: the sum of the whole tells.
        if told != self.sums && !told.is_zero() {
            let (from, to) = (self.good, self.offset + CHECKED as u64);
            return Err(Damage::Checksum { from, to });
        }
        if is_end && total != before {
            return Err(Damage::Total);
        }
        self.sums.add(&bytes[CHECKED..], self.order);
        if !told.is_zero() {
            self.good = self.offset + CHECKED as u64;
        }
        let kind = header.kind()?;
        self.count(kind);
        Ok(Record { header, kind })
    }

    /// The bytes of the next record.
    fn next(&mut self) -> Result<Option<[u8; HEADER]>, Damage> {
        self.next_begins_here();
        self.input.header()
    }

    fn next_begins_here(&mut self) {
        self.number += 1;
        self.offset = self.input.offset;
        self.kind = None;
    }

    fn count(&mut self, kind: Kind) {
        self.kind = Some(kind);
        self.records[kind as usize] += 1;
    }

    fn payload(&mut self, length: u64) -> Result<(), Damage> {
        let (sums, order) = (&mut self.sums, self.order);
        self.input.payload(length, &mut |bytes| sums.add(bytes, order))
    }
}

/// Encrypted data come with the dnodes that were encrypted together, and never within a pointer.
fn may_be_in(kind: Kind, features: Features) -> Result<(), Damage> {
    let is_raw = features.has(Features::RAW);
    match kind {
        Kind::ObjectRange if !is_raw => Err(Damage::Misplaced),
        Kind::WriteEmbedded if is_raw => Err(Damage::Misplaced),
        _ => Ok(()),
    }
}
