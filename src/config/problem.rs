//! What is wrong with a configuration, and where: collected, so that a person mends everything at once.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::Serialize;

use super::read::ReadError;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// `drives.t7.pool`; empty when the file is not TOML there.
    pub key: String,
    /// What is wrong, a sentence without a full stop.
    pub what: String,
    /// What could be written instead.
    pub hint: Option<String>,
    /// The line itself, control characters made visible and addresses made invisible.
    pub excerpt: String,
}

/// How much of a line is shown, in characters; half of it before the place.
const WINDOW: usize = 80;

/// Place, key and what is wrong, then the line with a mark below the place.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, key, what, excerpt, .. } = self;
        let (start, cut) = if *column > WINDOW / 2 { (column - WINDOW / 2, "…") } else { (0, "") };
        let seen: String = excerpt.chars().skip(start).take(WINDOW).collect();
        let mark = column - start + cut.chars().count();
        let colon = if key.is_empty() { "" } else { ": " };
        writeln!(f, "line {line}, column {column}: {key}{colon}{what}")?;
        let number = line.to_string();
        writeln!(f, "    {number} | {cut}{seen}")?;
        write!(f, "    {:1$} | {2:>3$}", "", number.len(), "^", mark)
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file was not even looked into.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something in it is wrong.
    #[error("the configuration {} has {}", file.display(), count(problems.len()))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
    /// There is nothing wrong with it, and nothing in it of what was asked for.
    #[error("the configuration {} has no {what}", file.display())]
    Without {
        /// The file.
        file: PathBuf,
        /// `drive` or `stream`.
        what: &'static str,
    },
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

/// Where in the text something stands, in bytes.
pub type Span = Range<usize>;

#[derive(Debug, PartialEq, Eq)]
struct Found {
    at: Span,
    key: String,
    what: String,
    hint: Option<String>,
}

/// Collects while the file is looked through.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<Found>,
}

impl Problems {
    /// Notes a problem, once: a backup that two drives carry is looked at twice.
    pub fn push(&mut self, at: Span, key: impl Into<String>, what: impl Into<String>, hint: Option<String>) {
        let found = Found { at, key: key.into(), what: what.into(), hint };
        if !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether one is that this key, in whatever table, has no value that can be used.
    pub fn are_of(&self, key: &str) -> bool {
        self.found.iter().any(|found| found.key.rsplit('.').next() == Some(key))
    }

    /// The problems with their places in `text`, in its order.
    pub fn locate(mut self, text: &str) -> Vec<Problem> {
        self.found.sort_by_key(|found| found.at.start);
        self.found.into_iter().map(|found| locate(found, text)).collect()
    }
}

fn locate(found: Found, text: &str) -> Problem {
    let (line, column, excerpt) = place(text, found.at.start);
    let (key, what) = (printable(&found.key), printable(&found.what));
    let excerpt = printable(&without_addresses(excerpt.trim_end()));
    Problem { line, column, key, what, hint: found.hint, excerpt }
}

/// The address of a monitor is a secret (S17), also behind a key that is mistyped: nothing of any address is shown but
/// how it begins. One character for each.
fn without_addresses(line: &str) -> String {
    let mut inside = false;
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        inside &= !(c.is_whitespace() || "\"'".contains(c));
        shown.push(if inside { '·' } else { c });
        inside |= shown.ends_with("://");
    }
    shown
}

/// One character for each, so that the mark below the line stays in place.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Line and column, both from 1, of a byte offset, and the text of that line.
pub fn place(text: &str, offset: usize) -> (usize, usize, &str) {
    // The parser points behind the end when the file ends too early, and might point into a character.
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[..start].matches('\n').count() + 1;
    let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    (line, text[start..offset].chars().count() + 1, &text[start..end])
}

/// The candidate that was most likely meant, if one is near enough.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Two of three letters in place: "poool" and "allow_plaintext" are found, a word of its own is not.
    const NEAR_ENOUGH: f64 = 0.67;
    // People write `pool_guid` and `Pool` where the key is `pool-guid` and `pool`.
    let written = written.to_lowercase().replace('_', "-");
    let rated = candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&written, candidate), candidate));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= NEAR_ENOUGH).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_and_never_leave_the_text() {
        let text = "ä = 1\nb = 2\n";
        for (offset, expected) in [
            (0, (1, 1, "ä = 1")),
            (1, (1, 1, "ä = 1")),
            (2, (1, 2, "ä = 1")),
            (7, (2, 1, "b = 2")),
            (99, (3, 1, "")),
        ] {
            assert_eq!(place(text, offset), expected, "{offset}");
        }
    }

    #[test]
    fn addresses_are_not_shown_and_marks_stay_in_place() {
        let line = "pnig = [\"https://hc-ping.com/5c7b\", 'get:http://a/ü'] # ntfy://x y";
        let shown = without_addresses(line);
        assert_eq!(shown, "pnig = [\"https://················\", 'get:http://···'] # ntfy://· y");
        assert_eq!(shown.chars().count(), line.chars().count());
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        for (written, meant) in [
            ("poool", Some("pool")),
            ("pool_guid", Some("pool-guid")),
            ("PRUNE", Some("prune")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, ["pool", "pool-guid", "prune"]), meant, "{written}");
        }
    }

    #[test]
    fn the_same_problem_is_told_once_and_in_the_order_of_the_file() {
        let mut problems = Problems::default();
        for (at, what) in [(6..7, "second"), (0..1, "first"), (6..7, "second")] {
            problems.push(at, "key", what, None);
        }
        let told: Vec<_> = problems.locate("a = 1\nb = 2").into_iter().map(|p| (p.line, p.what)).collect();
        assert_eq!(told, [(1, "first".to_owned()), (2, "second".to_owned())]);
    }
}
