//! Identities. A guid decides identity across pools; a txg decides order within one pool and is never compared
//! across pools (facts: zfs.md 1.1, `dmu_recv_end_sync` keeps the guid and gives a new createtxg).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The guid of a pool, dataset, snapshot, bookmark or vdev: what stays the same when names change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub u64);

/// The hidden `ivsetguid` of an encrypted snapshot or bookmark. Raw increments need it to be equal on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IvsetGuid(pub u64);

/// A transaction group number of one pool. Orders that pool's snapshots; means nothing on another pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Txg(pub u64);

/// The text was not a decimal number of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is not a guid (a decimal number of at most 20 digits, as `zpool get guid` prints it)")]
pub struct GuidError(pub String);

impl Guid {
    /// Sixteen hexadecimal digits would be long in a snapshot name; the last eight are enough to tell two apart.
    pub fn short(self) -> String {
        format!("{:08x}", self.0 & 0xffff_ffff)
    }

    /// All sixteen, for when the short form is taken.
    pub fn long(self) -> String {
        format!("{:016x}", self.0)
    }

    /// As channel programs see it: Lua integers are signed (facts: zfs.md 4.3).
    pub fn as_lua(self) -> i64 {
        self.0.cast_signed()
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({})", self.0)
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(Self(number)),
            _ => Err(GuidError(text.chars().take(40).flat_map(char::escape_debug).collect())),
        }
    }
}

/// Written as text: JSON and TOML readers lose the low bits of numbers above 2^53.
impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_read_exactly_and_nothing_else_is() {
        assert_eq!("18446744073709551615".parse(), Ok(Guid(u64::MAX)));
        for bad in ["", "-", "+1", " 1", "1 ", "0x1", "18446744073709551616", "1a"] {
            assert!(bad.parse::<Guid>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_guid_above_the_signed_range_is_negative_for_a_channel_program() {
        assert_eq!(Guid(u64::MAX).as_lua(), -1);
        assert_eq!(Guid(7).as_lua(), 7);
    }
}
