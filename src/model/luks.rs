//! A LUKS container that a drive's pool lies in.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Guid;

/// The container's own identity, written as `cryptsetup luksUUID` prints it: five groups of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LuksUuid(String);

/// How long the groups are.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The text is no such identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the UUID of a LUKS container; `cryptsetup luksUUID DEVICE` prints it")]
pub struct LuksUuidError(String);

impl LuksUuid {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From its digits alone, as the kernel's mapper has them in its own names.
    pub fn from_digits(digits: &str) -> Option<Self> {
        let mut rest = digits;
        let mut groups = Vec::new();
        for length in GROUPS {
            let (group, behind) = rest.split_at_checked(length)?;
            groups.push(group);
            rest = behind;
        }
        if rest.is_empty() { groups.join("-").parse().ok() } else { None }
    }

    /// The link by which udev lets the container be found, open or not.
    pub fn link(&self) -> PathBuf {
        PathBuf::from(format!("/dev/disk/by-uuid/{self}"))
    }

    /// What zferry calls the open container: the mark by which one that a run left is known as its own.
    pub fn mapping(&self) -> String {
        format!("zferry-{self}")
    }
}

impl fmt::Display for LuksUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LuksUuid {
    type Err = LuksUuidError;
    fn from_str(text: &str) -> Result<Self, LuksUuidError> {
        let groups = text.split('-').map(str::len);
        let plain = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if plain && groups.eq(GROUPS) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(LuksUuidError(text.chars().take(64).collect()))
        }
    }
}

/// How a drive's container is found and opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Luks {
    /// Which one it is.
    pub uuid: LuksUuid,
    /// What opens it, where no person is to be asked.
    pub key_file: Option<PathBuf>,
}

/// What udev has seen when a drive was plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appeared {
    /// A device of the pool with this guid.
    Pool(Guid),
    /// This container, which a pool may lie in.
    Container(LuksUuid),
}

/// The text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither the guid of a pool nor the UUID of a LUKS container")]
pub struct AppearedError(String);

impl fmt::Display for Appeared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(guid) => write!(f, "the pool {guid}"),
            Self::Container(uuid) => write!(f, "the LUKS container {uuid}"),
        }
    }
}

impl FromStr for Appeared {
    type Err = AppearedError;
    fn from_str(text: &str) -> Result<Self, AppearedError> {
        let pool = text.parse().map(Self::Pool).ok();
        // A guid has no dashes, and the UUID of a container has four.
        pool.or_else(|| text.parse().map(Self::Container).ok())
            .ok_or_else(|| AppearedError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_five_groups_of_hexadecimal_digits() {
        let good = "2F3B5A3e-0000-4c1d-9abc-0123456789ab";
        let uuid: LuksUuid = good.parse().unwrap();
        assert_eq!(uuid.to_string(), good.to_ascii_lowercase());
        assert_eq!(LuksUuid::from_digits(&good.replace('-', "")), Some(uuid));
        assert_eq!(LuksUuid::from_digits("2f3b5a3e"), None);
        for bad in [
            "",
            "backup",
            "2f3b5a3e",
            "2f3b5a3e-0000-4c1d-9abc-0123456789a",
            &format!("{good}-"),
            "../../../x",
        ] {
            assert!(bad.parse::<LuksUuid>().is_err(), "{bad}");
            assert!(bad.parse::<Appeared>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_appears_is_a_pool_or_a_container() {
        let uuid = "2f3b5a3e-0000-4c1d-9abc-0123456789ab";
        assert_eq!("17".parse(), Ok(Appeared::Pool(Guid(17))));
        assert_eq!(uuid.parse(), Ok(Appeared::Container(uuid.parse().unwrap())));
        let told = "17 18".parse::<Appeared>().unwrap_err().to_string();
        assert_eq!(told, "\"17 18\" is neither the guid of a pool nor the UUID of a LUKS container");
    }
}
