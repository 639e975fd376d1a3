//! What a stream is read from: a file or a pipe, in pieces that end where words do.

use std::io::{ErrorKind, Read};

use super::error::Damage;
use super::record::HEADER;

/// How much is read at a time, in bytes.
const BUFFER: usize = 1 << 20;
/// What a word is, in bytes: checksums are over whole ones.
const WORD: usize = 4;

/// Reads records and their payloads, and no more than it has room for.
pub struct Input<'a> {
    from: &'a mut dyn Read,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes were taken.
    pub offset: u64,
}

impl<'a> Input<'a> {
    /// From its beginning.
    pub fn new(from: &'a mut dyn Read) -> Self {
        Self { from, buffer: vec![0; BUFFER], start: 0, end: 0, offset: 0 }
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
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < wanted {
            match self.from.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(more) => self.end += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Damage::Unreadable(error)),
            }
        }
        Ok(self.end)
    }
}
