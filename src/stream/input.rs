//! What a stream is read from: a file or a pipe, in pieces that end where words do.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::error::Damage;
use super::record::HEADER;

/// How much is read at a time, in bytes: whoever hears of it is woken for each, which costs more than a larger cache miss.
const BUFFER: usize = 1 << 20;
/// What a word is, in bytes: checksums are over whole ones.
const WORD: usize = 4;

/// Bytes of a stream as they were read, which others may keep as long as they like.
#[derive(Debug, Clone)]
pub struct Chunk {
    buffer: Arc<[u8]>,
    range: Range<usize>,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

/// Who gets everything that is read, as soon as it is. What it fails with ends the reading.
pub type Along<'a> = dyn FnMut(Chunk) -> io::Result<()> + 'a;

/// Reads records and their payloads, and no more than it has room for.
pub struct Input<'a> {
    from: &'a mut dyn Read,
    along: &'a mut Along<'a>,
    buffer: Arc<[u8]>,
    /// Buffers that were given along, the oldest first.
    given: VecDeque<Arc<[u8]>>,
    start: usize,
    end: usize,
    /// How many bytes were taken.
    pub offset: u64,
}

impl<'a> Input<'a> {
    /// From its beginning.
    pub fn new(from: &'a mut dyn Read, along: &'a mut Along<'a>) -> Self {
        Self { from, along, buffer: room(), given: VecDeque::new(), start: 0, end: 0, offset: 0 }
    }

    /// The next record; nothing at the end of the input.
    pub fn header(&mut self) -> Result<Option<[u8; HEADER]>, Damage> {
        let there = self.at_least(HEADER)?;
        if there == 0 {
            return Ok(None);
        }
        let Some(header) = self.buffer[self.start..self.end].first_chunk::<HEADER>().copied() else {
            return Err(Damage::CutOff { missing: (HEADER - there) as u64 });
        };
        self.take(HEADER);
        Ok(Some(header))
    }

    /// What was read and not taken.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// So many bytes, a multiple of four, piece by piece.
    pub fn payload(&mut self, length: u64, each: &mut dyn FnMut(&[u8])) -> Result<(), Damage> {
        let mut left = length;
        while left > 0 {
            let there = self.at_least(WORD)?;
            if there < WORD {
                return Err(Damage::CutOff { missing: left.saturating_sub(there as u64) });
            }
            let whole = there - there % WORD;
            let piece = usize::try_from(left).map_or(whole, |left| left.min(whole));
            each(&self.buffer[self.start..self.start + piece]);
            self.take(piece);
            left -= piece as u64;
        }
        Ok(())
    }

    /// Whether nothing follows.
    pub fn has_ended(&mut self) -> Result<bool, Damage> {
        Ok(self.at_least(1)? == 0)
    }

    fn take(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// How many bytes are in the buffer: so many, or what is left of the input.
    fn at_least(&mut self, wanted: usize) -> Result<usize, Damage> {
        if self.end - self.start >= wanted {
            return Ok(self.end - self.start);
        }
        self.make_room();
        let (begin, buffer) = (self.end, Arc::make_mut(&mut self.buffer));
        while self.end < wanted {
            match self.from.read(&mut buffer[self.end..]) {
                Ok(0) => break,
                Ok(more) => self.end += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Damage::Unreadable(error)),
            }
        }
        let chunk = Chunk { buffer: Arc::clone(&self.buffer), range: begin..self.end };
        (self.along)(chunk).map_err(Damage::Unreadable)?;
        Ok(self.end)
    }

    /// What was not taken moves to the front of a buffer that nobody else has: this one, one that was given back, or a new
    /// one.
    fn make_room(&mut self) {
        let left = self.start..self.end;
        (self.start, self.end) = (0, left.len());
        if Arc::strong_count(&self.buffer) > 1 {
            let is_back = self.given.front().is_some_and(|oldest| Arc::strong_count(oldest) == 1);
            let back = if is_back { self.given.pop_front() } else { None };
            let old = std::mem::replace(&mut self.buffer, back.unwrap_or_else(room));
            Arc::make_mut(&mut self.buffer)[..left.len()].copy_from_slice(&old[left]);
            self.given.push_back(old);
        } else {
            Arc::make_mut(&mut self.buffer).copy_within(left, 0);
        }
    }
}

fn room() -> Arc<[u8]> {
    vec![0; BUFFER].into()
}
