//! Lists as they lie in the memory of the kernel that packed them: in resume tokens, which `fnvlist_pack` makes.
//!
//! A pair is its size in all, the size of its name, the number of its elements and its type, then the name and the
//! value, each filled up to eight bytes; in the byte order of that kernel (`nvpair_t`, `nvs_native_nvpair`).

use super::{NvValue, Nvlist, NvlistError};

/// What comes before the name.
const HEAD: usize = 16;

/// Reads a list without the four bytes of its header.
pub(super) fn parse(body: &[u8], little_endian: bool) -> Result<Nvlist, NvlistError> {
    let reader = Reader { little_endian };
    // Version and flags come first.
    let mut rest = body.get(8..).ok_or(NvlistError::Damaged)?;
    let mut list = Nvlist::default();
    loop {
        let size = reader.size(rest, 0)?;
        if size == 0 {
            return Ok(list);
        }
        let (pair, after) = rest.split_at_checked(size).ok_or(NvlistError::Damaged)?;
        let (name, value) = reader.pair(pair)?;
        if list.pairs.insert(name, value).is_some() {
            return Err(NvlistError::Duplicate);
        }
        rest = after;
    }
}

struct Reader {
    little_endian: bool,
}

impl Reader {
    fn u16(&self, bytes: &[u8], at: usize) -> Result<u16, NvlistError> {
        let bytes = read(bytes, at)?;
        Ok(if self.little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&self, bytes: &[u8], at: usize) -> Result<u32, NvlistError> {
        let bytes = read(bytes, at)?;
        Ok(if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn u64(&self, bytes: &[u8], at: usize) -> Result<u64, NvlistError> {
        let bytes = read(bytes, at)?;
        Ok(if self.little_endian { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
    }

    fn size(&self, bytes: &[u8], at: usize) -> Result<usize, NvlistError> {
        usize::try_from(self.u32(bytes, at)?).map_err(|_| NvlistError::Damaged)
    }

    fn pair(&self, pair: &[u8]) -> Result<(String, NvValue), NvlistError> {
        let name_size = usize::from(self.u16(pair, 4)?);
        let (elements, kind) = (self.size(pair, 8)?, self.u32(pair, 12)?);
        let name = text(pair.get(HEAD..HEAD + name_size))?;
        let value = pair.get((HEAD + name_size).next_multiple_of(8)..).unwrap_or_default();
        let value = match kind {
            1 => NvValue::Flag,
            8 => NvValue::Unsigned(self.u64(value, 0)?),
            9 => NvValue::Text(text(Some(value))?),
            16 if elements <= value.len() / 8 => {
                let numbers = (0..elements).map(|index| self.u64(value, index * 8));
                NvValue::Numbers(numbers.collect::<Result<_, _>>()?)
            }
            16 => return Err(NvlistError::Damaged),
            21 => NvValue::Bool(self.u32(value, 0)? != 0),
            // A list within it would be followed by its pairs, as if they were this list's.
            19 | 20 => return Err(NvlistError::TooDeep),
            other => NvValue::Skipped(other),
        };
        Ok((name, value))
    }
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], NvlistError> {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().ok_or(NvlistError::Damaged)
}

/// Up to its zero, which has to be there.
fn text(bytes: Option<&[u8]>) -> Result<String, NvlistError> {
    let bytes = bytes.ok_or(NvlistError::Damaged)?;
    let end = bytes.iter().position(|&byte| byte == 0).ok_or(NvlistError::Damaged)?;
    Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs pairs of name, type, elements and value as a little-endian kernel does.
    fn pack(pairs: &[(&str, u32, u32, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        for (name, kind, elements, value) in pairs {
            let mut pair = [0; HEAD].to_vec();
            pair.extend(name.bytes().chain([0]));
            pair.resize(pair.len().next_multiple_of(8), 0);
            pair.extend(*value);
            pair.resize(pair.len().next_multiple_of(8), 0);
            let size = u32::try_from(pair.len()).unwrap();
            pair[..4].copy_from_slice(&size.to_le_bytes());
            pair[4..6].copy_from_slice(&u16::try_from(name.len() + 1).unwrap().to_le_bytes());
            pair[8..12].copy_from_slice(&elements.to_le_bytes());
            pair[12..16].copy_from_slice(&kind.to_le_bytes());
            bytes.extend(pair);
        }
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn what_a_kernel_packs_is_read() {
        let numbers = [7_u64.to_le_bytes(), 8_u64.to_le_bytes()].concat();
        let packed = pack(&[
            ("toguid", 8, 1, &u64::MAX.to_le_bytes()),
            ("toname", 9, 1, b"rpool/home@a\0"),
            ("rawok", 1, 0, &[]),
            ("redact_snaps", 16, 2, &numbers),
            ("later", 99, 1, &[1, 2, 3]),
        ]);
        let list = Nvlist::parse(&packed).unwrap();
        assert_eq!(list.unsigned("toguid"), Some(u64::MAX));
        assert_eq!(list.text("toname"), Some("rpool/home@a"));
        assert!(list.has_flag("rawok"));
        assert_eq!(list.get("redact_snaps"), Some(&NvValue::Numbers(vec![7, 8])));
        assert_eq!(list.get("later"), Some(&NvValue::Skipped(99)));
    }

    #[test]
    fn nothing_cut_short_or_changed_makes_it_panic() {
        let good = pack(&[("a", 8, 1, &[1; 8]), ("b", 9, 1, b"x\0"), ("c", 16, 1, &[1; 8])]);
        for end in 0..good.len() {
            assert!(Nvlist::parse(&good[..end]).is_err(), "{end} bytes");
        }
        for at in 0..good.len() {
            for bad in [0, 1, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = bad;
                let _ = Nvlist::parse(&bytes);
            }
        }
        assert_eq!(Nvlist::parse(&pack(&[("a", 1, 0, &[]), ("a", 1, 0, &[])])), Err(NvlistError::Duplicate));
        assert_eq!(Nvlist::parse(&pack(&[("a", 19, 1, &[0; 24])])), Err(NvlistError::TooDeep));
    }
}
