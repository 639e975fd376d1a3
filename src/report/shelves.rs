//! What `zferry stream list` prints. Pure.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::text::count;
use super::{Line, Tone};
use crate::jobs::stream::{Adopted, Listed, Shelf, State};
use crate::model::Bytes;
use crate::process::printable;

/// A table for each directory.
pub fn table(shelves: &[Shelf], zone: &TimeZone) -> Vec<Line> {
    let mut lines = Vec::new();
    for shelf in shelves {
        if !lines.is_empty() {
            lines.push(Line::new(Tone::Plain, ""));
        }
        let directory = printable(&shelf.directory.to_string_lossy());
        lines.push(Line::new(Tone::Plain, &format!("{directory}:")));
        let listed = shelf.listed();
        if !listed.is_empty() {
            lines.extend(rows(&listed, zone));
        }
        lines.extend(shelf.lacks().iter().map(|text| Line::new(Tone::Danger, text)));
        lines.extend(shelf.troubles().iter().map(|text| Line::new(Tone::Warning, text)));
        if !shelf.others().is_empty() {
            let files = count(shelf.others().len(), "file");
            let text = format!(
                "{files} without a manifest: zferry stream adopt {}",
                crate::process::quoted(&directory)
            );
            lines.push(Line::new(Tone::Detail, &text));
        }
    }
    if lines.is_empty() {
        lines.push(Line::new(Tone::Plain, "There is no file yet."));
    }
    lines
}

fn rows(listed: &[Listed<'_>], zone: &TimeZone) -> Vec<Line> {
    let heads = ["SNAPSHOT TAKEN", "KIND", "SIZE", "STATE", "VERIFIED", "FILE", "OF"].map(str::to_owned);
    let mut cells = vec![heads];
    cells.extend(listed.iter().map(|one| row(one, zone)));
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let tone = |index: usize| match index.checked_sub(1).map(|index| listed[index].state) {
        None | Some(State::Complete) => Tone::Plain,
        Some(_) => Tone::Danger,
    };
    cells.iter().enumerate().map(|(index, row)| Line::new(tone(index), &line(row))).collect()
}

fn row(one: &Listed<'_>, zone: &TimeZone) -> [String; 7] {
    let manifest = one.manifest;
    let time = |at: jiff::Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    [
        time(manifest.created),
        if manifest.from.is_none() { "full".to_owned() } else { "increment".to_owned() },
        Bytes(manifest.bytes).to_string(),
        word(one.state).to_owned(),
        time(manifest.verified),
        printable(&manifest.file),
        printable(&format!("{}@{}", manifest.dataset, manifest.snapshot)),
    ]
}

fn word(state: State) -> &'static str {
    match state {
        State::Complete => "complete",
        State::Incomplete => "INCOMPLETE",
        State::OtherLength => "OTHER LENGTH",
        State::Gone => "GONE",
    }
}

/// The same for programs.
pub fn json(shelves: &[Shelf]) -> String {
    let shelves: Vec<Value> = shelves.iter().map(shelf).collect();
    format!("{}\n", json!({ "v": 1, "directories": shelves }))
}

fn shelf(shelf: &Shelf) -> Value {
    let file =
        |one: &Listed<'_>| json!({ "state": word(one.state).to_lowercase(), "manifest": one.manifest });
    let files: Vec<Value> = shelf.listed().iter().map(file).collect();
    let others: Vec<_> = shelf.others().iter().map(|path| printable(&path.to_string_lossy())).collect();
    json!({
        "directory": printable(&shelf.directory.to_string_lossy()), "files": files,
        "without_manifest": others, "unusable": shelf.troubles(),
    })
}

/// What `stream adopt` did.
pub fn adopted(adopted: &Adopted) -> String {
    let Adopted { adopted, known, failed } = *adopted;
    let mut text = format!("{} a manifest now", has(adopted));
    if known > 0 {
        text = format!("{text}; {known} had one");
    }
    if failed > 0 {
        text = format!("{text}; {failed} could not be given one");
    }
    text + "."
}

fn has(number: usize) -> String {
    format!("{} {}", count(number, "file"), if number == 1 { "has" } else { "have" })
}
