//! Lists in the encoding of the machine that wrote them (`NV_ENCODE_NATIVE` of `module/nvpair/nvpair.c`): what
//! `fnvlist_pack` makes, and so what a resume token and `zpool.cache` hold. Labels are XDR.
//!
//! A pair is its own size (4 bytes), that of its name with the terminating zero (2), two reserved bytes, the number of
//! elements (4) and the type (4); then the name, then the value, each filled up to eight bytes. The pairs of a list within
//! the list stand behind the pair that names it, whose value is what the machine had in memory.

use super::{DEEPEST, NvValue, Nvlist, NvlistError};

/// The type of a list within the list.
const LIST: u32 = 19;
/// The type of several.
const LISTS: u32 = 20;

/// Bytes before a pair's name.
const PAIR: usize = 16;

/// The order of bytes in numbers.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// As the second byte of a packed list says.
    pub(super) fn read(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Big),
            1 => Some(Self::Little),
            _ => None,
        }
    }

    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// Bytes at a place; too few of them: damaged.
fn at<const N: usize>(bytes: &[u8], place: usize) -> Result<[u8; N], NvlistError> {
    let found = place.checked_add(N).and_then(|end| bytes.get(place..end));
    found.and_then(|found| found.try_into().ok()).ok_or(NvlistError::Damaged)
}

/// Reads a list behind its header: version, flags, pairs, and a size of zero at the end.
pub(super) fn parse(body: &[u8], order: Order) -> Result<Nvlist, NvlistError> {
    let mut rest = body.get(8..).ok_or(NvlistError::Damaged)?;
    read_pairs(&mut rest, order, DEEPEST)
}

/// Reads pairs up to the size of zero at their end, and leaves what is behind that.
fn read_pairs(rest: &mut &[u8], order: Order, levels: usize) -> Result<Nvlist, NvlistError> {
    let levels = levels.checked_sub(1).ok_or(NvlistError::TooDeep)?;
    let mut list = Nvlist::default();
    loop {
        let size = usize::try_from(order.u32(at(rest, 0)?)).map_err(|_| NvlistError::Damaged)?;
        if size == 0 {
            *rest = rest.get(4..).unwrap_or_default();
            return Ok(list);
        }
        if size < PAIR {
            return Err(NvlistError::Damaged);
        }
        let (pair, after) = rest.split_at_checked(size).ok_or(NvlistError::Damaged)?;
        *rest = after;
        let (name, value) = match read_pair(pair, order)? {
            (name, NvValue::Skipped(LIST)) => (name, NvValue::List(read_pairs(rest, order, levels)?)),
            (name, NvValue::Skipped(LISTS)) => {
                let lists = (0..order.u32(at(pair, 8)?)).map(|_| read_pairs(rest, order, levels));
                (name, NvValue::Lists(lists.collect::<Result<_, _>>()?))
            }
            pair => pair,
        };
        if list.pairs.insert(name, value).is_some() {
            return Err(NvlistError::Duplicate);
        }
    }
}

fn read_pair(pair: &[u8], order: Order) -> Result<(String, NvValue), NvlistError> {
    let length = usize::from(order.u16(at(pair, 4)?));
    let kind = order.u32(at(pair, 12)?);
    let name = pair.get(PAIR..PAIR + length).and_then(|name| name.strip_suffix(&[0]));
    let name = String::from_utf8_lossy(name.ok_or(NvlistError::Damaged)?).into_owned();
    let value = (PAIR + length).next_multiple_of(8);
    let value = match kind {
        1 => NvValue::Flag,
        8 => NvValue::Unsigned(order.u64(at(pair, value)?)),
        9 => {
            let bytes = pair.get(value..).ok_or(NvlistError::Damaged)?;
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            NvValue::Text(String::from_utf8_lossy(text).into_owned())
        }
        other => NvValue::Skipped(other),
    };
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A pair as a little-endian machine writes it.
    fn pair(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let fill = |mut bytes: Vec<u8>| {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes
        };
        let mut head = vec![0; 4];
        head.extend(u16::try_from(name.len() + 1).unwrap().to_le_bytes());
        head.extend([0; 2]);
        head.extend(1_u32.to_le_bytes());
        head.extend(kind.to_le_bytes());
        head.extend(name.bytes());
        head.push(0);
        let mut whole = [fill(head), fill(value.to_vec())].concat();
        let size = u32::try_from(whole.len()).unwrap().to_le_bytes();
        whole[..4].copy_from_slice(&size);
        whole
    }

    fn packed(pairs: &[Vec<u8>]) -> Vec<u8> {
        let head = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        [&head[..], &pairs.concat(), &[0; 4]].concat()
    }

    fn token() -> Vec<Vec<u8>> {
        vec![
            pair("fromguid", 8, &7_u64.to_le_bytes()),
            pair("toguid", 8, &u64::MAX.to_le_bytes()),
            pair("toname", 9, b"rpool/my home@a\0"),
            pair("rawok", 1, &[]),
        ]
    }

    #[test]
    fn what_a_token_holds_is_read() {
        let list = Nvlist::parse(&packed(&token())).unwrap();
        assert_eq!((list.unsigned("fromguid"), list.unsigned("toguid")), (Some(7), Some(u64::MAX)));
        assert_eq!((list.text("toname"), list.has_flag("rawok")), (Some("rpool/my home@a"), true));
        assert!(!list.has_flag("toguid"));
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let twice = vec![pair("toguid", 8, &[1; 8]), pair("toguid", 8, &[2; 8])];
        assert_eq!(Nvlist::parse(&packed(&twice)), Err(NvlistError::Duplicate));
    }

    #[test]
    fn lists_within_the_list_stand_behind_their_names() {
        let end = || vec![0; 4];
        let inner = [pair("pool_guid", 8, &7_u64.to_le_bytes()), end()].concat();
        let list = packed(&[pair("backup", 19, &[0; 24]), inner, pair("txg", 8, &5_u64.to_le_bytes())]);
        let read = Nvlist::parse(&list).unwrap();
        assert_eq!(read.list("backup").and_then(|pool| pool.unsigned("pool_guid")), Some(7));
        assert_eq!((read.unsigned("txg"), read.named_lists().count()), (Some(5), 1));
        let two = [pair("id", 8, &1_u64.to_le_bytes()), end(), pair("id", 8, &2_u64.to_le_bytes()), end()];
        let mut several = pair("children", 20, &[0; 64]);
        several[8] = 2;
        let read = Nvlist::parse(&packed(&[several, two.concat()])).unwrap();
        let ids: Vec<_> = read.lists("children").iter().map(|child| child.unsigned("id")).collect();
        assert_eq!(ids, [Some(1), Some(2)]);
        let deep = packed(&vec![pair("inner", 19, &[0; 24]); DEEPEST + 1]);
        assert_eq!(Nvlist::parse(&deep), Err(NvlistError::TooDeep));
        assert_eq!(Nvlist::parse(&packed(&[pair("inner", 19, &[0; 24])])), Err(NvlistError::Damaged));
    }

    #[test]
    fn a_list_that_is_cut_anywhere_is_damaged() {
        let whole = packed(&token());
        for end in 4..whole.len() {
            assert!(Nvlist::parse(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200), order in 0..2_u8)| {
            let _ = Nvlist::parse(&[&[0, order, 0, 0][..], &bytes].concat());
        });
    }
}
