//! Names that the user gives to drives, backups and streams. They become file names, unit names and words on a command line,
//! so they are narrower than the names of ZFS.

use std::fmt;
use std::str::FromStr;

/// Longest name; leaves room for the endings of the files that are named after a drive.
const MAX_LEN: usize = 64;

/// The text cannot be the name of a drive, a backup or a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be such a name; use letters, digits and “-_.”, a letter or digit first, at most {MAX_LEN}"
)]
pub struct LabelError(String);

fn check(text: &str) -> Result<String, LabelError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let well_formed = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed);
    if well_formed && text.len() <= MAX_LEN {
        return Ok(text.to_owned());
    }
    Err(LabelError(text.chars().take(MAX_LEN).collect()))
}

macro_rules! label {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        pub struct $type(String);

        impl $type {
            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// As it stands between the dots of a table's name in TOML.
            pub fn as_key(&self) -> String {
                if self.0.contains('.') { format!("\"{}\"", self.0) } else { self.0.clone() }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = LabelError;
            fn from_str(text: &str) -> Result<Self, LabelError> {
                check(text).map(Self)
            }
        }
    };
}

label! {
    /// The name of a drive: what people type, and what its state file is called.
    DriveName
}
label! {
    /// The name of a backup, shared by all drives that carry it.
    BackupName
}

label! {
    /// The name of what is saved to files.
    StreamName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_in_a_name_does_not_part_it_in_a_tables_name() {
        let key = |name: &str| name.parse::<DriveName>().unwrap().as_key();
        assert_eq!((key("t7"), key("t.7")), ("t7".to_owned(), "\"t.7\"".to_owned()));
    }

    #[test]
    fn names_that_could_be_an_option_a_path_or_a_control_sequence_are_refused() {
        for good in ["t7", "T7-shield_2.old", "7"] {
            assert_eq!(good.parse::<DriveName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(MAX_LEN + 1);
        for bad in ["", "-t7", ".t7", "..", "a/b", "a b", "a@b", "a%b", "ä", "a\u{1b}[31m", &long] {
            assert!(bad.parse::<BackupName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refused_name_is_shown_on_one_line() {
        assert!("a\nb".parse::<DriveName>().unwrap_err().to_string().starts_with(r#""a\nb" cannot"#));
    }
}
