//! Name-value lists as ZFS packs them: in vdev labels (XDR) and in resume tokens (the machine's own encoding).
//!
//! Both come from a drive that anybody may have written to. So the reader is bounded in input, depth and memory, and
//! refuses what it does not understand the frame of; values of types that nobody needs are skipped by their length.

mod native;

use std::collections::BTreeMap;

/// The largest input, in bytes: the space for the list in a vdev label (`VDEV_PHYS_SIZE`). Tokens are far smaller.
const LARGEST: usize = 112 << 10;

/// Lists within lists. A label has three levels and one more per layer of spares or replacements.
const DEEPEST: usize = 8;

/// A packed list: encoding XDR (1), byte order (meaningless for XDR), two reserved bytes.
const ENCODING_XDR: u8 = 1;
/// A packed list: the machine's own encoding (0), byte order, two reserved bytes.
const ENCODING_NATIVE: u8 = 0;

/// One value. Numbers keep their signedness, not their width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NvValue {
    /// Present, without a value.
    Flag,
    /// True or false.
    Bool(bool),
    /// An unsigned number of 8 to 64 bits.
    Unsigned(u64),
    /// A signed number of 8 to 64 bits.
    Signed(i64),
    /// A text; bytes that are not UTF-8 are replaced. Untrusted: may hold control characters.
    Text(String),
    /// Unsigned numbers of 64 bits.
    Numbers(Vec<u64>),
    /// A list within the list.
    List(Nvlist),
    /// Several lists.
    Lists(Vec<Nvlist>),
    /// A type that zferry has no use for, by its number in `data_type_t`.
    Skipped(u32),
}

/// A list of named values; names are unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nvlist {
    pairs: BTreeMap<String, NvValue>,
}

/// Why bytes are not a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NvlistError {
    /// Not the header of a list.
    #[error("not a name-value list")]
    Encoding,
    /// More bytes than any list that zferry reads.
    #[error("larger than {LARGEST} bytes")]
    TooLarge,
    /// It ends within a value, or a length points outside.
    #[error("cut short or damaged")]
    Damaged,
    /// Lists within lists within lists.
    #[error("nested deeper than {DEEPEST} levels")]
    TooDeep,
    /// The same name twice: readers could disagree about which one counts.
    #[error("a name occurs twice")]
    Duplicate,
}

impl Nvlist {
    /// Reads a packed list, header included. What follows its end is ignored: labels are filled up with zeros.
    ///
    /// # Errors
    /// When the bytes are no such list or exceed a bound.
    pub fn parse(packed: &[u8]) -> Result<Self, NvlistError> {
        if packed.len() > LARGEST {
            return Err(NvlistError::TooLarge);
        }
        match packed.split_at_checked(4) {
            Some(([ENCODING_XDR, ..], body)) => Reader { rest: body }.list(DEEPEST),
            Some(([ENCODING_NATIVE, order, ..], body)) => {
                native::parse(body, native::Order::read(*order).ok_or(NvlistError::Encoding)?)
            }
            _ => Err(NvlistError::Encoding),
        }
    }

    /// A value by its name.
    pub fn get(&self, name: &str) -> Option<&NvValue> {
        self.pairs.get(name)
    }

    /// An unsigned number by its name.
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        if let Some(NvValue::Unsigned(number)) = self.get(name) { Some(*number) } else { None }
    }

    /// A text by its name; untrusted.
    pub fn text(&self, name: &str) -> Option<&str> {
        if let Some(NvValue::Text(text)) = self.get(name) { Some(text) } else { None }
    }

    /// A list by its name.
    pub fn list(&self, name: &str) -> Option<&Self> {
        if let Some(NvValue::List(list)) = self.get(name) { Some(list) } else { None }
    }

    /// All lists within it, by their names; untrusted.
    pub fn named_lists(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.pairs.iter().filter_map(|(name, value)| match value {
            NvValue::List(list) => Some((name.as_str(), list)),
            _ => None,
        })
    }

    /// Several lists by their name; none when there is no such name.
    pub fn lists(&self, name: &str) -> &[Self] {
        if let Some(NvValue::Lists(lists)) = self.get(name) { lists } else { &[] }
    }

    /// Whether a name without a value is there.
    pub fn has_flag(&self, name: &str) -> bool {
        self.get(name) == Some(&NvValue::Flag)
    }
}

/// What has not been read yet. XDR is big-endian; everything fills multiples of four bytes.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NvlistError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(NvlistError::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], NvlistError> {
        self.take(N)?.try_into().map_err(|_| NvlistError::Damaged)
    }

    fn u32(&mut self) -> Result<u32, NvlistError> {
        self.number().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, NvlistError> {
        self.number().map(u64::from_be_bytes)
    }

    fn length(&mut self) -> Result<usize, NvlistError> {
        usize::try_from(self.u32()?).map_err(|_| NvlistError::Damaged)
    }

    fn text(&mut self) -> Result<String, NvlistError> {
        let length = self.length()?;
        // Checked before rounding up, which could overflow on a small machine.
        let text = self.rest.get(..length).ok_or(NvlistError::Damaged)?;
        self.take(length.next_multiple_of(4))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// A list without its header: version, flags, pairs, and a pair of size zero at the end.
    fn list(&mut self, levels: usize) -> Result<Nvlist, NvlistError> {
        let levels = levels.checked_sub(1).ok_or(NvlistError::TooDeep)?;
        let (_version, _flags) = (self.u32()?, self.u32()?);
        let mut list = Nvlist::default();
        loop {
            let (packed_size, _size_in_memory) = (self.length()?, self.u32()?);
            let Some(size) = packed_size.checked_sub(8) else {
                return if packed_size == 0 { Ok(list) } else { Err(NvlistError::Damaged) };
            };
            let mut pair = Reader { rest: self.take(size)? };
            let name = pair.text()?;
            let value = pair.value(levels)?;
            if list.pairs.insert(name, value).is_some() {
                return Err(NvlistError::Duplicate);
            }
        }
    }

    /// A value: its type, the number of its elements and what that type says.
    fn value(&mut self, levels: usize) -> Result<NvValue, NvlistError> {
        let (kind, elements) = (self.u32()?, self.length()?);
        Ok(match kind {
            1 => NvValue::Flag,
            // int16, int32, int8: four bytes each.
            3 | 5 | 22 => NvValue::Signed(self.u32()?.cast_signed().into()),
            // byte, uint16, uint32, uint8: four bytes each.
            2 | 4 | 6 | 23 => NvValue::Unsigned(self.u32()?.into()),
            // int64, hrtime.
            7 | 18 => NvValue::Signed(self.u64()?.cast_signed()),
            8 => NvValue::Unsigned(self.u64()?),
            9 => NvValue::Text(self.text()?),
            16 => {
                let count = self.length()?;
                if count != elements || count > self.rest.len() / 8 {
                    return Err(NvlistError::Damaged);
                }
                NvValue::Numbers((0..count).map(|_| self.u64()).collect::<Result<_, _>>()?)
            }
            19 => NvValue::List(self.list(levels)?),
            20 => NvValue::Lists((0..elements).map(|_| self.list(levels)).collect::<Result<_, _>>()?),
            21 => NvValue::Bool(self.u32()? != 0),
            other => NvValue::Skipped(other),
        })
    }
}

/// Writes lists, for the tests of everybody who reads them.
#[cfg(test)]
pub(crate) mod packing {
    use super::ENCODING_XDR;

    /// Packs pairs as `nvlist_pack` does; the values of a list come from [`body`].
    pub(crate) fn pack(pairs: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
        [vec![ENCODING_XDR, 1, 0, 0], body(pairs)].concat()
    }

    /// A list without the header, as it is embedded in another.
    pub(crate) fn body(pairs: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = [0_u32.to_be_bytes(), 1_u32.to_be_bytes()].concat();
        for (name, kind, value) in pairs {
            let elements = u32::from(*kind != 1);
            let pair =
                [text(name), kind.to_be_bytes().to_vec(), elements.to_be_bytes().to_vec(), value.clone()]
                    .concat();
            bytes.extend(u32::try_from(pair.len() + 8).unwrap().to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(pair);
        }
        bytes.extend([0; 8]);
        bytes
    }

    /// A text: length, bytes, filled up to four.
    pub(crate) fn text(text: &str) -> Vec<u8> {
        let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(text.bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::packing::{body, pack, text};
    use super::*;

    fn example() -> Vec<u8> {
        let inner = body(&[("id", 8, 7_u64.to_be_bytes().to_vec())]);
        pack(&[
            ("toguid", 8, u64::MAX.to_be_bytes().to_vec()),
            ("toname", 9, text("tank/home@a")),
            ("rawok", 1, vec![]),
            ("offset", 7, (-2_i64).to_be_bytes().to_vec()),
            ("small", 23, 9_u32.to_be_bytes().to_vec()),
            ("yes", 21, 1_u32.to_be_bytes().to_vec()),
            ("numbers", 16, [&1_u32.to_be_bytes()[..], &5_u64.to_be_bytes()].concat()),
            ("bytes", 10, vec![1, 2, 3, 0]),
            ("tree", 19, inner.clone()),
            ("trees", 20, inner),
        ])
    }

    #[test]
    fn every_kind_of_value_that_is_needed_is_read_and_the_others_are_skipped() {
        let list = Nvlist::parse(&[example(), vec![0; 100]].concat()).unwrap();
        assert_eq!(list.unsigned("toguid"), Some(u64::MAX));
        assert_eq!(list.text("toname"), Some("tank/home@a"));
        assert!(list.has_flag("rawok") && !list.has_flag("toname") && !list.has_flag("compressok"));
        assert_eq!(list.get("offset"), Some(&NvValue::Signed(-2)));
        assert_eq!(list.unsigned("small"), Some(9));
        assert_eq!(list.get("yes"), Some(&NvValue::Bool(true)));
        assert_eq!(list.get("numbers"), Some(&NvValue::Numbers(vec![5])));
        assert_eq!(list.get("bytes"), Some(&NvValue::Skipped(10)));
        assert_eq!(list.list("tree").and_then(|tree| tree.unsigned("id")), Some(7));
        assert_eq!(list.lists("trees").len(), 1);
        assert_eq!((list.unsigned("toname"), list.text("none"), list.lists("tree").len()), (None, None, 0));
    }

    #[test]
    fn bytes_that_are_no_list_are_refused_with_the_reason() {
        let nested = |levels: usize| {
            let innermost = body(&[]);
            let list = (1..levels).fold(innermost, |inner, _| body(&[("in", 19, inner)]));
            [vec![1, 1, 0, 0], list].concat()
        };
        let twice = pack(&[("a", 1, vec![]), ("a", 1, vec![])]);
        let wide = pack(&[("a", 16, u32::MAX.to_be_bytes().to_vec())]);
        for (bytes, expected) in [
            (vec![], Err(NvlistError::Encoding)),
            (vec![7, 1, 0, 0], Err(NvlistError::Encoding)),
            (vec![0, 2, 0, 0], Err(NvlistError::Encoding)),
            (vec![0, 1, 0, 0], Err(NvlistError::Damaged)),
            (vec![1, 1, 0, 0], Err(NvlistError::Damaged)),
            (vec![1; LARGEST + 1], Err(NvlistError::TooLarge)),
            (nested(DEEPEST), Ok(())),
            (nested(DEEPEST + 1), Err(NvlistError::TooDeep)),
            (twice, Err(NvlistError::Duplicate)),
            (wide, Err(NvlistError::Damaged)),
        ] {
            assert_eq!(Nvlist::parse(&bytes).map(drop), expected, "{} bytes", bytes.len());
        }
    }

    #[test]
    fn a_list_that_is_cut_anywhere_is_damaged() {
        let whole = example();
        for end in 4..whole.len() {
            assert_eq!(Nvlist::parse(&whole[..end]), Err(NvlistError::Damaged), "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 4..300)) {
            bytes[0] = ENCODING_XDR;
            let _ = Nvlist::parse(&bytes);
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in 0..500_usize, byte: u8) {
            let mut bytes = example();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Nvlist::parse(&bytes);
        }
    }
}
