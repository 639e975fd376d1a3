//! Which files make a dataset, and in which order: by guids, whatever they are called. Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::Guid;

/// What a file holds: one stream, or several that go on from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What the receiver must have already; none: it needs nothing.
    pub from: Option<Guid>,
    /// The snapshot that is there afterwards.
    pub to: Guid,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Why there is no way to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoChain {
    /// No file has it.
    Absent,
    /// The nearest file before it needs this one, and no file has it.
    Broken {
        /// Index of that file.
        piece: usize,
        /// What it needs.
        needs: Guid,
    },
    /// Each file needs another one, in a circle.
    Circle,
}

/// The files that lead to a snapshot, the full one first: as few as possible, and of two ways with as many files the one
/// with fewer bytes. `have`: what the receiver has already.
///
/// # Errors
/// When none does.
pub fn chain(pieces: &[Piece], wanted: Guid, have: Option<Guid>) -> Result<Vec<usize>, NoChain> {
    let mut before: BTreeMap<Guid, Vec<usize>> = BTreeMap::new();
    for (index, piece) in pieces.iter().enumerate() {
        before.entry(piece.to).or_default().push(index);
    }
    // From the end to the beginning, the shortest way first: what the receiver needs for it, and the files.
    let mut ways = BTreeSet::from([Way { files: Vec::new(), bytes: 0, needs: Some(wanted) }]);
    let (mut seen, mut broken) = (BTreeSet::new(), None);
    while let Some(Way { files, bytes, needs }) = ways.pop_first() {
        let Some(at) = needs.filter(|_| needs != have) else {
            // A full stream cannot be received onto what is there.
            if needs == have {
                return Ok(files);
            }
            continue;
        };
        if !seen.insert(at) {
            continue;
        }
        let makes_it = before.get(&at).map_or(&[][..], Vec::as_slice);
        if let (true, Some(&piece)) = (makes_it.is_empty(), files.first()) {
            broken.get_or_insert(NoChain::Broken { piece, needs: at });
        }
        ways.extend(makes_it.iter().map(|&index| Way {
            files: std::iter::once(index).chain(files.iter().copied()).collect(),
            bytes: bytes.saturating_add(pieces[index].bytes),
            needs: pieces[index].from,
        }));
    }
    Err(if before.contains_key(&wanted) { broken.unwrap_or(NoChain::Circle) } else { NoChain::Absent })
}

/// The end of a chain.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    files: Vec<usize>,
    bytes: u64,
    needs: Option<Guid>,
}

/// The shortest first.
impl Ord for Way {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |way: &Self| (way.files.len(), way.bytes);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.files.cmp(&other.files))
            .then_with(|| self.needs.cmp(&other.needs))
    }
}

impl PartialOrd for Way {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(from: u64, to: u64) -> Piece {
        Piece { from: (from != 0).then_some(Guid(from)), to: Guid(to), bytes: 100 }
    }

    fn way(pieces: &[(u64, u64)], wanted: u64) -> Result<Vec<usize>, NoChain> {
        let pieces: Vec<_> = pieces.iter().map(|(from, to)| piece(*from, *to)).collect();
        chain(&pieces, Guid(wanted), None)
    }

    #[test]
    fn the_order_is_that_of_the_guids_and_not_that_of_the_files() {
        assert_eq!(way(&[(2, 3), (0, 1), (1, 2)], 3), Ok(vec![1, 2, 0]));
        assert_eq!(way(&[(2, 3), (0, 1), (1, 2)], 1), Ok(vec![1]));
    }

    #[test]
    fn the_way_with_the_fewest_files_is_taken_and_then_the_one_with_the_fewest_bytes() {
        // A later full stream makes the increments needless, and an increment to the full one those in between.
        assert_eq!(way(&[(0, 1), (1, 2), (2, 3), (0, 3)], 3), Ok(vec![3]));
        assert_eq!(way(&[(0, 1), (1, 2), (2, 3), (1, 3)], 3), Ok(vec![0, 3]));
        let short = Piece { bytes: 10, ..piece(0, 1) };
        assert_eq!(chain(&[piece(0, 1), short.clone(), piece(0, 1)], Guid(1), None), Ok(vec![1]));
        assert_eq!(chain(&[piece(1, 2), piece(0, 1), short], Guid(2), None), Ok(vec![2, 0]));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(way(&[(0, 1)], 2), Err(NoChain::Absent));
        assert_eq!(way(&[(0, 1), (2, 3), (3, 4)], 4), Err(NoChain::Broken { piece: 1, needs: Guid(2) }));
        assert_eq!(way(&[(1, 2), (2, 1)], 1), Err(NoChain::Circle));
        assert_eq!(way(&[(1, 1)], 1), Err(NoChain::Circle));
    }

    #[test]
    fn what_is_there_already_is_gone_on_from() {
        let pieces = [piece(0, 1), piece(1, 2), piece(2, 3)];
        assert_eq!(chain(&pieces, Guid(3), Some(Guid(2))), Ok(vec![2]));
        assert_eq!(chain(&pieces, Guid(3), Some(Guid(3))), Ok(vec![]));
        assert!(chain(&pieces, Guid(3), Some(Guid(9))).is_err());
    }

    proptest! {
        /// Whatever the files are: what is found can be received one after the other, and nothing shorter can be.
        #[test]
        fn a_chain_can_be_received_and_none_is_shorter(
            ends in proptest::collection::vec((0_u64..7, 1_u64..7, 1_u64..4), 0..14), wanted in 1_u64..7,
        ) {
            let pieces: Vec<_> =
                ends.iter().map(|(from, to, bytes)| Piece { bytes: *bytes, ..piece(*from, *to) }).collect();
            // How many files and bytes each snapshot takes at least, round by round.
            let mut least = [None; 7];
            for _ in 0..pieces.len() {
                for piece in &pieces {
                    let before = piece.from.map_or(Some((0, 0)), |from| least[from.0 as usize]);
                    let with_it = before.map(|(files, bytes)| (files + 1, bytes + piece.bytes));
                    let at = &mut least[piece.to.0 as usize];
                    *at = [*at, with_it].into_iter().flatten().min();
                }
            }
            match chain(&pieces, Guid(wanted), None) {
                Ok(found) => {
                    let (mut at, mut bytes) = (None, 0);
                    for index in &found {
                        prop_assert_eq!(pieces[*index].from, at);
                        at = Some(pieces[*index].to);
                        bytes += pieces[*index].bytes;
                    }
                    prop_assert_eq!(at, Some(Guid(wanted)));
                    prop_assert_eq!(Some((found.len(), bytes)), least[wanted as usize]);
                }
                Err(_) => prop_assert_eq!(least[wanted as usize], None),
            }
        }
    }
}
