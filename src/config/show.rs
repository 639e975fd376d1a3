//! The effective configuration, with where each value comes from. What is printed is a configuration with the same
//! meaning.

use std::fmt;

use serde::Serialize;
use toml::Spanned;

use super::file::{BackupFile, File};
use super::keys::{ALERTS, Absent, BACKUP, DRIVE, Key, Kind, STREAM};
use super::problem::place;
use super::reader::Written;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// It is written in the file.
    File {
        /// Counted from 1.
        line: usize,
    },
    /// It is not written.
    Default,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As it is written in the section.
    pub key: &'static str,
    /// In TOML; none when no value says the same as leaving it out.
    pub value: Option<String>,
    /// What holds, in words, when there is no value.
    pub words: Option<&'static str>,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// One table of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// `drives.t7`
    pub name: String,
    /// In the order of the documentation.
    pub rows: Vec<Row>,
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Drives with what differs on them, then backups, then streams.
    pub sections: Vec<Section>,
}

/// Puts it together from a file without problems.
pub fn show(file: &File, text: &str) -> Shown {
    let mut sections = Vec::new();
    for drive in &file.drives {
        let name = format!("drives.{}", drive.name.get_ref().as_key());
        sections
            .push(Section { rows: rows(DRIVE, &drive.written, text, Defaults::Shown), name: name.clone() });
        sections.extend(drive.alerts.as_ref().map(|alerts| Section {
            rows: rows(ALERTS, &alerts.written, text, Defaults::Shown),
            name: format!("{name}.alerts"),
        }));
        sections.extend(
            drive.overrides.iter().map(|own| section(&format!("{name}.override"), own, text, Defaults::Left)),
        );
    }
    sections.extend(file.backups.iter().map(|backup| section("backups", backup, text, Defaults::Shown)));
    sections.extend(file.streams.iter().map(|stream| Section {
        name: format!("streams.{}", stream.name.get_ref().as_key()),
        rows: rows(STREAM, &stream.written, text, Defaults::Shown),
    }));
    Shown { sections }
}

/// Whether keys that are not written are shown. What differs on a drive has no defaults of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defaults {
    Shown,
    Left,
}

fn section(above: &str, backup: &BackupFile, text: &str, defaults: Defaults) -> Section {
    let name = format!("{above}.{}", backup.name.get_ref().as_key());
    Section { name, rows: rows(BACKUP, &backup.written, text, defaults) }
}

fn rows(keys: &'static [Key], written: &Written, text: &str, defaults: Defaults) -> Vec<Row> {
    // These are sections of their own.
    let keys = keys.iter().filter(|key| !["override", "alerts"].contains(&key.name));
    keys.filter_map(|key| row(key, written.get(key.name), text, defaults)).collect()
}

/// The same as lines of a configuration, without some keys.
pub(super) fn written_out(
    keys: &'static [Key],
    written: &Written,
    text: &str,
    left_out: &[&str],
) -> Vec<String> {
    let rows = rows(keys, written, text, Defaults::Shown).into_iter();
    let rows = rows.filter(|row| !left_out.contains(&row.key));
    rows.filter_map(|row| Some(format!("{} = {}", row.key, row.value?))).collect()
}

fn row(key: &Key, written: Option<&Spanned<String>>, text: &str, defaults: Defaults) -> Option<Row> {
    let row = |value, words, origin| Some(Row { key: key.name, value, words, origin });
    match (written, key.absent) {
        (Some(value), _) => {
            let (line, ..) = place(text, value.span().start);
            if key.kind == Kind::Secret && value.get_ref().is_empty() {
                return row(None, Some("written here, and not shown"), Origin::File { line });
            }
            row(Some(value.get_ref().clone()), None, Origin::File { line })
        }
        (None, Absent::Means(toml)) if defaults == Defaults::Shown => {
            row(Some(toml.to_owned()), None, Origin::Default)
        }
        (None, Absent::Described(words)) if defaults == Defaults::Shown => {
            row(None, Some(words), Origin::Default)
        }
        // A required key may be written only in what differs on a drive.
        (None, _) => None,
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, section) in self.sections.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            writeln!(f, "{gap}[{}]", section.name)?;
            for Row { key, value, words, origin } in &section.rows {
                let line = match (value, words) {
                    (Some(value), _) => format!("{key} = {value}"),
                    (None, words) => format!("# {key}: {}", words.unwrap_or_default()),
                };
                match origin {
                    Origin::File { line: number } => writeln!(f, "{line:<50} # line {number}")?,
                    Origin::Default => writeln!(f, "{line:<50} # default")?,
                }
            }
        }
        Ok(())
    }
}
