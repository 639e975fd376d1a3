//! Names of pools, datasets, snapshots and bookmarks, checked once where they come in.
//!
//! The rules are those of OpenZFS (`module/zcommon/zfs_namecheck.c`): components of letters, digits and `-_.: `,
//! at most 255 bytes in all, a pool begins with a letter. There is no `From<String>` and no way from one kind of
//! name to another but the ones below:
//!
//! ```compile_fail
//! let pool: zferry::model::PoolName = "tank".parse::<zferry::model::DatasetName>().unwrap().into();
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest full name that ZFS accepts (`ZFS_MAX_DATASET_NAME_LEN` less the terminating zero).
const MAX_LEN: usize = 255;

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing between two separators.
    #[error("{kind} name {name}: a part of it is empty")]
    Empty {
        /// What the name was to be.
        kind: &'static str,
        /// The text, quoted.
        name: String,
    },
    /// A character that ZFS does not allow there.
    #[error("{kind} name {name}: the character {character:?} is not allowed")]
    Character {
        /// What the name was to be.
        kind: &'static str,
        /// The text, quoted.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// More than 255 bytes.
    #[error("{kind} name {name}: longer than {MAX_LEN} bytes")]
    TooLong {
        /// What the name was to be.
        kind: &'static str,
        /// The text, quoted and shortened.
        name: String,
    },
    /// It begins with `-`, is `.` or `..`, or a pool name that begins with something else than a letter.
    #[error("{kind} name {name}: {what}")]
    Form {
        /// What the name was to be.
        kind: &'static str,
        /// The text, quoted.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Quotes a text that was refused: control characters made visible, not longer than a line.
fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

fn check_component(kind: &'static str, whole: &str, part: &str) -> Result<(), NameError> {
    if part.is_empty() {
        return Err(NameError::Empty { kind, name: quote(whole) });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.: ".contains(c);
    if let Some(character) = part.chars().find(|&c| !allowed(c)) {
        return Err(NameError::Character { kind, name: quote(whole), character });
    }
    let what = match part {
        "." | ".." => "“.” and “..” are not allowed as parts",
        _ if part.starts_with('-') => "a part begins with “-”, which a command would take for an option",
        _ => return Ok(()),
    };
    Err(NameError::Form { kind, name: quote(whole), what })
}

fn check_length(kind: &'static str, whole: &str) -> Result<(), NameError> {
    if whole.len() > MAX_LEN { Err(NameError::TooLong { kind, name: quote(whole) }) } else { Ok(()) }
}

fn check_pool(kind: &'static str, whole: &str, pool: &str) -> Result<(), NameError> {
    check_component(kind, whole, pool)?;
    if pool.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(());
    }
    Err(NameError::Form { kind, name: quote(whole), what: "a pool's name begins with a letter" })
}

macro_rules! text_like {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($type), self.0)
            }
        }
        impl $type {
            /// The name as ZFS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The name of a pool. Not an identity: two drives may both be called `backup`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PoolName(String);
text_like!(PoolName);

impl FromStr for PoolName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length("pool", text)?;
        check_pool("pool", text, text)?;
        Ok(Self(text.to_owned()))
    }
}

/// The full name of a filesystem or volume, pool included: `rpool/nixos/home`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct DatasetName(String);
text_like!(DatasetName);

impl FromStr for DatasetName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length("dataset", text)?;
        let mut parts = text.split('/');
        check_pool("dataset", text, parts.next().unwrap_or_default())?;
        parts.try_for_each(|part| check_component("dataset", text, part))?;
        Ok(Self(text.to_owned()))
    }
}

impl DatasetName {
    /// The top dataset of a pool, which has the pool's name.
    pub fn root_of(pool: &PoolName) -> Self {
        Self(pool.0.clone())
    }

    /// The pool that the dataset is in.
    pub fn pool(&self) -> PoolName {
        PoolName(self.0.split('/').next().unwrap_or_default().to_owned())
    }

    /// The dataset above; none for a pool's top dataset.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last part of the name.
    pub fn leaf(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Parts of the name: a pool's top dataset has depth 1. Parents are always of smaller depth.
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Appends `relative` (`a/b`, or nothing for the dataset itself).
    ///
    /// # Errors
    /// When the whole is not a valid name, such as one that became too long.
    pub fn join(&self, relative: &str) -> Result<Self, NameError> {
        if relative.is_empty() { Ok(self.clone()) } else { format!("{}/{relative}", self.0).parse() }
    }

    /// The part below `ancestor`: empty for the dataset itself, none when it is elsewhere.
    pub fn below(&self, ancestor: &Self) -> Option<&str> {
        let rest = self.0.strip_prefix(&ancestor.0)?;
        if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
    }

    /// The snapshot `snap` of this dataset.
    ///
    /// # Errors
    /// When the full name would be too long.
    pub fn snapshot(&self, snap: &SnapName) -> Result<SnapshotName, NameError> {
        format!("{}@{}", self.0, snap.0).parse()
    }

    /// The bookmark `name` of this dataset.
    ///
    /// # Errors
    /// When the full name would be too long.
    pub fn bookmark(&self, name: &SnapName) -> Result<BookmarkName, NameError> {
        format!("{}#{}", self.0, name.0).parse()
    }
}

/// The part after `@` or `#`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SnapName(String);
text_like!(SnapName);

impl FromStr for SnapName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length("snapshot", text)?;
        // ZFS takes a leading “-” here; it never stands at the beginning of an argument.
        match check_component("snapshot", text, text) {
            Err(NameError::Form { .. }) | Ok(()) => Ok(Self(text.to_owned())),
            Err(error) => Err(error),
        }
    }
}

/// Splits `DATASET@SNAP`, checks both parts and the length of the whole.
fn split_at(kind: &'static str, text: &str, separator: char) -> Result<(DatasetName, SnapName), NameError> {
    check_length(kind, text)?;
    let (dataset, name) = text.split_once(separator).ok_or_else(|| NameError::Form {
        kind,
        name: quote(text),
        what: if separator == '@' { "there is no “@” in it" } else { "there is no “#” in it" },
    })?;
    Ok((dataset.parse()?, name.parse()?))
}

/// The full name of a snapshot: `rpool/home@daily`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SnapshotName {
    /// The dataset that it is of.
    pub dataset: DatasetName,
    /// The part after `@`.
    pub snap: SnapName,
}

impl FromStr for SnapshotName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        split_at("snapshot", text, '@').map(|(dataset, snap)| Self { dataset, snap })
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.dataset, self.snap)
    }
}

/// The full name of a bookmark: `rpool/home#base`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BookmarkName {
    /// The dataset that it is of.
    pub dataset: DatasetName,
    /// The part after `#`.
    pub name: SnapName,
}

impl FromStr for BookmarkName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        split_at("bookmark", text, '#').map(|(dataset, name)| Self { dataset, name })
    }
}

impl fmt::Display for BookmarkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.dataset, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_zfs_takes_are_taken() {
        for good in ["rpool", "rpool/nixos/home", "tank/with space", "a/b.c:d_e-f", "p/1"] {
            assert_eq!(good.parse::<DatasetName>().unwrap().as_str(), good);
        }
        let snapshot: SnapshotName = "tank/with space@autosnap_2026-11-21_00:00:00_daily".parse().unwrap();
        assert_eq!(snapshot.snap.as_str(), "autosnap_2026-11-21_00:00:00_daily");
        assert_eq!(snapshot.to_string(), "tank/with space@autosnap_2026-11-21_00:00:00_daily");
        assert!("tank@-a".parse::<SnapshotName>().is_ok(), "ZFS takes it, and it never begins an argument");
    }

    #[test]
    fn names_that_zfs_or_a_command_line_would_misread_are_refused() {
        let long = "a".repeat(256);
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "-a",
            "a/-b",
            "a/..",
            "a/.",
            "1a",
            "a@b",
            "a#b",
            "a%b",
            "a\tb",
            "a\nb",
            "a\0",
            "ä",
            "a,b",
            "a/b/",
            long.as_str(),
        ] {
            assert!(bad.parse::<DatasetName>().is_err(), "{bad:?}");
        }
        for bad in ["a", "a@", "@b", "a@b@c", "a@b#c", "a@b/c", "a#b"] {
            assert!(bad.parse::<SnapshotName>().is_err(), "{bad:?}");
        }
        for bad in ["a", "a#", "a@b", "a#b#c"] {
            assert!(bad.parse::<BookmarkName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refused_name_is_shown_on_one_line() {
        let error = "a\nb\u{1b}[31m".parse::<DatasetName>().unwrap_err().to_string();
        assert_eq!(error, r#"dataset name "a\nb\u{1b}[31m": the character '\n' is not allowed"#);
    }

    #[test]
    fn below_does_not_mistake_a_common_beginning_for_a_parent() {
        let name = |text: &str| text.parse::<DatasetName>().unwrap();
        assert_eq!(name("a/b/c").below(&name("a/b")), Some("c"));
        assert_eq!(name("a/b").below(&name("a/b")), Some(""));
        assert_eq!(name("a/bc").below(&name("a/b")), None);
    }
}
