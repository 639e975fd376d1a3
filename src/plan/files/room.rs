//! Whether what is to be copied fits where it is to go.

use crate::model::Bytes;

/// What is to be copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How long the files are, together.
    pub length: Bytes,
    /// What they take where they are: less where there are holes, or where they are compressed.
    pub taken: Bytes,
    /// How many files and directories.
    pub entries: u64,
}

/// Whether it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Enough,
    /// Only if the other side has holes and compression too: it is tried, and told.
    Perhaps,
    /// No.
    None,
}

impl Amount {
    /// Compares with what a file system has left.
    pub fn fits(&self, available: Bytes) -> Room {
        match (self.length <= available, self.taken <= available) {
            (true, _) => Room::Enough,
            (false, true) => Room::Perhaps,
            (false, false) => Room::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_it_is_long_may_fit() {
        for (length, taken, available, expected) in [
            (10, 10, 10, Room::Enough),
            (10, 12, 10, Room::Enough),
            (100, 10, 10, Room::Perhaps),
            (100, 11, 10, Room::None),
            (0, 0, 0, Room::Enough),
        ] {
            let amount = Amount { length: Bytes(length), taken: Bytes(taken), entries: 1 };
            assert_eq!(amount.fits(Bytes(available)), expected, "{amount:?} into {available}");
        }
    }
}
