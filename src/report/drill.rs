//! What a drill found in one copy, in words.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::event::Event;
use crate::model::Bytes;
use crate::plan::drill::{Finding, Look};
use crate::process::printable;

use super::text::count;

/// So many files fit a screen.
const SHOWN: usize = 20;

/// What came of one copy.
#[derive(Debug, Clone)]
pub struct Drilled {
    /// Files, directories and links that it has.
    pub entries: usize,
    /// Files that it has.
    pub all: usize,
    /// Files that were read.
    pub read: usize,
    /// How long they are.
    pub bytes: Bytes,
    /// What is wrong, by path.
    pub findings: BTreeMap<PathBuf, Finding>,
    /// Why there was nothing to compare with.
    pub alone: Option<String>,
    /// Files that the source did not give.
    pub not_compared: Vec<(PathBuf, String)>,
}

/// It.
pub fn tell(look: &Look, drilled: &Drilled) -> Event {
    let read = format!("{} of {} ({})", drilled.read, count(drilled.all, "file"), drilled.bytes);
    let good = match (&drilled.alone, &look.here) {
        (None, Ok(here)) => format!("compared with {here}"),
        (Some(why), _) => format!("not compared, since {why}"),
        (None, Err(why)) => format!("not compared, since {why}"),
    };
    let mut text = format!("{}: {read} read, {good}. ", look.there);
    if drilled.findings.is_empty() {
        text.push_str(match drilled.alone {
            None if drilled.not_compared.is_empty() => {
                "They are the same, and so are the names and lengths of all."
            }
            None => "Those that could be compared are the same, and so are the names and lengths of all.",
            Some(_) => "They can be read.",
        });
    } else {
        let wrong = match drilled.findings.len() {
            1 => "One is".to_owned(),
            several => format!("{several} are"),
        };
        text.push_str(&format!("{wrong} NOT as it should be:"));
        for (path, finding) in drilled.findings.iter().take(SHOWN) {
            text.push_str(&format!("\n  {} {finding}", shown(path)));
        }
        if let Some(more) = drilled.findings.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            text.push_str(&format!("\n  and {more} more"));
        }
        text.push_str("\nAll others are good, as far as they were read.");
    }
    for (path, why) in drilled.not_compared.iter().take(SHOWN) {
        text.push_str(&format!("\n  {} was read on the drive only; at the source: {why}", shown(path)));
    }
    let is_note = drilled.findings.is_empty() && drilled.alone.is_none() && drilled.not_compared.is_empty();
    if is_note { Event::Note { text } } else { Event::Warning { text } }
}

/// A path within the snapshot; its top has no name.
fn shown(path: &std::path::Path) -> String {
    if path.as_os_str().is_empty() {
        "its top directory".to_owned()
    } else {
        printable(&path.to_string_lossy())
    }
}
